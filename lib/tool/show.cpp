#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/failure.hpp"
#include "tool/routers.hpp"
#include "tool/table.hpp"
#include "tool/text.hpp"

#include <atrium/memory/counted_objects.hpp>
#include <atrium/memory/heap.hpp>
#include <atrium/memory/named_objects.hpp>
#include <atrium/pool/pools.hpp>
#include <atrium/segment/segment.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <optional>
#include <sstream>
#include <vector>

namespace atrium::tool {

namespace {

/// What was seen in a segment.
struct contents
{
    segment_summary               summary;
    std::string                   creation_id;
    segment_status                status;
    std::uint64_t                 recoveries;
    std::chrono::nanoseconds      detection_time;
    std::vector<participant_info> participants;

    // None in flat segments.
    std::optional<heap_statistics>      heap{};
    std::vector<named_object_info>      objects{};
    std::optional<counted_objects_info> counted{};
    std::vector<pool_info>              pools{};
    std::vector<router_info>            routers{};

    std::vector<std::string> problems{};
};

void look_into_memory(segment const& in, contents& seen)
{
    auto const note = [&](char const* what, error_code error) {
        if (error != errc::flat_segment)
            seen.problems.push_back(std::string(what) + ": " + error.message());
    };
    if (in.attached()->is_flat())
        return;
    try
    {
        if (auto const heap = atrium::heap(in).statistics(std::chrono::seconds(1)))
            seen.heap = *heap;
        else
            note("heap", heap.error());
    }
    catch (system_error const& e)
    {
        note("heap", e.code());
    }
    if (auto objects = named_objects(in))
        seen.objects = std::move(*objects);
    else
        note("named objects", objects.error());
    if (auto counted = counted_objects(in))
        seen.counted = std::move(*counted);
    else
        note("counted objects", counted.error());
    if (auto found = pools(in))
        seen.pools = std::move(*found);
    else
        note("pools", found.error());
    if (auto found = routers(in))
        seen.routers = std::move(*found);
    else
        note("routers", found.error());
    for (std::string& problem : problems_of(seen.routers))
        seen.problems.push_back(std::move(problem));
}

contents look_at(segment_summary const& summary)
{
    try
    {
        // To look does no harm: whoever may read the file may look at it, whoever owns it.
        segment const      in(open_read_only, summary.name, {.any_owner = true, .domain = summary.domain});
        auto const         id = in.creation_id();
        std::ostringstream id_text;
        id_text << std::hex << std::setfill('0') << std::setw(16) << id[0] << std::setw(16) << id[1];
        contents seen{summary,          id_text.str(), in.status(), in.recoveries(), in.attached()->detection_time(),
                      in.participants()};
        look_into_memory(in, seen);
        return seen;
    }
    catch (system_error const& e)
    {
        if (e.code() == errc::not_found) // gone since it was found: said as if it had not been
            static_cast<void>(find_segment(summary.name, summary.domain));
        throw failed_to("show", summary, e.code());
    }
}

// ---- words -------------------------------------------------------------------------------------------------------

char const* word(segment_status status) noexcept
{
    switch (status)
    {
    case segment_status::open:
        return "open";
    case segment_status::close_requested:
        return "close_requested";
    case segment_status::retired:
        return "retired";
    case segment_status::forked:
        break;
    }
    return "unknown";
}

char const* word(liveness state) noexcept
{
    switch (state)
    {
    case liveness::alive:
        return "alive";
    case liveness::dead:
        return "dead";
    case liveness::unknown:
        break;
    }
    return "unknown";
}

// ---- for programs ------------------------------------------------------------------------------------------------

using tool::to_json;

boost::json::object to_json(participant_info const& p)
{
    return {{"row", p.id.row()},
            {"incarnation", p.id.incarnation()},
            {"state", word(p.state)},
            {"pid", p.pid},
            {"same_pid_namespace", p.same_pid_namespace},
            {"program", printable(p.program)},
            {"attached_at", moment_iso(p.attached_at)}};
}

boost::json::object to_json(named_object_info const& o)
{
    return {{"name", printable(o.name)},        {"type", printable(o.type)},
            {"kind", to_string(o.kind)},        {"size", o.size},
            {"alignment", o.alignment},         {"version", o.version},
            {"state", to_string(o.state)},      {"holders", o.holders},
            {"holders_limit", o.holders_limit}, {"kept", o.kept}};
}

boost::json::object to_json(participant_references const& r)
{
    return {{"row", r.by.row()}, {"incarnation", r.by.incarnation()}, {"count", r.count}};
}

boost::json::object to_json(held_references const& held);

boost::json::object to_json(pool_info const& p)
{
    return {{"name", printable(p.name)},
            {"type", printable(p.type)},
            {"length", p.length},
            {"state", to_string(p.state)},
            {"capacity", p.statistics.capacity},
            {"outstanding", p.statistics.outstanding},
            {"available", p.statistics.available},
            {"pending", p.statistics.pending},
            {"low_water", p.statistics.low_water},
            {"bytes", p.bytes},
            {"holders", p.holders},
            {"kept", p.kept},
            {"references", to_json(p.references)}};
}

template <class T> boost::json::array to_array(std::vector<T> const& values)
{
    boost::json::array all;
    for (T const& value : values)
        all.push_back(to_json(value));
    return all;
}

boost::json::object to_json(held_references const& held)
{
    return {{"participants", to_array(held.participants)}, {"in_segment", held.in_segment}};
}

boost::json::object to_json(counted_objects_info const& c)
{
    return {{"outstanding", c.outstanding}, {"pending", c.pending}, {"references", to_json(c.references)}};
}

boost::json::object to_json(contents const& seen)
{
    boost::json::object segment = tool::to_json(seen.summary);
    segment["creation_id"]      = seen.creation_id;
    segment["status"]           = word(seen.status);
    segment["recoveries"]       = seen.recoveries;
    segment["detection_time"]   = seen.detection_time.count();
    boost::json::object all{{"segment", std::move(segment)},
                            {"participants", to_array(seen.participants)},
                            {"heap", nullptr},
                            {"named_objects", nullptr},
                            {"counted_objects", nullptr},
                            {"pools", nullptr},
                            {"routers", nullptr},
                            {"problems", boost::json::array(seen.problems.begin(), seen.problems.end())}};
    if (seen.heap)
        all["heap"] = {{"capacity", seen.heap->capacity},
                       {"used_bytes", seen.heap->used_bytes},
                       {"free_bytes", seen.heap->free_bytes},
                       {"used_blocks", seen.heap->used_blocks}};
    if (seen.counted)
        all["counted_objects"] = to_json(*seen.counted);
    if (!seen.summary.flat)
    {
        all["named_objects"] = to_array(seen.objects);
        all["pools"]         = to_array(seen.pools);
        all["routers"]       = to_array(seen.routers);
    }
    return all;
}

// ---- for people --------------------------------------------------------------------------------------------------

void print_header(contents const& seen)
{
    segment_summary const& s     = seen.summary;
    std::string const      notes = notes_of(s);
    std::string const limit = s.holders_limit == 0 ? "" : ", at most " + std::to_string(s.holders_limit) + " at a time";
    std::cout << "Segment '" << s.name << "' of domain '" << s.domain << "'\n";
    print_facts(std::cout, {{"file", path_of(s)},
                            {"state", shown(condition_of(s)) + (notes.empty() ? "" : " (" + notes + ")")},
                            {"size", size_text(s.size) + ", may grow to " + size_text(s.maximum_size) + ", touched " +
                                         size_text(s.touched)},
                            {"owner", user_name(s.owner) + ", permissions " + permission_text(s.permissions)},
                            {"creation id", seen.creation_id},
                            {"places", std::to_string(s.places) + limit},
                            {"detection time", duration_text(seen.detection_time)},
                            {"recoveries", std::to_string(seen.recoveries)}});
}

std::string id_text(participant_id id)
{
    return std::to_string(id.row()) + "/" + std::to_string(id.incarnation());
}

void print_participants(std::vector<participant_info> const& participants)
{
    std::cout << "\nParticipants: " << (participants.empty() ? "none" : std::to_string(participants.size())) << '\n';
    table all({{"ID"}, {"STATE"}, {"PID", true}, {"PROGRAM"}, {"ATTACHED"}, {"NOTES"}});
    for (participant_info const& p : participants)
        all.add(
            {id_text(p.id), word(p.state), p.pid == 0 ? "" : std::to_string(p.pid), printable(p.program),
             moment_text(p.attached_at),
             p.pid == 0 ? "its place is being taken over" : (p.same_pid_namespace ? "" : "pid of another namespace")});
    if (!all.empty())
        all.print(std::cout, 2);
}

void print_heap(contents const& seen)
{
    if (seen.summary.flat)
    {
        std::cout << "\nHeap: none, the segment is flat\n";
        return;
    }
    if (!seen.heap)
        return;
    heap_statistics const& heap = *seen.heap;
    std::cout << "\nHeap\n";
    print_facts(std::cout, {{"used", size_text(heap.used_bytes) + " in " + counted(heap.used_blocks, "block")},
                            {"free", size_text(heap.free_bytes) + " of " + size_text(heap.capacity)}});
}

// Pools have a table of their own.
void print_objects(std::vector<named_object_info> const& objects)
{
    auto const pools =
        std::count_if(objects.begin(), objects.end(), [](auto const& o) { return o.kind == named_object_kind::pool; });
    auto const count = objects.size() - static_cast<std::size_t>(pools);
    std::cout << "\nNamed objects: " << (count == 0 ? "none" : std::to_string(count)) << '\n';
    table all({{"NAME"}, {"STATE"}, {"HOLDERS", true}, {"SIZE", true}, {"KEPT"}, {"TYPE"}});
    for (named_object_info const& o : objects)
    {
        if (o.kind == named_object_kind::pool)
            continue;
        std::string const limit = o.holders_limit == 0 ? "" : " of " + std::to_string(o.holders_limit);
        all.add({printable(o.name), std::string(to_string(o.state)), std::to_string(o.holders) + limit,
                 size_text(o.size), o.kept ? "yes" : "no",
                 printable(o.type) + (o.version == 0 ? "" : ", version " + std::to_string(o.version))});
    }
    if (!all.empty())
        all.print(std::cout, 2);
}

std::string references_text(held_references const& held)
{
    std::string text;
    for (auto const& [by, count] : held.participants)
        text += (text.empty() ? "" : ", ") + id_text(by) + ": " + std::to_string(count);
    if (held.in_segment != 0)
        text += (text.empty() ? "" : ", ") + std::string("segment: ") + std::to_string(held.in_segment);
    return text;
}

void print_counted(counted_objects_info const& counted)
{
    std::cout << "\nCounted objects in the heap: "
              << (counted.outstanding == 0 ? "none" : std::to_string(counted.outstanding)) << '\n';
    if (counted.pending != 0)
        print_facts(std::cout, {{"pending", std::to_string(counted.pending)}});
    if (auto const references = references_text(counted.references); !references.empty())
        print_facts(std::cout, {{"references", references}});
}

std::string type_text(pool_info const& pool)
{
    std::string text = printable(pool.type);
    if (pool.length != 1)
        text.append("[").append(std::to_string(pool.length)).append("]");
    return text;
}

void print_pools(std::vector<pool_info> const& pools)
{
    std::cout << "\nPools: " << (pools.empty() ? "none" : std::to_string(pools.size())) << '\n';
    table all({{"NAME"},
               {"STATE"},
               {"HOLDERS", true},
               {"IN USE", true},
               {"AVAILABLE", true},
               {"LOWEST", true},
               {"PENDING", true},
               {"SIZE", true},
               {"TYPE"},
               {"REFERENCES"}});
    for (pool_info const& p : pools)
    {
        all.add(
            {printable(p.name), std::string(to_string(p.state)) + (p.kept ? ", kept" : ""), std::to_string(p.holders),
             std::to_string(p.statistics.outstanding) + " of " + std::to_string(p.statistics.capacity),
             std::to_string(p.statistics.available), std::to_string(p.statistics.low_water),
             std::to_string(p.statistics.pending), size_text(p.bytes), type_text(p), references_text(p.references)});
    }
    if (!all.empty())
        all.print(std::cout, 2);
}

void print(contents const& seen)
{
    print_header(seen);
    print_participants(seen.participants);
    print_heap(seen);
    if (!seen.summary.flat)
        print_objects(seen.objects);
    if (seen.counted)
        print_counted(*seen.counted);
    if (!seen.summary.flat)
    {
        print_pools(seen.pools);
        print_routers(std::cout, seen.routers);
    }
    for (std::string const& problem : seen.problems)
        std::cout << "\nCannot be told: " << problem << '\n';
}

exit_code run(request const& asked)
{
    contents const seen = look_at(find_segment(asked.names.front(), asked.domain));
    if (asked.json)
        std::cout << to_json(seen) << '\n';
    else
        print(seen);
    return wants_attention(seen.summary) || !seen.problems.empty() ? exit_code::attention : exit_code::done;
}

} // namespace

command const show_command = {
    .name        = "show",
    .takes       = operands::name,
    .summary     = "one segment: header, participants, heap, named objects, pools, routers",
    .help        = "Shows what is in a segment: its header, who takes part in it, how full its heap is, which named\n"
                   "objects, pools, routers and pipes there are, and who refers to how many counted objects. Only\n"
                   "looks: it takes no part, takes no lock and waits for nobody, so that numbers of a busy segment may\n"
                   "not belong to the same moment.\n",
    .json        = "  {\"segment\": SEGMENT, \"participants\": [...], \"heap\": {...}, \"named_objects\": [...],\n"
                   "  \"counted_objects\": {...}, \"pools\": [...], \"routers\": [...], \"problems\": [text...]}\n"
                   "  SEGMENT: as in list, and creation_id, status (\"open\", \"close_requested\", \"retired\"),\n"
                   "  recoveries, detection_time (nanoseconds)\n"
                   "  participant: row, incarnation, state (\"alive\", \"dead\", \"unknown\"), pid, same_pid_namespace,\n"
                   "  program, attached_at (UTC)\n"
                   "  heap (null in flat segments): capacity, used_bytes, free_bytes, used_blocks\n"
                   "  named object (null in flat segments): name, type, kind (\"object\", \"pool\"), size, alignment,\n"
                   "  version, state (\"constructing\", \"live\", \"pending\", \"closing\", \"dying\"), holders,\n"
                   "  holders_limit (0: none), kept\n"
                   "  counted_objects, of the heap (null in flat segments): outstanding, pending, references\n"
                   "  pool (null in flat segments): name, type, length, state (\"live\", \"closing\"), capacity,\n"
                   "  outstanding, available, pending, low_water, bytes, holders, kept, references\n"
                   "  references: participants (each row, incarnation, count), in_segment\n"
                   "  router (null in flat segments): name, type, holders, damaged (then nothing else of it is true),\n"
                   "  closed, room (for pipes), senders, history, pipes\n"
                   "  pipe: number, name, state (\"open\", \"shut\", \"closing\"), when_full (\"wait\", \"fail\",\n"
                   "  \"drop_oldest\"), capacity (of each sender), holders, senders, depth, sent, received, dropped,\n"
                   "  refused, oldest (nanoseconds), spins, sleeps\n",
    .add_options = nullptr,
    .run         = run,
};

} // namespace atrium::tool
