/// Handing over makes no system call while nobody sleeps: it is done under a filter that kills on any but write and
/// exit_group.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"
#include "support/system_calls.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <sched.h>
#include <string>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

struct handed
{
    std::uint64_t value = 0;
};

// A row of a thousand, each kind of sending and receiving; true where all came.
bool hand_over(pool<handed>& from, router<handed>& r, atrium::pipe<handed>& p, deadline until)
{
    std::array<shared_ptr<handed>, 8> batch;
    for (std::uint64_t n = 0; n != 1000; ++n)
    {
        auto one = from.make(n).value();
        if (!r.send(one, until) || !r.try_send(std::move(one)))
            return false;
        if (p.receive(until).value()->value != n || p.try_receive().value()->value != n)
            return false;
        for (auto& place : batch)
            place = from.make(n).value();
        if (!r.send(std::span(batch), until) || p.try_receive(std::span(batch)).value() != batch.size())
            return false;
        if (p.try_receive().error() != errc::empty)
            return false;
    }
    return true;
}

ATRIUM_TEST_ROLE(quiet_handler)
{
    segment const  s(create_only, arguments.at(0), {.detection_time = 60s}); // nobody is looked after meanwhile
    pool<handed>   all(create_only, s, "all", {.capacity = 64});
    router<handed> r(create_only, s, "router");
    auto           p     = r.subscribe({.capacity = 16});
    deadline const until = 60s;
    bool           good  = hand_over(all, r, p, until); // with what happens once
    forbid_system_calls();
    good = hand_over(all, r, p, until) && good;
    if (arguments.at(1) == "and sleeps")
        static_cast<void>(p.receive(20s, wait_policy::frugal()));
    ::_exit(good ? 0 : 1); // leaving does make system calls: those who come after clean up
}

// Who spins on the processor of whom it waits for makes room for that one, by a system call: each gets one of its own.
void take_processor(int which)
{
    cpu_set_t allowed;
    require(::sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) >= 2);
    for (int n = 0;; ++n)
    {
        if (!CPU_ISSET(n, &allowed) || which-- != 0)
            continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(n, &one);
        require(::sched_setaffinity(0, sizeof(one), &one) == 0);
        return;
    }
}

// A loop that only spins, on both sides.
ATRIUM_TEST_ROLE(busy_handler)
{
    segment const     s(create_only, arguments.at(0), {.detection_time = 60s});
    pool<handed>      all(create_only, s, "all", {.capacity = 64});
    router<handed>    there(create_only, s, "there");
    router<handed>    back(create_only, s, "back");
    auto              requests = there.subscribe();
    auto              answers  = back.subscribe();
    std::atomic<bool> warm{false};
    std::thread([&] {
        take_processor(1); // of those allowed before
        for (std::uint64_t n = 0;; ++n)
        {
            auto const sent = back.send(requests.receive(no_deadline, wait_policy::busy()).value(), no_deadline);
            require(sent.has_value());
            if (n == 100)
            {
                forbid_system_calls();
                warm.store(true);
            }
        }
    }).detach();
    auto const ask = [&](std::uint64_t n) {
        return there.send(all.make(n).value(), no_deadline).has_value() &&
               answers.receive(no_deadline, wait_policy::busy()).value()->value == n;
    };
    take_processor(0);
    bool good = true;
    for (std::uint64_t n = 0; n != 101; ++n)
        good = ask(n) && good;
    while (!warm.load())
        std::this_thread::yield();
    forbid_system_calls();
    for (std::uint64_t n = 0; n != 2000; ++n)
        good = ask(n) && good;
    ::_exit(good ? 0 : 1);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_no_system_call, leaves_nothing)

BOOST_AUTO_TEST_CASE(handing_over_makes_none)
{
    std::string const name = unique_name("hot");
    child             c("quiet_handler", {name, ""});
    BOOST_TEST(c.wait(30s) == exited(0));
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_CASE(a_busy_loop_makes_none)
{
    std::string const name = unique_name("hot");
    child             c("busy_handler", {name});
    BOOST_TEST(c.wait(60s) == exited(0));
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_CASE(one_that_is_made_is_seen)
{
    std::string const name = unique_name("hot");
    child             c("quiet_handler", {name, "and sleeps"});
    BOOST_TEST(c.wait(30s) == killed(SIGSYS));
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
