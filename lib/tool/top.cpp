#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/failure.hpp"
#include "tool/routers.hpp"
#include "tool/table.hpp"
#include "tool/text.hpp"
#include "tool/watch.hpp"

#include "os/console.hpp"
#include "os/process.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <sstream>
#include <vector>

namespace atrium::tool {

namespace po = boost::program_options;

namespace {

constexpr double shortest_interval = 0.01; // seconds
constexpr double longest_interval  = 86'400;

// What the user asked for.
struct terms
{
    std::chrono::duration<double> interval;
    std::int64_t                  count; // refreshes; 0: no end
    bool                          json;
};

terms terms_of(request const& asked)
{
    terms const wanted{std::chrono::duration<double>(asked.own["interval"].as<double>()),
                       asked.own.count("count") != 0 ? asked.own["count"].as<std::int64_t>() : 0, asked.json};
    if (!(wanted.interval.count() >= shortest_interval && wanted.interval.count() <= longest_interval))
        throw failure(exit_code::usage, "--interval takes 0.01 to 86400 seconds", {}, errc::invalid_argument);
    if (asked.own.count("count") != 0 && wanted.count < 1)
        throw failure(exit_code::usage, "--count takes 1 and more", {}, errc::invalid_argument);
    return wanted;
}

// `12.5`, `1234`; three digits tell enough.
std::string rate_text(std::optional<double> rate)
{
    if (!rate)
        return "-";
    std::ostringstream text;
    text.setf(std::ios::fixed);
    text.precision(*rate < 99.95 && *rate != 0 ? 1 : 0);
    text << *rate;
    return text.str();
}

// ---- for programs ------------------------------------------------------------------------------------------------

boost::json::value to_value(std::optional<double> rate)
{
    return rate ? boost::json::value(*rate) : boost::json::value(nullptr);
}

boost::json::object with_rates(boost::json::object of, rates const& r)
{
    of["sent_rate"]     = to_value(r.sent);
    of["received_rate"] = to_value(r.received);
    of["dropped_rate"]  = to_value(r.dropped);
    return of;
}

boost::json::object to_json(watched_router const& router)
{
    boost::json::object all = tool::to_json(router.info);
    boost::json::array  pipes;
    for (std::size_t n = 0; n < router.info.pipes.size(); ++n)
        pipes.push_back(with_rates(tool::to_json(router.info.pipes[n]), router.per_second[n]));
    all["pipes"] = std::move(pipes);
    return all;
}

std::string json_line(watched const& seen, std::uint64_t now)
{
    boost::json::array segments;
    for (watched_segment const& s : seen.segments)
    {
        boost::json::array routers;
        for (watched_router const& r : s.routers)
            routers.push_back(to_json(r));
        segments.push_back({{"domain", s.summary.domain},
                            {"name", s.summary.name},
                            {"alive", s.summary.alive},
                            {"dead", s.summary.dead},
                            {"routers", std::move(routers)}});
    }
    return boost::json::serialize(
               boost::json::object{{"time", moment_iso(now)},
                                   {"segments", std::move(segments)},
                                   {"problems", boost::json::array(seen.problems.begin(), seen.problems.end())}}) +
           '\n';
}

// ---- lines -------------------------------------------------------------------------------------------------------

std::string lines(watched const& seen, std::uint64_t now)
{
    std::ostringstream text;
    for (watched_segment const& s : seen.segments)
    {
        for (watched_router const& r : s.routers)
        {
            for (std::size_t n = 0; n < r.info.pipes.size(); ++n)
            {
                pipe_info const& p = r.info.pipes[n];
                text << moment_iso(now) << ' ' << s.summary.domain << '/' << s.summary.name << ' '
                     << printable(r.info.name) << ':' << printable(p.name) << " state=" << to_string(p.state)
                     << " alive=" << s.summary.alive << " dead=" << s.summary.dead << " holders=" << p.holders
                     << " senders=" << p.senders << " depth=" << p.depth << " sent=" << p.sent
                     << " received=" << p.received << " dropped=" << p.dropped << " refused=" << p.refused
                     << " sent/s=" << rate_text(r.per_second[n].sent)
                     << " received/s=" << rate_text(r.per_second[n].received)
                     << " dropped/s=" << rate_text(r.per_second[n].dropped) << '\n';
            }
        }
    }
    for (std::string const& problem : seen.problems)
        text << moment_iso(now) << " problem: " << problem << '\n';
    return text.str();
}

// ---- the screen --------------------------------------------------------------------------------------------------

std::vector<std::string> row_of(pipe_info const& p, rates const& r)
{
    return {"    " + printable(p.name), std::string(to_string(p.state)),
            std::to_string(p.depth),    rate_text(r.sent),
            rate_text(r.received),      rate_text(r.dropped),
            std::to_string(p.dropped),  oldest_text(p),
            std::to_string(p.holders),  std::to_string(p.senders),
            std::to_string(p.refused)};
}

// The sums of its pipes.
std::vector<std::string> row_of(watched_router const& router)
{
    pipe_info all;
    rates     per_second;
    for (std::size_t n = 0; n < router.info.pipes.size(); ++n)
    {
        pipe_info const& p = router.info.pipes[n];
        all.depth += p.depth;
        all.dropped += p.dropped;
        all.refused += p.refused;
        all.oldest = std::max(all.oldest, p.oldest);
        per_second = sum(per_second, router.per_second[n]);
    }
    all.holders = router.info.holders;
    all.senders = router.info.senders;
    auto row    = row_of(all, per_second);
    row[0]      = "  " + printable(router.info.name);
    row[1]      = state_text(router.info);
    return row;
}

std::string participants_text(segment_summary const& s)
{
    return std::to_string(s.alive) + " alive" + (s.dead == 0 ? "" : ", " + std::to_string(s.dead) + " dead");
}

std::vector<std::string> table_of(watched const& seen)
{
    // What is wanted most comes first: narrow terminals cut the rest off.
    table all({{"NAME"},
               {"STATE"},
               {"DEPTH", true},
               {"SENT/S", true},
               {"RECEIVED/S", true},
               {"DROPPED/S", true},
               {"DROPPED", true},
               {"OLDEST", true},
               {"HOLDERS", true},
               {"SENDERS", true},
               {"REFUSED", true}});
    for (watched_segment const& s : seen.segments)
    {
        all.add({s.summary.domain + '/' + s.summary.name, participants_text(s.summary)});
        for (watched_router const& r : s.routers)
        {
            all.add(row_of(r));
            for (std::size_t n = 0; n < r.info.pipes.size(); ++n)
                all.add(row_of(r.info.pipes[n], r.per_second[n]));
        }
    }
    std::stringstream text;
    if (!all.empty())
        all.print(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);)
        lines.push_back(std::move(line));
    return lines;
}

// From the upper left corner on; what does not fit is counted.
std::string drawn(watched const& seen, std::uint64_t now, terms const& wanted, os::screen_size size)
{
    std::vector<std::string> all{"atrium top, " + clock_text(now) + ", every " +
                                 duration_text(std::chrono::round<std::chrono::nanoseconds>(wanted.interval)) +
                                 " (q: end)"};
    for (std::string& line : table_of(seen))
        all.push_back(std::move(line));
    if (seen.segments.empty())
        all.emplace_back("There is no segment with a heap.");
    for (std::string const& problem : seen.problems)
        all.push_back("Cannot be told: " + problem);
    if (all.size() > size.rows)
    {
        std::size_t const left = all.size() - (size.rows - 1);
        all.resize(size.rows - 1);
        all.push_back("... and " + counted(left, "line"));
    }
    std::string text = "\x1b[H";
    for (std::size_t n = 0; n < all.size(); ++n)
        text.append(n == 0 ? "" : "\r\n").append(all[n], 0, size.columns).append("\x1b[K");
    return text.append("\x1b[J");
}

// ---- going on ----------------------------------------------------------------------------------------------------

// Written whole, unless the user wants no more.
bool write(os::console& to, std::string const& text)
{
    auto const written = to.write(text);
    if (!written)
        throw failure(exit_code::failed, "cannot write to standard output: " + written.error().message(), {},
                      written.error());
    return *written;
}

// One refresh.
bool show(os::console& to, watched const& seen, terms const& wanted)
{
    std::uint64_t const now = os::wall_clock_nanoseconds();
    if (wanted.json)
        return write(to, json_line(seen, now));
    return write(to, to.has_screen() ? drawn(seen, now, wanted, to.size()) : lines(seen, now));
}

exit_code run(request const& asked)
{
    using clock        = std::chrono::steady_clock;
    terms const wanted = terms_of(asked);
    watch       segments(asked.names, asked.domain);
    segments.require_all();
    auto const  interval = std::chrono::ceil<clock::duration>(wanted.interval);
    os::console console(!wanted.json);
    auto        next = clock::now();
    for (std::int64_t n = 1;; ++n)
    {
        watched const seen = segments.look();
        if (!show(console, seen, wanted) || n == wanted.count)
            return exit_code::done;
        next = std::max(next + interval, clock::now()); // what was late is not made up for
        for (auto event = os::console_event::redraw; event != os::console_event::timed_out;)
        {
            event = console.wait(next);
            if (event == os::console_event::stop ||
                (event == os::console_event::redraw && !show(console, seen, wanted)))
                return exit_code::done;
        }
    }
}

void add_options(po::options_description_easy_init options)
{
    options("interval", po::value<double>()->default_value(1, "1")->value_name("SECONDS"),
            "from one refresh to the next; fractions are allowed") //
        ("count", po::value<std::int64_t>()->value_name("N"), "refresh so often, then end");
}

} // namespace

command const top_command = {
    .name        = "top",
    .takes       = operands::names,
    .summary     = "routers and pipes as they go: rates, depths, drops, participants",
    .help        = "Shows routers and pipes, how many references per second go through them, how many are in them and\n"
                   "were dropped, and how many processes take part; of the segments named, or of all. Refreshes until q\n"
                   "or Ctrl-C is pressed. Where standard output is no terminal, a line is written for each pipe and\n"
                   "refresh, which begins with the time in UTC. Only looks, as show does.\n\n"
                   "Segments may come and go meanwhile; those named must be there in the beginning. Rates are what was\n"
                   "counted since the refresh before: there is none of what was not there then, nor where a sender has\n"
                   "ended in between, and what it had counted with it.\n",
    .json        = "  one document in each line, for each refresh:\n"
                   "  {\"time\": UTC, \"segments\": [{domain, name, alive, dead, \"routers\": [...]}...],\n"
                   "  \"problems\": [text...]}\n"
                   "  router, pipe: as in show; a pipe also has sent_rate, received_rate, dropped_rate (references per\n"
                   "  second, null where they cannot be told)\n",
    .add_options = add_options,
    .run         = run,
};

} // namespace atrium::tool
