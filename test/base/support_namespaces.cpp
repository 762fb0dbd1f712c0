// Children that see another /dev/shm, or other process numbers.
#include "support/eventually.hpp"
#include "support/leak_check.hpp"
#include "support/namespaces.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace test = atrium::test;
using namespace std::chrono_literals;

ATRIUM_TEST_ROLE(fills_shared_memory)
{
    int const file = ::open("/dev/shm/fills", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    test::require(file != -1, "open");
    test::require(::posix_fallocate(file, 0, 1 << 20) == 0, "a megabyte fits");
    test::require(::posix_fallocate(file, 0, 16 << 20) == ENOSPC, "sixteen do not");
    test::child inside("sees_the_file");
    test::require(inside.wait(30s) == test::exited(0), "children see the same");
    ::close(file);
    return 0;
}

ATRIUM_TEST_ROLE(sees_the_file)
{
    test::require(std::filesystem::exists("/dev/shm/fills"), "the file");
    return 0;
}

ATRIUM_TEST_ROLE(says_its_number)
{
    test::require(std::filesystem::read_symlink("/proc/self").string() == std::to_string(::getpid()), "its own /proc");
    test::say(std::to_string(::getpid()));
    test::say(std::filesystem::read_symlink("/proc/self/ns/pid").string());
    while (!test::told_to_end())
        ::usleep(500);
    return 0;
}

ATRIUM_TEST_ROLE(meets_a_point)
{
    test::arm();
    atrium::detail::crash_point("namespace.point");
    return 0;
}

ATRIUM_TEST_ROLE(is_like_a_container)
{
    test::require(::getpid() < 10, "its own numbers");
    test::require(std::filesystem::space("/dev/shm").capacity == 2 << 20, "its own /dev/shm");
    return 0;
}

ATRIUM_TEST_ROLE(always_fails)
{
    return 1;
}

// Runs the test case of this program that must fail, with its messages on standard output.
ATRIUM_TEST_ROLE(planted)
{
    ::dup2(STDOUT_FILENO, STDERR_FILENO);
    ::execl("/proc/self/exe", "planted", "--run_test=planted", "--color_output=no", nullptr);
    return 1;
}

BOOST_FIXTURE_TEST_SUITE(namespaces, test::leaves_nothing)

BOOST_AUTO_TEST_CASE(a_small_shared_memory_is_full_soon)
{
    test::in_namespaces("fills_shared_memory", {}, {.shm_size = 4 << 20, .pids = false}, 30s);
    BOOST_TEST(!std::filesystem::exists("/dev/shm/fills"));
}

BOOST_AUTO_TEST_CASE(two_children_may_have_the_same_number)
{
    test::child one("says_its_number", {}, {.own_pids = true});
    test::child two("says_its_number", {}, {.own_pids = true});
    test::child here("says_its_number");
    auto const  number = one.line(30s).value();
    BOOST_TEST(number == two.line(30s).value());
    BOOST_TEST(number != "1"); // an init cannot kill itself
    BOOST_TEST(here.line(30s).value() == std::to_string(here.pid()));
    BOOST_TEST(one.line(30s).value() != two.line(30s).value());
    BOOST_TEST(here.line(30s).value() == std::filesystem::read_symlink("/proc/self/ns/pid").string());

    one.stop();
    BOOST_TEST(one.wait_stopped(30s));
    BOOST_TEST(one.kill() == test::killed(SIGKILL));
    two.close_input();
    BOOST_TEST(two.wait(30s) == test::exited(0));
    here.close_input();
    BOOST_TEST(here.wait(30s) == test::exited(0));
}

BOOST_AUTO_TEST_CASE(crash_and_stop_points_work_inside)
{
    test::child killed("meets_a_point", {}, {.crash_at = 1, .own_pids = true});
    BOOST_TEST(killed.wait(30s) == test::killed(SIGKILL));
    test::child stopped("meets_a_point", {}, {.stop_at = 1, .own_pids = true});
    BOOST_TEST(stopped.wait_stopped(30s));
    stopped.resume();
    BOOST_TEST(stopped.wait(30s) == test::exited(0));
}

BOOST_AUTO_TEST_CASE(both_together_are_like_a_container)
{
    test::in_namespaces("is_like_a_container", {}, {.shm_size = 2 << 20}, 30s);
}

BOOST_AUTO_TEST_CASE(what_fails_inside_fails_the_test)
{
    test::child run("planted");
    bool        found = false;
    while (auto const line = run.line(30s))
        found = found || line->find("role always_fails in namespaces of its own: exited(1)") != std::string::npos;
    BOOST_TEST(found);
    BOOST_TEST(run.wait(30s) == test::exited(201));
}

BOOST_AUTO_TEST_SUITE_END()

// Must fail; run by the one above, in a process of its own.
BOOST_AUTO_TEST_SUITE(planted, *boost::unit_test::disabled())

BOOST_AUTO_TEST_CASE(fails_inside)
{
    test::in_namespaces("always_fails", {}, {.pids = false}, 30s);
}

BOOST_AUTO_TEST_SUITE_END()
