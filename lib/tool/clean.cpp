#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/failure.hpp"
#include "tool/table.hpp"
#include "tool/text.hpp"

#include "os/process.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <algorithm>
#include <iostream>
#include <optional>
#include <vector>

namespace atrium::tool {

namespace po = boost::program_options;

namespace {

struct choices
{
    bool dry_run = false;
    bool kept    = false;
    bool force   = false;
};

/// What becomes of a segment.
enum class action
{
    removed = 1,
    would_remove,
    left,
    failed,
};

struct decision
{
    segment_summary about;
    action          taken = action::left;
    std::string     why;
    error_code      error{};
};

bool is_anothers(segment_summary const& s) noexcept
{
    std::uint32_t const self = os::effective_user();
    return self != 0 && self != s.owner;
}

// Why a segment is left alone; nothing where it is to go.
std::optional<std::string> reason_to_leave(segment_summary const& s, choices const& asked)
{
    condition const is = condition_of(s);
    if (is == condition::in_use)
        return "in use";
    if (is_anothers(s))
        return "belongs to " + user_name(s.owner);
    if (is == condition::kept && !asked.kept)
        return "kept; --kept removes it too";
    if (is == condition::hidden)
        return s.error.message();
    if (is == condition::unusable && !asked.force)
        return s.error.message() + "; --force removes it too";
    return std::nullopt;
}

std::string reason_to_go(segment_summary const& s)
{
    switch (condition_of(s))
    {
    case condition::kept:
        return "kept, but nobody uses it";
    case condition::retired:
        return "was removed by force before";
    case condition::unusable:
        return s.error.message();
    default:
        return s.dead == 0 ? "nobody uses it" : "nobody uses it, " + std::to_string(s.dead) + " died";
    }
}

decision decide_and_do(segment_summary const& s, choices const& asked)
{
    if (auto reason = reason_to_leave(s, asked))
        return {s, action::left, *reason};
    if (asked.dry_run)
        return {s, action::would_remove, reason_to_go(s)};
    bool const unusable = condition_of(s) == condition::unusable;
    auto const removed =
        unusable ? remove_unusable_file(s.name, s.domain) : remove_abandoned_segment(s.name, s.domain, asked.kept);
    error_code const error = removed ? error_code() : removed.error();
    if (error == errc::segment_in_use)
        return {s, action::left, "in use since a moment ago"};
    if (error == errc::not_found)
        return {s, action::left, "gone already"};
    if (error)
        return {s, action::failed, error.message(), error};
    return {s, action::removed, reason_to_go(s)};
}

// ---- output ------------------------------------------------------------------------------------------------------

char const* word(action taken) noexcept
{
    switch (taken)
    {
    case action::removed:
        return "removed";
    case action::would_remove:
        return "would_remove";
    case action::left:
        return "left";
    case action::failed:
        break;
    }
    return "failed";
}

std::size_t count(std::vector<decision> const& all, action taken)
{
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](decision const& d) { return d.taken == taken; }));
}

std::uint64_t bytes(std::vector<decision> const& all, action taken)
{
    std::uint64_t sum = 0;
    for (decision const& d : all)
        sum += d.taken == taken ? d.about.touched : 0;
    return sum;
}

void print_json(std::vector<decision> const& all, choices const& asked)
{
    action const       wanted = asked.dry_run ? action::would_remove : action::removed;
    boost::json::array segments;
    for (decision const& d : all)
    {
        boost::json::object one{{"domain", d.about.domain},
                                {"name", d.about.name},
                                {"condition", to_string(condition_of(d.about))},
                                {"touched", d.about.touched},
                                {"action", word(d.taken)},
                                {"reason", d.why},
                                {"error", nullptr}};
        if (d.error)
            one["error"] = to_json(d.error);
        segments.push_back(std::move(one));
    }
    std::cout << boost::json::object{{"dry_run", asked.dry_run},
                                     {"segments", std::move(segments)},
                                     {"count", count(all, wanted)},
                                     {"bytes", bytes(all, wanted)}}
              << '\n';
}

void print(std::vector<decision> const& all, choices const& asked)
{
    action const wanted = asked.dry_run ? action::would_remove : action::removed;
    table        lines({{"ACTION"}, {"DOMAIN"}, {"NAME"}, {"TOUCHED", true}, {"WHY"}});
    for (decision const& d : all)
    {
        std::string const shown = d.taken == action::would_remove ? "would remove" : word(d.taken);
        lines.add({shown, d.about.domain, d.about.name, size_text(d.about.touched), d.why});
    }
    if (!lines.empty())
        lines.print(std::cout);
    std::cout << (asked.dry_run ? "Would remove " : "Removed ") << counted(count(all, wanted), "segment") << " ("
              << size_text(bytes(all, wanted)) << ").\n";
    for (decision const& d : all)
    {
        if (d.taken == action::failed)
            std::cerr << "atrium clean: " << failed_to("remove", d.about, d.error).what() << ".\n"
                      << advice_for(d.error, d.about) << '\n';
    }
}

exit_code status_of(std::vector<decision> const& all)
{
    if (count(all, action::failed) != 0)
        return exit_code::failed;
    bool const rest = std::any_of(all.begin(), all.end(), [](decision const& d) {
        return d.taken == action::would_remove ||
               (d.taken == action::left && condition_of(d.about) == condition::unusable && !is_anothers(d.about));
    });
    return rest ? exit_code::attention : exit_code::done;
}

void add_options(po::options_description_easy_init options)
{
    options                                                                               //
        ("dry-run,n", po::bool_switch(), "say what would be removed, and remove nothing") //
        ("kept", po::bool_switch(), "also segments that were made to be kept")            //
        ("force", po::bool_switch(), "also files under names of segments that cannot be used as one");
}

exit_code run(request const& asked)
{
    choices const         chosen{.dry_run = asked.own["dry-run"].as<bool>(),
                                 .kept    = asked.own["kept"].as<bool>(),
                                 .force   = asked.own["force"].as<bool>()};
    std::vector<decision> all;
    for (segment_summary const& s : list_segments(asked.domain))
        all.push_back(decide_and_do(s, chosen));
    if (asked.json)
        print_json(all, chosen);
    else
        print(all, chosen);
    return status_of(all);
}

} // namespace

command const clean_command = {
    .name    = "clean",
    .takes   = operands::none,
    .summary = "remove segments that nobody alive uses",
    .help = "Removes the segments that nobody alive uses: what is left when the last user was killed. A process that\n"
            "is only stopped is alive. Segments that were made to be kept go with --kept only; those of other\n"
            "users never, but for root.\n\n"
            "Files under names of segments that are none, are damaged, or were made by another version or on\n"
            "another platform are named and left alone. --force removes them too, unless somebody holds them as\n"
            "participants do; whether a program of another kind needs them is yours to know.\n\n"
            "Exit status 1: something unusable was left, or with --dry-run there is something to remove.\n",
    .json =
        "  {\"dry_run\", \"segments\": [{domain, name, condition (as in list), touched (bytes), action\n"
        "  (\"removed\", \"would_remove\", \"left\", \"failed\"), reason (text), error (null, or {code, message})}],\n"
        "  \"count\", \"bytes\" (of what was or would be removed)}\n",
    .add_options = add_options,
    .run         = run,
};

} // namespace atrium::tool
