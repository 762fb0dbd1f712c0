/// A wall clock that is set has no influence on deadlines: all waits are done under a filter that kills on any sleep until a
/// time of that clock. That nobody reads it either, which needs no system call, is for layers.check to see.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"
#include "support/system_calls.hpp"

#include <atrium/sync/doorbell.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include <csignal>
#include <ctime>
#include <linux/futex.h>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 3ms;

constexpr wait_policy policies[] = {wait_policy::balanced(), wait_policy::frugal(), wait_policy::crowded(),
                                    wait_policy::busy(), wait_policy::streaming()};

struct handed
{
    std::uint64_t value = 0;
};

struct desk
{
    recoverable_mutex mutex;
    doorbell          bell;
};

void waits_at_bells_and_mutexes(segment const& s)
{
    auto&      d    = *new (s.flat_memory().value().data()) desk;
    auto const self = s.participants().front().id;
    for (wait_policy const& how : policies)
    {
        require(d.bell.wait(d.bell.look(), soon, {.policy = how}).error() == errc::timed_out);
        require(d.bell.wait(d.bell.look(), soon, {.policy = how, .peer = self}).error() == errc::timed_out);
    }
    auto const held = d.mutex.lock(soon).value();
    require(d.mutex.lock(soon).error() == errc::timed_out);
}

void waits_in_pipes(segment const& s)
{
    pool<handed>   all(create_only, s, "all", {.capacity = 8});
    router<handed> r(create_only, s, "router");
    require(r.wait_for_receivers(1, soon).error() == errc::timed_out);
    auto p      = r.subscribe({.capacity = 1});
    auto sender = r.make_ordered_sender();
    auto one    = all.make().value();
    for (wait_policy const& how : policies)
        require(p.receive(soon, how).error() == errc::timed_out);
    require(r.send(one, soon).value().delivered() == 1 && sender.send(one, soon).value().delivered() == 1);
    for (wait_policy const& how : policies)
        require(r.send(one, soon, how).value().refusals()[0].why == errc::timed_out);
    // The one waits for room, the other for its turn.
    std::thread another([&] { static_cast<void>(sender.send(one, 20ms, wait_policy::frugal())); });
    static_cast<void>(sender.send(one, soon, wait_policy::frugal()));
    another.join();
}

ATRIUM_TEST_ROLE(waiter_for_everything)
{
    forbid_sleeping_by_the_wall_clock();
    {
        segment const s(create_only, arguments.at(0),
                        {.size = 32u << 10, .maximum_size = 32u << 10, .participants = 8, .lanes = 8, .flat = true});
        waits_at_bells_and_mutexes(s);
    }
    {
        segment const s(create_only, arguments.at(1), pipe_segment());
        waits_in_pipes(s);
    }
    return 0;
}

ATRIUM_TEST_ROLE(sleeper_by_the_wall_clock)
{
    forbid_sleeping_by_the_wall_clock();
    timespec until = {};
    require(::clock_gettime(CLOCK_REALTIME, &until) == 0);
    if (arguments.at(0) == "futex")
    {
        std::uint32_t word = 0;
        ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, nullptr,
                  FUTEX_BITSET_MATCH_ANY);
    }
    else
        ::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr);
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_wall_clock, leaves_nothing)

BOOST_AUTO_TEST_CASE(no_wait_ends_by_it)
{
    std::string const flat  = unique_name("flat");
    std::string const whole = unique_name("whole");
    child             c("waiter_for_everything", {flat, whole});
    BOOST_TEST(c.wait(60s) == exited(0));
    for (std::string const& name : {flat, whole})
        static_cast<void>(segment::remove(name)); // where it was killed
}

BOOST_AUTO_TEST_CASE(one_that_does_is_seen)
{
    for (char const* const way : {"futex", "sleep"})
    {
        child c("sleeper_by_the_wall_clock", {way});
        BOOST_TEST(c.wait(30s) == killed(SIGSYS), way);
    }
}

BOOST_AUTO_TEST_SUITE_END()
