/// Forked children, threads without number, and processes of other pid namespaces.
#include <atrium/segment/segment.hpp>

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"
#include "support/namespaces.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// Runs `in_child` in a forked child; true where it returns true there.
bool holds_in_a_child(std::function<bool()> const& in_child)
{
    pid_t const forked = ::fork();
    if (forked == 0)
        ::_exit(in_child() ? 0 : 1);
    int status = -1;
    return ::waitpid(forked, &status, 0) == forked && status == 0;
}

} // namespace

// Forks a child that lives on, and is to be killed itself. The child may exec, too.
ATRIUM_TEST_ROLE(parent_of_a_survivor)
{
    segment const s(open_only, arguments.at(0));
    static_cast<void>(s.attached()->lane());
    pid_t const forked = ::fork();
    if (forked == 0)
    {
        if (arguments.at(1) == "exec")
            ::execlp("sleep", "sleep", "60", nullptr);
        for (;;)
            ::pause();
    }
    say("attached");
    static_cast<void>(hear());
    return 0;
}

ATRIUM_TEST_ROLE(member)
{
    segment const s(open_only, arguments.at(0));
    say(std::to_string(s.participants().size()));
    static_cast<void>(hear());
    return 0;
}

// In a pid namespace of its own, whose init it is: the creator outside lives, and so do those inside.
ATRIUM_TEST_ROLE(container)
{
    segment s(open_only, arguments.at(0));
    require(s.participants().size() == 2, "the one outside and we");
    require(count(s, liveness::alive) == 2, "both alive");
    for (auto const& p : s.participants())
        require(p.same_pid_namespace == (p.id == s.self()), "pids are told apart");
    child inside("member", {arguments.at(0)});
    require(inside.line(10s) == "3", "it sees all");
    require(count(s, liveness::alive) == 3, "alive");
    inside.kill();
    require(count(s, liveness::dead) == 1, "and dead");
    require(s.recover(5s).value().dead.size() == 1, "is recovered");
    say("ready");
    static_cast<void>(hear());
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(segment_fork, leaves_nothing)

BOOST_AUTO_TEST_CASE(handles_in_a_forked_child_answer_that_they_are_not_at_home)
{
    auto const             name = unique_name("forked");
    std::optional<segment> s(std::in_place, create_only, name, segment_options{.flat = true});
    static_cast<void>(s->attached()->lane());
    auto const before = s->creation_id();
    bool const held   = holds_in_a_child([&] {
        bool ok = s->recover(0s).error() == errc::forked && s->request_close(0s).error() == errc::forked &&
                  s->grow_flat_memory(1u << 20).error() == errc::forked &&
                  s->attached()->lane().error() == errc::forked && s->attached()->commit(1u << 20) == errc::forked &&
                  s->flat_memory().error() == errc::forked;
        ok = ok && s->participants().empty() && s->attached()->ask(s->self()) == liveness::unknown &&
             s->status() == segment_status::forked && s->size() == 0 && s->recoveries() == 0 &&
             s->creation_id() == before && attachment::containing(s->attached()->base()) == nullptr;
        s->attached()->tend();
        s.reset(); // does nothing
        return ok && is_there(name);
    });
    BOOST_TEST(held);
    BOOST_TEST(is_there(name));
    BOOST_TEST(count(*s, liveness::alive) == 1u);
}

BOOST_AUTO_TEST_CASE(a_forked_child_opens_the_segment_itself)
{
    auto const    name = unique_name("itself");
    segment const s(create_only, name);
    bool const    held = holds_in_a_child([&] {
        segment const own(open_only, name);
        return own.self() != s.self() && own.participants().size() == 2 && count(own, liveness::alive) == 2;
    });
    BOOST_TEST(held);
    BOOST_TEST(s.participants().size() == 1u);
    BOOST_TEST(s.recoveries() == 0u);
}

BOOST_AUTO_TEST_CASE(a_parents_handle_that_a_child_drops_does_not_take_the_childs_own_descriptor_along)
{
    auto const             name = unique_name("generations");
    std::optional<segment> s(std::in_place, create_only, name, segment_options{.detection_time = 5ms});
    int                    pipes[2] = {-1, -1};
    BOOST_REQUIRE(::pipe(pipes) == 0);
    pid_t const forked = ::fork();
    if (forked == 0)
    {
        std::optional<segment> own(std::in_place, open_only, name); // on the number that the parent's has
        s.reset();
        pid_t const grandchild = ::fork();
        if (grandchild == 0)
        {
            ::close(pipes[0]);
            ::pause(); // lives on; must not hold its parent's byte
        }
        static_cast<void>(::write(pipes[1], &grandchild, sizeof(grandchild)));
        ::kill(::getpid(), SIGKILL);
    }
    pid_t grandchild = -1;
    BOOST_TEST(::read(pipes[0], &grandchild, sizeof(grandchild)) == static_cast<ssize_t>(sizeof(grandchild)));
    int status = 0;
    BOOST_TEST(::waitpid(forked, &status, 0) == forked);
    BOOST_TEST(s->participants().size() == 2u);
    ATRIUM_EVENTUALLY(count(*s, liveness::dead) == 1u, 10s); // the grandchild may still be on its way out of fork()
    ::kill(grandchild, SIGKILL);
    ::close(pipes[0]);
    ::close(pipes[1]);
}

BOOST_AUTO_TEST_CASE(a_killed_parent_is_dead_though_its_child_lives)
{
    for (char const* const what : {"fork", "exec"})
    {
        auto const name = unique_name("orphan");
        segment    s(create_only, name);
        child      parent("parent_of_a_survivor", {name, what});
        parent.wait_for_line("attached", 10s);
        BOOST_TEST(count(s, liveness::alive) == 2u);
        ::kill(parent.pid(), SIGKILL);
        BOOST_TEST(parent.wait(10s) == killed(SIGKILL));
        ATRIUM_EVENTUALLY(count(s, liveness::dead) == 1u, 10s); // the child may still be on its way out of fork()
        BOOST_TEST(s.recover(5s).value().dead.size() == 1u);
    }
}

BOOST_AUTO_TEST_CASE(forks_while_threads_open_and_leave_inherit_nothing)
{
    auto const        name = unique_name("busy");
    segment const     s(create_only, name);
    std::atomic<bool> enough{false};
    std::thread       opener([&] {
        while (!enough)
        {
            static_cast<void>(opening_as_another(name));
            static_cast<void>(opening(open_read_only, name));
        }
    });
    for (int n = 0; n < 200; ++n)
    {
        BOOST_TEST(holds_in_a_child([&] {
            for (int number = 3; number < 64; ++number)
            {
                std::array<char, 256> target = {};
                auto const            link   = "/proc/self/fd/" + std::to_string(number);
                if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0 &&
                    std::string(target.data()).find(name) != std::string::npos)
                    return false;
            }
            return true;
        }));
    }
    enough = true;
    opener.join();
    BOOST_TEST(s.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(threads_come_and_go_by_the_thousand_on_few_lanes)
{
    auto const                 name = unique_name("threads");
    segment const              s(create_only, name, {.lanes = 8});
    std::atomic<std::uint32_t> failed{0};
    for (int round = 0; round < 500; ++round)
    {
        std::vector<std::thread> threads;
        for (int n = 0; n < 8; ++n)
            threads.emplace_back([&] { failed += s.attached()->lane() ? 0u : 1u; });
        for (std::thread& thread : threads)
            thread.join();
    }
    BOOST_TEST(failed.load() == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_outlives_the_handle_and_finds_a_later_one)
{
    auto const    name = unique_name("later");
    segment const first(create_only, name, {.lanes = 1});
    {
        segment const other(create_only, unique_name("other"), {.lanes = 1});
        BOOST_TEST(other.attached()->lane().has_value());
    }
    BOOST_TEST(first.attached()->lane().has_value());
    segment const again(create_only, unique_name("other"), {.lanes = 1});
    BOOST_TEST(again.attached()->lane().has_value());
}

BOOST_AUTO_TEST_CASE(a_thread_that_gets_no_lane_in_one_segment_gets_one_in_another)
{
    segment const full(create_only, unique_name("full"), {.lanes = 1});
    segment const other(create_only, unique_name("other"), {.lanes = 1});
    BOOST_TEST(full.attached()->try_lane().has_value());
    std::thread([&] {
        BOOST_TEST(!full.attached()->try_lane().has_value());
        BOOST_TEST(full.attached()->lane().error() == errc::too_many_lanes);
        BOOST_TEST(other.attached()->try_lane().has_value());
    }).join();
}

BOOST_AUTO_TEST_CASE(liveness_is_right_across_pid_namespaces)
{
    auto const name = unique_name("container");
    segment    s(create_only, name, {.detection_time = 5ms});
    child      inside("container", {name}, {.own_pids = true});
    inside.wait_for_line("ready", 30s);
    BOOST_TEST(s.participants().size() == 2u);
    BOOST_TEST(count(s, liveness::alive) == 2u);
    inside.kill();
    BOOST_TEST(count(s, liveness::dead) == 1u);
    BOOST_TEST(s.recover(5s).value().dead.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
