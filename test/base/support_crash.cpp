// The drivers that kill and stop children at crash points and at random moments, on a small log in a file.
#include "support/crash_driver.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"
#include "support/random_killer.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/name.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace test = atrium::test;
using namespace std::chrono_literals;

namespace {

// Not the macro: the library may be built without points.
void point(char const* name)
{
    atrium::detail::crash_point(name);
}

std::uint64_t lines_in(std::string const& file)
{
    std::ifstream lines(file);
    std::uint64_t count = 0;
    for (std::string line; std::getline(lines, line);)
        ++count;
    return count;
}

// A file of this test that goes with it.
struct log_file
{
    std::string name = "/dev/shm/atrium." + atrium::default_domain() + "." + test::unique_name("log");
    log_file() { std::ofstream(name).flush(); }
    log_file(log_file const&)            = delete;
    log_file& operator=(log_file const&) = delete;
    ~log_file() { std::filesystem::remove(name); }
};

// Sets an environment variable for a while.
struct setting
{
    setting(char const* variable, char const* value) : name(variable) { ::setenv(variable, value, 1); }
    setting(setting const&)            = delete;
    setting& operator=(setting const&) = delete;
    ~setting() { ::unsetenv(name); }
    char const* name;
};

} // namespace

// Appends a line after each of 2 points × the number given.
ATRIUM_TEST_ROLE(logger)
{
    point("log.before_armed");
    test::arm();
    auto const rounds = std::stoi(arguments.at(1));
    for (int i = 0; i < rounds; ++i)
        for (char const* name : {"log.one", "log.two"})
        {
            point(name);
            std::ofstream(arguments.at(0), std::ios::app) << name << std::endl;
        }
    test::require(test::points_met() == static_cast<std::uint64_t>(2 * rounds), "every point is counted");
    test::require(test::last_point() == (rounds != 0 ? "log.two" : ""), "the last one is known");
    test::disarm();
    point("log.after");
    test::require(test::points_met() == static_cast<std::uint64_t>(2 * rounds), "no point is counted any more");
    return 0;
}

ATRIUM_TEST_ROLE(many_threads)
{
    test::arm();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([] {
            for (int round = 0; round < 1000; ++round)
                point("thread.step");
        });
    for (auto& thread : threads)
        thread.join();
    return 0;
}

ATRIUM_TEST_ROLE(forks_when_armed)
{
    test::arm();
    point("fork.before");
    pid_t const forked = ::fork();
    point("fork.after");
    if (forked == 0)
        ::_exit(0);
    int status = 0;
    ::waitpid(forked, &status, 0);
    test::require(status == 0, "the forked process is not killed in the place of the child");
    return 0;
}

// Appends a line again and again.
ATRIUM_TEST_ROLE(worker)
{
    test::arm();
    while (!test::told_to_end())
    {
        point("worker.step");
        std::ofstream(arguments.at(0), std::ios::app) << "line" << std::endl;
        std::this_thread::sleep_for(200us);
    }
    return 0;
}

ATRIUM_TEST_ROLE(gives_up)
{
    std::this_thread::sleep_for(5ms);
    return 3;
}

// Runs a test case of this program that must fail, with its messages on standard output.
ATRIUM_TEST_ROLE(planted)
{
    ::dup2(STDOUT_FILENO, STDERR_FILENO);
    auto const filter = "--run_test=planted/" + arguments.at(0);
    ::execl("/proc/self/exe", "planted", filter.c_str(), "--color_output=no", nullptr);
    return 1;
}

namespace {

bool planted_says(std::string const& name, std::string const& part)
{
    test::child run("planted", {name});
    std::string text;
    while (auto const line = run.line(60s))
        text += *line + '\n';
    bool const found = run.wait(10s) == test::exited(201) && text.find(part) != std::string::npos;
    BOOST_TEST(found, name << " did not fail with \"" << part << "\" but said:\n" << text);
    return found;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(crash, test::leaves_nothing)

BOOST_AUTO_TEST_CASE(the_nth_point_kills)
{
    for (std::uint64_t n = 1; n <= 6; ++n)
    {
        log_file    log;
        test::child c("logger", {log.name, "3"}, {.crash_at = n});
        BOOST_TEST(c.wait(30s) == test::killed(SIGKILL));
        BOOST_TEST(lines_in(log.name) == n - 1);
        BOOST_TEST(c.points_met() == n);
        BOOST_TEST(c.last_point() == (n % 2 == 1 ? "log.one" : "log.two"));
    }
}

BOOST_AUTO_TEST_CASE(a_point_that_is_not_reached_does_nothing)
{
    log_file    log;
    test::child c("logger", {log.name, "3"}, {.crash_at = 7});
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(c.points_met() == 6u);
}

BOOST_AUTO_TEST_CASE(a_name_kills_at_the_hit_that_is_asked_for)
{
    for (std::uint64_t hit : {1u, 3u})
    {
        log_file    log;
        test::child c("logger", {log.name, "3"}, {.crash_at_name = "log.two", .hit = hit});
        BOOST_TEST(c.wait(30s) == test::killed(SIGKILL));
        BOOST_TEST(lines_in(log.name) == 2 * hit - 1);
    }
    log_file    log;
    test::child c("logger", {log.name, "3"}, {.crash_at_name = "log.tw"}); // part of a name is not the name
    BOOST_TEST(c.wait(30s) == test::exited(0));
}

BOOST_AUTO_TEST_CASE(the_nth_point_stops)
{
    log_file    log;
    test::child c("logger", {log.name, "3"}, {.stop_at = 4});
    BOOST_TEST(c.wait_stopped(30s));
    BOOST_TEST(lines_in(log.name) == 3u);
    BOOST_TEST(c.wait(5ms) == test::running);
    c.resume();
    BOOST_TEST(c.wait(30s) == test::exited(0));

    test::child named("logger", {log.name, "1"}, {.stop_at_name = "log.two"});
    BOOST_TEST(named.wait_stopped(30s));
    BOOST_TEST(named.last_point() == "log.two");
    BOOST_TEST(named.kill() == test::killed(SIGKILL));
}

BOOST_AUTO_TEST_CASE(points_are_counted_over_all_threads)
{
    test::child c("many_threads", {}, {.crash_at = 4001});
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(c.points_met() == 4000u);
    test::child killed("many_threads", {}, {.crash_at = 2345});
    BOOST_TEST(killed.wait(30s) == test::killed(SIGKILL));
    BOOST_TEST(killed.points_met() >= 2345u);
}

BOOST_AUTO_TEST_CASE(a_forked_process_counts_for_itself)
{
    test::child c("forks_when_armed", {}, {.crash_at = 3});
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(c.points_met() == 2u);
}

BOOST_AUTO_TEST_CASE(every_point_is_met_once)
{
    std::multiset<std::uint64_t> left;
    auto const                   report = test::for_every_crash_point([&](test::child_options const& options) {
        log_file    log;
        test::child victim("logger", {log.name, "3"}, options);
        auto const  how = victim.wait(30s);
        left.insert(lines_in(log.name));
        return how;
    });
    BOOST_TEST(report.points == 6u);
    BOOST_TEST(report.runs == 8u); // left alone, six times killed, once not reached
    BOOST_TEST(report.failures == 0u);
    BOOST_TEST(report.names.size() == 2u);
    BOOST_TEST(report.names.at("log.one") == 3u);
    BOOST_TEST((left == std::multiset<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 6}));
}

BOOST_AUTO_TEST_CASE(every_point_can_stop_instead)
{
    std::uint64_t stopped = 0;
    auto const    report  = test::for_every_stop_point([&](test::child_options const& options) {
        log_file    log;
        test::child victim("logger", {log.name, "2"}, options);
        if (victim.wait_stopped(30s))
        {
            BOOST_TEST(lines_in(log.name) == stopped++);
            victim.resume();
        }
        return victim.wait(30s);
    });
    BOOST_TEST(report.points == 4u);
    BOOST_TEST(stopped == 4u);
}

BOOST_AUTO_TEST_CASE(a_sample_takes_fewer_points_and_comes_to_the_end)
{
    setting const sample("ATRIUM_SAMPLE", "5");
    auto const    report = test::for_every_crash_point([](test::child_options const& options) {
        log_file log;
        return test::child("logger", {log.name, "20"}, options).wait(30s);
    });
    BOOST_TEST(report.points == 40u);
    BOOST_TEST(report.runs >= 40u / 9);
    BOOST_TEST(report.runs <= 40u);
}

BOOST_AUTO_TEST_CASE(one_point_can_be_asked_for)
{
    setting const only("ATRIUM_POINT", "4");
    std::uint64_t lines  = 0;
    auto const    report = test::for_every_crash_point([&](test::child_options const& options) {
        log_file    log;
        test::child victim("logger", {log.name, "3"}, options);
        auto const  how = victim.wait(30s);
        lines           = lines_in(log.name);
        return how;
    });
    BOOST_TEST(report.runs == 1u);
    BOOST_TEST(lines == 3u);
}

BOOST_AUTO_TEST_CASE(pairs_kill_both_victims)
{
    auto const run = [](std::set<std::pair<std::uint64_t, std::uint64_t>>& met) {
        return test::for_crash_pairs(
            [&](test::child_options const& one, test::child_options const& two) {
                log_file    log;
                test::child first("logger", {log.name, "2"}, one);
                auto const  how = first.wait(30s);
                test::child second("logger", {log.name, how == test::exited(0) ? "0" : "1"}, two);
                auto const  how_second = second.wait(30s);
                met.emplace(first.points_met(), second.points_met());
                return test::pair_status{how, how_second};
            },
            20);
    };
    std::set<std::pair<std::uint64_t, std::uint64_t>> met;
    auto const                                        some = run(met);
    BOOST_TEST(some.points == 4u);
    BOOST_TEST(some.runs == 1u + 5 + 20);
    BOOST_TEST(some.failures == 0u);

    met.clear();
    setting const all("ATRIUM_LONG", "1");
    BOOST_TEST(run(met).runs == 1u + 4 * 3);
    for (std::uint64_t first = 1; first <= 4; ++first)
        for (std::uint64_t second = 1; second <= 2; ++second)
            BOOST_TEST(met.contains({first, second}));
}

BOOST_AUTO_TEST_CASE(a_failure_names_its_point)
{
    planted_says("fails_at_one_point", "killed at point 4 \"log.two\"");
    planted_says("fails_at_one_pair", "ATRIUM_POINT=");
    planted_says("has_a_victim_that_fails", "left alone; the victim ended with exited(3)");
}

BOOST_AUTO_TEST_CASE(a_random_killer_keeps_all_running)
{
    log_file      log;
    std::uint64_t calls  = 0;
    auto const    report = test::kill_at_random({{.role = "worker", .given = {log.name}},
                                                 {.role = "worker", .given = {log.name}},
                                                 {.role = "worker", .given = {log.name}, .immortal = true}},
                                                {.kills = 30, .longest_pause = 8ms},
                                                [&](std::uint64_t kills) { BOOST_TEST(kills == ++calls); });
    BOOST_TEST(report.kills == 30u);
    BOOST_TEST(calls == 30u);
    BOOST_TEST(report.unexpected == 0u);
    BOOST_TEST(report.ended_well == 3u);
    BOOST_TEST(lines_in(log.name) > 0u);
}

BOOST_AUTO_TEST_CASE(a_random_killer_goes_on_for_the_time_asked)
{
    log_file   log;
    auto const start = std::chrono::steady_clock::now();
    auto const report =
        test::kill_at_random({{.role = "worker", .given = {log.name}}}, {.kills = 1, .at_least = 100ms});
    BOOST_TEST((std::chrono::steady_clock::now() - start >= 100ms));
    BOOST_TEST(report.kills >= 1u);
}

BOOST_AUTO_TEST_CASE(a_random_killer_notices_an_end_that_is_not_its_own)
{
    planted_says("has_an_actor_that_gives_up", "nobody killed gives_up");
}

BOOST_AUTO_TEST_SUITE_END()

// Cases that must fail; run by the ones above, in a process of their own.
BOOST_AUTO_TEST_SUITE(planted, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(fails_at_one_point)
{
    test::for_every_crash_point([](test::child_options const& options) {
        log_file   log;
        auto const how = test::child("logger", {log.name, "3"}, options).wait(30s);
        BOOST_TEST(lines_in(log.name) != 3u);
        return how;
    });
}

BOOST_AUTO_TEST_CASE(fails_at_one_pair)
{
    test::for_crash_pairs([](test::child_options const& one, test::child_options const& two) {
        log_file    log;
        auto const  first = test::child("logger", {log.name, "1"}, one).wait(30s);
        test::child second("logger", {log.name, "1"}, two);
        auto const  how = second.wait(30s);
        BOOST_TEST(second.points_met() != 2u);
        return test::pair_status{first, how};
    });
}

BOOST_AUTO_TEST_CASE(has_a_victim_that_fails)
{
    test::for_every_crash_point(
        [](test::child_options const& options) { return test::child("gives_up", {}, options).wait(30s); });
}

BOOST_AUTO_TEST_CASE(has_an_actor_that_gives_up)
{
    test::kill_at_random({{.role = "gives_up"}}, {.kills = 5, .shortest_pause = 20ms, .longest_pause = 30ms});
}

BOOST_AUTO_TEST_SUITE_END()
