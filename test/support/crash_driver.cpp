#include "support/crash_driver.hpp"

#include "support/transcript.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <sstream>
#include <utility>

namespace atrium::test {

namespace {

constexpr std::uint64_t give_up_after = 5;
constexpr std::uint64_t never_so_many = 1'000'000; // a scenario that meets more points every time has no end

enum class act
{
    kill,
    stop
};

std::uint64_t number_in(char const* variable)
{
    char const* const given = std::getenv(variable);
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 0;
}

// The point that is to be looked at, or the pair; 0 where all are.
std::pair<std::uint64_t, std::uint64_t> point_asked_for()
{
    char const* const given = std::getenv("ATRIUM_POINT");
    if (given == nullptr)
        return {0, 0};
    char*      rest  = nullptr;
    auto const first = std::strtoull(given, &rest, 10);
    return {first, *rest == ':' ? std::strtoull(rest + 1, nullptr, 10) : 0};
}

// A victim's options for one run, and the trace through which we see what became of it.
struct victim
{
    explicit victim(std::uint64_t at, act what = act::kill) : at(at), what(what)
    {
        if (what == act::kill)
            options.crash_at = at;
        else
            options.stop_at = at;
        options.trace =
            std::make_shared<crash_trace>(crash_orders{.crash_at = options.crash_at, .stop_at = options.stop_at});
    }

    [[nodiscard]] std::uint64_t met() const { return options.trace->points_met(); }
    [[nodiscard]] bool          reached() const { return at != 0 && met() >= at; }

    // A stopped victim is resumed or killed, as its scenario likes it.
    [[nodiscard]] bool ended_well(exit_status how) const
    {
        if (!reached())
            return how == exited(0);
        return how == killed(SIGKILL) || (what == act::stop && how == exited(0));
    }

    void describe(std::ostream& to) const
    {
        if (at == 0)
            to << "left alone";
        else if (reached())
            to << (what == act::kill ? "killed" : "stopped") << " at point " << at << " \""
               << options.trace->last_point() << '"';
        else
            to << "to be " << (what == act::kill ? "killed" : "stopped") << " at point " << at << ", met only "
               << met();
    }

    std::uint64_t at;
    act           what;
    child_options options = {};
};

// Calls `run`, which returns a text about what it did not like, and counts it; where a check failed, `where` says at
// which points that was.
template <class Run, class Where> void watched(crash_report& report, Run run, Where where)
{
    auto const said = [&] {
        std::ostringstream text;
        text << "the run above was: ";
        where(text);
        return text.str();
    };
    ++report.runs;
    auto const  before = failures_so_far();
    std::string complaint;
    try
    {
        complaint = run();
    }
    catch (...)
    {
        fail(said());
        throw;
    }
    if (complaint.empty() && failures_so_far() == before)
        return;
    ++report.failures;
    fail(said() + complaint);
}

std::string complaint_about(victim const& who, char const* name, exit_status how)
{
    if (who.ended_well(how))
        return {};
    std::ostringstream text;
    text << "; the " << name << " ended with " << how;
    return text.str();
}

// One run; false where the victim ended by itself.
bool run_once(crash_scenario const& scenario, victim const& who, crash_report& report)
{
    watched(
        report, [&] { return complaint_about(who, "victim", scenario(who.options)); },
        [&](std::ostream& to) { who.describe(to); });
    return who.reached();
}

// False where there is nothing to kill.
bool note_points(victim const& alone, crash_report& report)
{
    report.points = alone.met();
    report.names  = alone.options.trace->names();
    if (report.points != 0)
        return true;
#ifdef ATRIUM_CRASH_POINTS
    fail("the victim met no crash point: did it call arm()?");
#else
    BOOST_TEST_MESSAGE("built without crash points: nothing is killed");
#endif
    return false;
}

crash_report finished(crash_report report)
{
    std::ostringstream text;
    text << report;
    BOOST_TEST_MESSAGE(text.str());
    if (report.failures >= give_up_after)
        fail("given up after " + std::to_string(report.failures) + " points with failures");
    return report;
}

crash_report for_every_point(crash_scenario const& scenario, act what)
{
    crash_report report;
    if (auto const only = point_asked_for().first; only != 0)
    {
        run_once(scenario, victim(only, what), report);
        return finished(std::move(report));
    }
    victim const alone(0, what);
    run_once(scenario, alone, report);
    if (report.failures != 0 || !note_points(alone, report))
        return finished(std::move(report));

    auto const      sample = long_form() ? 1 : std::max<std::uint64_t>(number_in("ATRIUM_SAMPLE"), 1);
    std::mt19937_64 random(sample > 1 ? seed() : 0);
    std::uniform_int_distribution<std::uint64_t> step(1, 2 * sample - 1);
    bool                                         reached = true;
    for (auto at = step(random); (reached || at <= report.points) && report.failures < give_up_after;
         at += step(random))
    {
        reached = run_once(scenario, victim(at, what), report);
        require(at < never_so_many, "the scenario's crash points come to an end");
    }
    return finished(std::move(report));
}

// The pairs of one scenario.
class pair_runner
{
public:
    explicit pair_runner(crash_pair_scenario const& scenario) : scenario_(scenario) {}

    // One run; returns whether the second victim was reached.
    bool run(std::uint64_t first_at, std::uint64_t second_at)
    {
        victim const first(first_at);
        victim const second(second_at);
        watched(
            report,
            [&] {
                auto const how = scenario_(first.options, second.options);
                return complaint_about(first, "first", how.first) + complaint_about(second, "second", how.second);
            },
            [&](std::ostream& to) {
                to << "ATRIUM_POINT=" << first_at << ':' << second_at << ": first ";
                first.describe(to);
                to << ", second ";
                second.describe(to);
            });
        if (first_at == 0)
            note_points(first, report);
        second_points = std::max(second_points, second.met());
        return second.reached();
    }

    [[nodiscard]] bool given_up() const { return report.failures >= give_up_after; }

    crash_report  report;
    std::uint64_t second_points = 0; // the most that were met

private:
    crash_pair_scenario const& scenario_;
};

void run_all_pairs(pair_runner& pairs)
{
    for (std::uint64_t first = 1; first <= pairs.report.points && !pairs.given_up(); ++first)
        for (std::uint64_t second = 1; pairs.run(first, second) && !pairs.given_up(); ++second)
            require(second < never_so_many, "the second victim's crash points come to an end");
}

void run_some_pairs(pair_runner& pairs, std::uint64_t samples)
{
    std::mt19937_64 random(seed());
    auto const      up_to = [&](std::uint64_t most) {
        return std::uniform_int_distribution<std::uint64_t>(1, std::max<std::uint64_t>(most, 1))(random);
    };
    // How many points the second meets depends on where the first was killed: a few are tried first.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(samples, 5) && !pairs.given_up(); ++i)
        pairs.run(up_to(pairs.report.points), 0);
    for (std::uint64_t i = 0; i < samples && !pairs.given_up(); ++i)
    {
        auto const first = up_to(pairs.report.points); // in this order: arguments would be evaluated in any
        pairs.run(first, up_to(pairs.second_points));
    }
}

} // namespace

std::ostream& operator<<(std::ostream& to, crash_report const& report)
{
    return to << report.points << " crash points with " << report.names.size() << " names, " << report.runs << " runs, "
              << report.failures << " points with failures";
}

crash_report for_every_crash_point(crash_scenario const& scenario)
{
    return for_every_point(scenario, act::kill);
}

crash_report for_every_stop_point(crash_scenario const& scenario)
{
    return for_every_point(scenario, act::stop);
}

crash_report for_crash_pairs(crash_pair_scenario const& scenario, std::uint64_t samples)
{
    pair_runner pairs(scenario);
    if (auto const [first, second] = point_asked_for(); first != 0)
    {
        pairs.run(first, second);
        return finished(std::move(pairs.report));
    }
    pairs.run(0, 0);
    if (pairs.report.failures == 0 && pairs.report.points != 0)
    {
        if (long_form())
            run_all_pairs(pairs);
        else
            run_some_pairs(pairs, samples);
    }
    return finished(std::move(pairs.report));
}

} // namespace atrium::test
