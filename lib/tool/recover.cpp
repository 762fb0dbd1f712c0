#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/failure.hpp"
#include "tool/table.hpp"
#include "tool/text.hpp"

#include <atrium/segment/segment.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <vector>

namespace atrium::tool {

namespace po = boost::program_options;

namespace {

constexpr double longest_timeout = 86'400; // seconds

deadline timeout_of(request const& asked)
{
    double const seconds = asked.own["timeout"].as<double>();
    if (!(seconds >= 0 && seconds <= longest_timeout))
        throw failure(exit_code::usage, "--timeout takes 0 to 86400 seconds", {}, errc::invalid_argument);
    return std::chrono::duration<double>(seconds);
}

// Who they were, as long as their rows tell; nothing depends on it.
std::vector<participant_info> participants_before(segment_summary const& of)
{
    try
    {
        return segment(open_read_only, of.name, {.any_owner = true, .domain = of.domain}).participants();
    }
    catch (system_error const&)
    {
        return {};
    }
}

struct outcome
{
    segment_summary               summary; // before
    recovery_report               report;
    std::vector<participant_info> dead; // with what was known of them
    bool                          removed = false;
};

outcome recover(segment_summary const& summary, bool any_owner, deadline until)
{
    if (summary.error)
        throw failed_to("recover", summary, summary.error);
    auto const before = participants_before(summary);
    auto const report = recover_segment(summary.name, summary.domain, until, any_owner);
    if (!report)
        throw failed_to("recover", summary, report.error());
    outcome done{summary, *report, {}, false};
    for (participant_id const id : report->dead)
    {
        auto const known =
            std::find_if(before.begin(), before.end(), [&](participant_info const& p) { return p.id == id; });
        done.dead.push_back(known != before.end() ? *known : participant_info{.id = id, .program = {}});
    }
    auto const after = summarize_segment(summary.name, summary.domain);
    done.removed     = !after && after.error() == errc::not_found;
    return done;
}

// Not where a place of the dead had to be taken to join: the report has only who they were.
bool is_complete(recovery_report const& report) noexcept
{
    return report.dead.empty() || report.duration.count() != 0;
}

void print_json(outcome const& done)
{
    recovery_report const& r = done.report;
    boost::json::array     dead;
    for (participant_info const& p : done.dead)
        dead.push_back({{"row", p.id.row()},
                        {"incarnation", p.id.incarnation()},
                        {"pid", p.pid},
                        {"program", printable(p.program)}});
    std::cout << boost::json::object{{"domain", done.summary.domain},
                                     {"name", done.summary.name},
                                     {"dead", std::move(dead)},
                                     {"complete", is_complete(r)},
                                     {"operations_rolled_back", r.operations_rolled_back},
                                     {"blocks_reclaimed", r.blocks_reclaimed},
                                     {"bytes_reclaimed", r.bytes_reclaimed},
                                     {"lanes_released", r.lanes_released},
                                     {"holds_released", r.holds_released},
                                     {"objects_abandoned", r.objects_abandoned},
                                     {"objects_destroyed", r.objects_destroyed},
                                     {"objects_pending", r.objects_pending},
                                     {"duration", r.duration.count()},
                                     {"removed", done.removed}}
              << '\n';
}

void print_report(outcome const& done)
{
    recovery_report const& r = done.report;
    table                  dead({{"ID"}, {"PID", true}, {"PROGRAM"}, {"ATTACHED"}});
    for (participant_info const& p : done.dead)
        dead.add({std::to_string(p.id.row()) + "/" + std::to_string(p.id.incarnation()), std::to_string(p.pid),
                  printable(p.program), moment_text(p.attached_at)});
    dead.print(std::cout, 2);
    if (!is_complete(r))
    {
        std::cout
            << "  All places were taken: one of theirs was taken over first, and what went with it was not counted.\n";
        return;
    }
    print_facts(std::cout,
                {{"operations rolled back", std::to_string(r.operations_rolled_back)},
                 {"memory reclaimed", size_text(r.bytes_reclaimed) + " in " + counted(r.blocks_reclaimed, "block")},
                 {"lanes released", std::to_string(r.lanes_released)},
                 {"holds of named objects released", std::to_string(r.holds_released)},
                 {"objects cut off half-made, reclaimed", std::to_string(r.objects_abandoned)},
                 {"objects destroyed", std::to_string(r.objects_destroyed)},
                 {"objects left to who knows their type", std::to_string(r.objects_pending)}});
}

void print(outcome const& done)
{
    std::string const which = "segment '" + done.summary.name + "' of domain '" + done.summary.domain + "'";
    if (done.dead.empty())
        std::cout << "Nothing to recover: " << which << " has no dead participants.\n";
    else
    {
        std::cout << "Recovered " << which << " from the death of " << counted(done.dead.size(), "participant")
                  << (is_complete(done.report) ? " in " + duration_text(done.report.duration) : "") << ".\n";
        print_report(done);
    }
    if (done.removed)
        std::cout << "Nobody else uses it, and it was not made to be kept: it is gone.\n";
}

void add_options(po::options_description_easy_init options)
{
    options("timeout", po::value<double>()->default_value(10, "10")->value_name("SECONDS"),
            "how long to wait for another process that is recovering it") //
        ("any-owner", po::bool_switch(), "also a segment of another user");
}

exit_code run(request const& asked)
{
    deadline const until = timeout_of(asked);
    outcome const  done =
        recover(find_segment(asked.names.front(), asked.domain), asked.own["any-owner"].as<bool>(), until);
    if (asked.json)
        print_json(done);
    else
        print(done);
    return exit_code::done;
}

} // namespace

command const recover_command = {
    .name    = "recover",
    .takes   = operands::name,
    .summary = "remove the traces of dead participants from a segment",
    .help = "Joins a segment, removes what dead participants have left in it, says what that was, and leaves it. Its\n"
            "users do the same by themselves as soon as they wait for something, and whoever opens it does at once.\n\n"
            "As with every user, the last to leave a segment that was not made to be kept removes it: recovering one\n"
            "that nobody alive uses (`atrium list` says abandoned) ends it.\n\n"
            "Objects whose destructor this program does not have are left to the next process that uses their type.\n",
    .json = "  {domain, name, dead: [{row, incarnation, pid, program}], complete (false: the numbers are not\n"
            "  known, as a place of the dead had to be taken over), operations_rolled_back, blocks_reclaimed, "
            "bytes_reclaimed, lanes_released, holds_released, objects_abandoned (cut off half-made),\n"
            "  objects_destroyed, objects_pending (left to the next process that uses their type),\n"
            "  duration (nanoseconds), removed (whether the segment went with it)}\n",
    .add_options = add_options,
    .run         = run,
};

} // namespace atrium::tool
