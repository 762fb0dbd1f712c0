/// Creators, openers, leavers and removers by the dozen: never two living segments under one name, never an orphan.
#include <atrium/segment/segment.hpp>

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"
#include "support/random_killer.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <set>
#include <thread>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

constexpr unsigned actors = 12;

segment_options busy_options()
{
    return {.size           = 64u << 10,
            .maximum_size   = 1u << 20,
            .participants   = 40,
            .lanes          = 64,
            .detection_time = 5ms,
            .flat           = true};
}

std::chrono::milliseconds long_enough()
{
    return long_form() ? 120s : 2s;
}

// Refusals that a crowd brings with it: the name came or went, everybody is in, or somebody was dying in the way.
bool is_to_be_expected(error_code code)
{
    return code == errc::not_found || code == errc::already_exists || code == errc::too_many_participants ||
           code == errc::segment_in_use || code == errc::timed_out || code == errc::recovery_busy;
}

// Everybody who is attached by name at the same time, and was not told that it is retired, must share one segment.
// A flat counter in it says how many are in: it is 0 in a new one, and whoever enters finds the number of those inside.
struct crowd
{
    std::atomic<std::uint64_t> creation; // low word of the creation id, written by its creator
    std::atomic<std::uint64_t> visits;
};

// What an open segment must be like; throws where it is not.
void check_one(segment const& s)
{
    auto const    bytes    = s.flat_memory().value();
    auto&         shared   = *reinterpret_cast<crowd*>(bytes.data());
    std::uint64_t expected = 0;
    // Whoever comes first leaves the id: all others must have the same.
    if (!shared.creation.compare_exchange_strong(expected, s.creation_id()[0]))
        require(expected == s.creation_id()[0], "one segment, one creation id");
    ++shared.visits;

    // Still attached, not retired: whoever opens the name now must come to this segment.
    if (s.status() != segment_status::open)
        return;
    std::optional<segment> again;
    {
        detail::unshared_opening const as_another;
        try
        {
            again.emplace(open_only, s.name());
        }
        catch (system_error const& e)
        {
            require(is_to_be_expected(e.code()), "opening again: " + e.code().message());
            if (e.code() == errc::not_found)
                require(s.status() == segment_status::retired, "an attached segment keeps its name");
            return;
        }
    }
    if (again->creation_id() != s.creation_id())
        require(s.status() == segment_status::retired, "two living segments under one name");
}

// One step of an actor's life.
void act(std::mt19937_64& random, std::string const& name, bool forced_removals)
{
    auto const what = random() % 16;
    try
    {
        if (what < 5)
            check_one(segment(open_or_create, name, busy_options()));
        else if (what < 9)
            check_one(segment(open_only, name));
        else if (what < 12)
            check_one(segment(create_only, name, busy_options()));
        else if (what < 14)
        {
            auto const removed = segment::remove(name, forced_removals && what == 13);
            require(removed || is_to_be_expected(removed.error()), "removing");
        }
        else if (what < 15)
        {
            segment const held(open_or_create, name, busy_options());
            std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
            check_one(held);
        }
        else
            static_cast<void>(segment(open_read_only, name).participants());
    }
    catch (system_error const& e)
    {
        require(is_to_be_expected(e.code()), std::string(e.what()));
    }
}

} // namespace

// Lives until told to end.
ATRIUM_TEST_ROLE(actor)
{
    std::mt19937_64 random(std::stoull(arguments.at(1)) ^ static_cast<std::uint64_t>(::getpid()));
    std::uint64_t   steps = 0;
    while (!told_to_end())
    {
        act(random, arguments.at(0), arguments.at(2) == "forced");
        ++steps;
    }
    say(std::to_string(steps));
    return 0;
}

// Opens and leaves together with others, again and again: somebody is the last.
ATRIUM_TEST_ROLE(leaver)
{
    while (auto const name = hear())
    {
        {
            segment const s(open_or_create, *name, busy_options());
            say("in");
            if (!hear())
                return 0;
        }
        say("out");
    }
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(segment_races, leaves_nothing)

BOOST_AUTO_TEST_CASE(processes_create_open_leave_and_remove_at_once)
{
    for (char const* const removals : {"gentle", "forced"})
    {
        auto const         name = unique_name("crowd");
        std::vector<child> all;
        for (unsigned n = 0; n < actors; ++n)
            all.emplace_back("actor", test::arguments{name, std::to_string(seed() + n), removals});
        std::this_thread::sleep_for(long_enough()); // how long it lasts; nothing is awaited by it
        for (child& one : all)
            one.close_input();
        std::uint64_t steps = 0;
        for (child& one : all)
        {
            BOOST_TEST(one.wait(30s) == exited(0));
            if (auto const line = one.line(1s))
                steps += std::stoull(*line);
        }
        BOOST_TEST_MESSAGE(steps << " steps with " << removals << " removals");
        BOOST_TEST(steps > 100u);
        BOOST_TEST(!is_there(name)); // all have left: no orphan
    }
}

BOOST_AUTO_TEST_CASE(threads_create_open_leave_and_remove_at_once)
{
    auto const               name = unique_name("threads");
    deadline const           end  = long_enough();
    std::atomic<std::size_t> steps{0};
    std::vector<std::string> failures(actors);
    std::vector<std::thread> all;
    for (unsigned n = 0; n < actors; ++n)
        all.emplace_back([&, n] {
            std::mt19937_64 random(seed() + n);
            try
            {
                for (; !end.passed(); ++steps)
                    act(random, name, n % 2 == 0);
            }
            catch (std::exception const& e)
            {
                failures[n] = e.what();
            }
        });
    for (std::thread& one : all)
        one.join();
    for (std::string const& failure : failures)
        BOOST_TEST(failure == "");
    BOOST_TEST_MESSAGE(steps << " steps");
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(of_many_that_leave_at_once_one_removes_the_name)
{
    std::vector<child> all;
    for (unsigned n = 0; n < 4; ++n)
        all.emplace_back("leaver");
    for (int round = 0; round < (long_form() ? 10'000 : 200); ++round)
    {
        auto const name = unique_name("together");
        for (child& one : all)
            one.send_line(name);
        for (child& one : all)
            one.wait_for_line("in", 10s);
        for (child& one : all)
            one.send_line("leave");
        for (child& one : all)
            one.wait_for_line("out", 10s);
        BOOST_TEST(!is_there(name));
    }
    for (child& one : all)
    {
        one.close_input();
        BOOST_TEST(one.wait(10s) == exited(0));
    }
}

BOOST_AUTO_TEST_CASE(killers_at_work_change_nothing)
{
    auto const         name = unique_name("killed");
    std::vector<actor> all;
    for (unsigned n = 0; n < actors; ++n)
        all.push_back({"actor", {name, std::to_string(seed() + n), n % 2 == 0 ? "forced" : "gentle"}});
    auto const report = kill_at_random(all, {.kills = long_form() ? 10'000u : 300u});
    BOOST_TEST(report.unexpected == 0u);
    BOOST_TEST_MESSAGE(report.kills << " kills");
    // Whoever was killed last may have left a name; whoever comes next makes it a good one again.
    {
        segment s(open_or_create, name, busy_options());
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(s.participants().size() == 1u);
    }
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_SUITE_END()
