// Children, their ends, and what finds out that a test forgot something.
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"

#include <atrium/base/name.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

namespace test = atrium::test;
using namespace std::chrono_literals;

namespace {

void make_file(std::string const& name)
{
    std::ofstream("/dev/shm/atrium." + atrium::default_domain() + "." + name) << "left";
}

bool lives(pid_t pid)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string   number;
    std::string   name;
    std::string   state;
    return file >> number >> name >> state && state != "Z" && state != "X";
}

pid_t number_said_by(test::child& who)
{
    return static_cast<pid_t>(std::stol(who.line(10s).value_or("0")));
}

} // namespace

ATRIUM_TEST_ROLE(exit_with)
{
    return std::stoi(arguments.at(0));
}

ATRIUM_TEST_ROLE(kill_itself)
{
    ::kill(::getpid(), std::stoi(arguments.at(0)));
    return 0;
}

ATRIUM_TEST_ROLE(echo)
{
    test::say("ready");
    while (auto const line = test::hear())
        test::say("heard " + *line);
    return 0;
}

ATRIUM_TEST_ROLE(sleeper)
{
    test::say("asleep");
    while (!test::told_to_end())
        std::this_thread::sleep_for(1ms);
    return 0;
}

ATRIUM_TEST_ROLE(talker)
{
    for (int i = 0; i < 100'000; ++i)
        test::say("line " + std::to_string(i));
    return 0;
}

ATRIUM_TEST_ROLE(thrower)
{
    throw std::runtime_error("thrown in a role");
}

ATRIUM_TEST_ROLE(not_met)
{
    test::require(1 + 1 == 3, "one and one are three");
    return 0;
}

ATRIUM_TEST_ROLE(expects_too_much)
{
    return ATRIUM_EVENTUALLY(false, 10ms) ? 1 : 0;
}

ATRIUM_TEST_ROLE(lists_descriptors)
{
    for (int number = 0; number < 1024; ++number)
        if (::fcntl(number, F_GETFD) != -1)
            test::say(std::to_string(number));
    test::say("end");
    return 0;
}

ATRIUM_TEST_ROLE(has_environment)
{
    test::require(arguments.size() == 2 && arguments[0] == "" && arguments[1] == "two words", "arguments");
    test::require(std::getenv("ATRIUM_TEST_ADDED") == std::string("a=b"), "added");
    test::require(atrium::default_domain().starts_with('t'), "domain");
    return 0;
}

// Says the number of a process that it forks, and one that it starts as a child, and lives on.
ATRIUM_TEST_ROLE(parent)
{
    pid_t const forked = ::fork();
    if (forked == 0)
        for (;;)
            ::pause();
    test::child started("sleeper");
    test::say(std::to_string(forked));
    test::say(std::to_string(started.pid()));
    if (!arguments.empty())
        return 0; // leaves both
    while (!test::told_to_end())
        std::this_thread::sleep_for(1ms);
    return 0;
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

// What a planted failure printed.
std::string output_of_planted(std::string const& name)
{
    test::child run("planted", {name});
    std::string text;
    while (auto const line = run.line(30s))
        text += *line + '\n';
    BOOST_TEST(run.wait(10s) == test::exited(201));
    return text;
}

bool has(std::string const& text, std::string const& part)
{
    bool const found = text.find(part) != std::string::npos;
    if (!found)
        std::cerr << "no \"" << part << "\" in:\n" << text;
    return found;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(children, test::leaves_nothing)

BOOST_AUTO_TEST_CASE(a_child_exits_with_its_code)
{
    for (int code : {0, 1, 77, 255})
    {
        test::child c("exit_with", {std::to_string(code)});
        BOOST_TEST(c.wait(30s) == test::exited(code));
        BOOST_TEST(c.wait(0s) == test::exited(code)); // asked again
    }
}

BOOST_AUTO_TEST_CASE(a_child_is_seen_to_be_killed)
{
    for (int signal : {SIGKILL, SIGTERM, SIGUSR1, SIGPIPE})
    {
        test::child c("kill_itself", {std::to_string(signal)});
        BOOST_TEST(c.wait(30s) == test::killed(signal));
    }
}

BOOST_AUTO_TEST_CASE(a_status_says_what_it_is)
{
    std::ostringstream text;
    text << test::exited(3) << ' ' << test::killed(SIGKILL) << ' ' << test::running;
    BOOST_TEST(text.str() == "exited(3) killed(SIGKILL) running");
    BOOST_TEST(test::exited(9) != test::killed(9));
}

BOOST_AUTO_TEST_CASE(a_wait_ends_at_its_deadline)
{
    test::child c("sleeper");
    BOOST_TEST(c.wait(20ms) == test::running);
    c.close_input();
    BOOST_TEST(c.wait(30s) == test::exited(0));
}

BOOST_AUTO_TEST_CASE(test_and_child_talk_in_lines)
{
    test::child c("echo");
    c.wait_for_line("ready", 30s);
    c.send_line("one");
    c.send_line("two");
    BOOST_TEST(c.line(30s).value() == "heard one");
    BOOST_TEST(c.line(30s).value() == "heard two");
    BOOST_TEST(!c.line(1ms).has_value());
    c.close_input();
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(!c.line(30s).has_value());
}

BOOST_AUTO_TEST_CASE(waiting_for_a_line_ends_with_the_child)
{
    test::child c("exit_with", {"0"});
    BOOST_CHECK_THROW(c.wait_for_line("never", 30s), std::runtime_error);
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_CHECK_THROW(c.send_line("nobody hears"), std::system_error);
}

BOOST_AUTO_TEST_CASE(a_talkative_child_is_not_held_up_by_a_wait)
{
    test::child c("talker");
    BOOST_TEST(c.wait(60s) == test::exited(0));
    c.wait_for_line("line 99999", 1s);
}

BOOST_AUTO_TEST_CASE(a_stopped_child_does_nothing_until_it_is_resumed)
{
    test::child c("echo");
    c.wait_for_line("ready", 30s);
    BOOST_TEST(!c.wait_stopped(1ms));
    c.stop();
    BOOST_TEST(c.wait_stopped(1s));
    c.send_line("x");
    BOOST_TEST(!c.line(20ms).has_value());
    c.resume();
    BOOST_TEST(c.line(30s).value() == "heard x");
    c.stop();
    BOOST_TEST(c.kill() == test::killed(SIGKILL)); // also while it is stopped
    BOOST_TEST(!c.wait_stopped(1s));
}

BOOST_AUTO_TEST_CASE(what_goes_wrong_in_a_role_is_seen_in_its_code)
{
    for (auto const& [role, code] : {std::pair{"thrower", test::exit_thrown},
                                     {"not_met", test::exit_failed},
                                     {"expects_too_much", test::exit_failed},
                                     {"unheard_of", test::exit_no_such_role}})
    {
        test::child c(role);
        BOOST_TEST(c.wait(30s) == test::exited(code), role);
    }
}

BOOST_AUTO_TEST_CASE(a_child_holds_nothing_of_the_test_open)
{
    int const   file = ::open("/dev/null", O_RDONLY); // deliberately without O_CLOEXEC
    test::child other("sleeper");
    test::child c("lists_descriptors");
    std::string numbers;
    for (auto line = c.line(30s); line && *line != "end"; line = c.line(30s))
        numbers += *line + ' ';
    BOOST_TEST(numbers == "0 1 2 3 4 ");
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(other.kill() == test::killed(SIGKILL));
    ::close(file);
}

BOOST_AUTO_TEST_CASE(arguments_environment_and_domain_arrive)
{
    test::child c("has_environment", {"", "two words"}, {.environment = {"ATRIUM_TEST_ADDED=a=b"}});
    BOOST_TEST(c.wait(30s) == test::exited(0));
    BOOST_TEST(std::getenv("ATRIUM_TEST_ADDED") == nullptr);
}

BOOST_AUTO_TEST_CASE(children_move)
{
    std::vector<test::child> several;
    for (int i = 0; i < 3; ++i)
        several.emplace_back("exit_with", test::arguments{std::to_string(i)});
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(several[static_cast<std::size_t>(i)].wait(30s) == test::exited(i));
    several[0] = test::child("exit_with", {"5"});
    BOOST_TEST(several[0].wait(30s) == test::exited(5));
}

BOOST_AUTO_TEST_CASE(a_child_outlives_the_thread_that_started_it)
{
    std::optional<test::child> c;
    std::thread([&] { c.emplace("echo"); }).join();
    c->wait_for_line("ready", 30s);
    c->close_input();
    BOOST_TEST(c->wait(30s) == test::exited(0));
}

BOOST_AUTO_TEST_CASE(a_dead_child_leaves_no_grandchildren)
{
    for (bool const killed : {true, false})
    {
        pid_t forked  = 0;
        pid_t started = 0;
        {
            test::child c("parent", killed ? test::arguments{} : test::arguments{"leave"});
            forked  = number_said_by(c);
            started = number_said_by(c);
            BOOST_TEST((forked > 1 && started > 1));
            if (killed)
                BOOST_TEST(c.kill() == test::killed(SIGKILL));
            else
                BOOST_TEST(c.wait(30s) == test::exited(test::exit_failed)); // it did not wait for its child
            BOOST_TEST(lives(forked)); // for tests of what a forked process may do when its parent is dead
        }
        BOOST_TEST(!lives(forked));
        ATRIUM_EVENTUALLY(!lives(started), 30s);
    }
}

BOOST_AUTO_TEST_CASE(nobody_outlives_a_killed_test_process)
{
    std::vector<pid_t> below;
    {
        test::child c("parent"); // is to its own child what a test is
        below = {number_said_by(c), number_said_by(c)};
        ::kill(c.pid(), SIGKILL); // as the test's runner would do it to us
        ATRIUM_EVENTUALLY(!lives(below[1]), 30s);
        BOOST_TEST(c.wait(30s) == test::killed(SIGKILL));
    }
    BOOST_TEST(!lives(below[0]));
}

BOOST_AUTO_TEST_CASE(names_are_unique_and_valid)
{
    auto const one = test::unique_name("camera");
    BOOST_TEST(one != test::unique_name("camera"));
    BOOST_TEST(atrium::check_name(one).has_value());
    BOOST_TEST(atrium::check_domain(atrium::default_domain()).has_value());
    BOOST_TEST(atrium::default_domain().size() <= 16u);
}

BOOST_AUTO_TEST_CASE(a_condition_is_waited_for)
{
    auto const start = std::chrono::steady_clock::now();
    BOOST_TEST(ATRIUM_EVENTUALLY(std::chrono::steady_clock::now() - start > 5ms, 30s));
    BOOST_TEST(!test::eventually([] { return false; }, 5ms));
    BOOST_TEST(test::eventually([] { return true; }, 0ms));
}

BOOST_AUTO_TEST_CASE(starting_a_child_takes_milliseconds)
{
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i)
    {
        test::child c("exit_with", {"0"});
        BOOST_TEST(c.wait(30s) == test::exited(0));
    }
    auto const each = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start) / 20;
    BOOST_TEST_MESSAGE("start and end of a child: " << each.count() << " ms"); // printed, not asserted
}

BOOST_AUTO_TEST_CASE(a_child_that_is_not_waited_for_fails_the_test)
{
    auto const text = output_of_planted("forgets_a_child");
    BOOST_TEST(has(text, "was never waited for: running"));
}

BOOST_AUTO_TEST_CASE(what_children_said_is_printed_with_a_failure)
{
    auto const text = output_of_planted("fails_beside_a_child");
    BOOST_TEST(has(text, "---- child thrower"));
    BOOST_TEST(has(text, "exited(98)"));
    BOOST_TEST(has(text, "the role threw: thrown in a role"));
    BOOST_TEST(has(text, "-- said\nready\nheard you\n"));
}

BOOST_AUTO_TEST_CASE(what_a_test_leaves_is_found_and_removed)
{
    auto const text = output_of_planted("leaves_things");
    BOOST_TEST(has(text, "left behind: process"));
    auto const file = text.find("/dev/shm/atrium.t");
    BOOST_REQUIRE(file != std::string::npos);
    auto const name = text.substr(file, text.find_first_of(" \n", file) - file);
    BOOST_TEST(name.ends_with(".planted.segment"));
    BOOST_TEST(!std::filesystem::exists(name));
}

BOOST_AUTO_TEST_CASE(a_line_that_never_comes_fails_the_test)
{
    auto const text = output_of_planted("waits_for_a_line_in_vain");
    BOOST_TEST(has(text, "did not say \"never\""));
    BOOST_TEST(has(text, "thread ")); // where it hangs
}

BOOST_AUTO_TEST_SUITE_END()

// Cases that must fail; run by the ones above, in a process of their own.
BOOST_AUTO_TEST_SUITE(planted, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(forgets_a_child)
{
    test::child c("sleeper");
}

BOOST_AUTO_TEST_CASE(fails_beside_a_child)
{
    test::child c("echo");
    c.wait_for_line("ready", 30s);
    c.send_line("you");
    c.wait_for_line("heard you", 30s);
    c.kill();
    BOOST_TEST(test::child("thrower").wait(30s) == test::exited(0));
}

BOOST_FIXTURE_TEST_CASE(leaves_things, test::leaves_nothing)
{
    make_file("planted.segment");
    if (::fork() == 0)
        for (;;)
            ::pause();
}

BOOST_AUTO_TEST_CASE(waits_for_a_line_in_vain)
{
    test::child c("sleeper");
    c.wait_for_line("never", 50ms);
}

BOOST_AUTO_TEST_SUITE_END()
