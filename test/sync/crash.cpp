/// Processes die or stand still between any two steps of a mutex or a doorbell.
#include <atrium/sync/doorbell.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include "support/crash_driver.hpp"
#include "sync/desk.hpp"

#include <atomic>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Locks what is free, and unlocks it: with nobody waiting, and with somebody.
ATRIUM_TEST_ROLE(locker)
{
    segment const s(open_only, arguments.at(0));
    desk&         d = desk_in(s);
    say("ready");
    static_cast<void>(hear());
    arm();
    {
        auto const held = d.mutex.lock(60s).value();
        d.said.store(1);
        if (arguments.at(1) == "awaited")
            require(ATRIUM_EVENTUALLY(d.answered.load() == 1, 30s));
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(ringer)
{
    segment const s(open_only, arguments.at(0));
    desk&         d = desk_in(s);
    say("ready");
    static_cast<void>(hear());
    arm();
    d.bell.ring();
    d.bell.ring();
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(sleeper)
{
    segment const s(open_only, arguments.at(0));
    desk&         d    = desk_in(s);
    auto const    seen = d.bell.look();
    say("ready");
    arm();
    require(d.bell.wait(seen, 60s, {.policy = wait_policy::frugal()}).has_value());
    disarm();
    return 0;
}

// Ended, stopped, or has met that many points: what a test waits for before it does its own part.
void goes_so_far(child& c, std::uint64_t points)
{
    BOOST_TEST(eventually([&] { return c.points_met() >= points || c.wait(0s).ended() || c.wait_stopped(0s); }, 60s));
}

struct fixture : leaves_nothing
{
};

// The mutex can be had; a death is heard of once, and only where the victim had it.
void is_to_be_had(desk& d, exit_status victim)
{
    bool const died = d.mutex.lock(30s).value().owner_died();
    BOOST_TEST((!died || victim == killed(SIGKILL)));
    BOOST_TEST(!d.mutex.lock(30s).value().owner_died());
}

void met_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(sync_crash, fixture)

BOOST_AUTO_TEST_CASE(who_locks_a_free_mutex_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk now;
                   child     victim = ready_child("locker", {now.s.name(), "alone"}, options);
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   is_to_be_had(now.d, status);
                   return status;
               }),
               3);
}

BOOST_AUTO_TEST_CASE(who_waits_for_a_mutex_and_gets_it_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk now;
                   child     victim = ready_child("locker", {now.s.name(), "alone"}, options);
                   auto      held   = now.d.mutex.lock(1s).value();
                   victim.close_input();
                   goes_so_far(victim, 2);
                   held.unlock();
                   auto const status = victim.wait(60s);
                   is_to_be_had(now.d, status);
                   return status;
               }),
               5);
}

BOOST_AUTO_TEST_CASE(who_gets_the_mutex_of_a_dead_one_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk now;
                   child     victim = ready_child("locker", {now.s.name(), "alone"}, options);
                   ready_child("owner", {now.s.name()}).kill();
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   is_to_be_had(now.d, status);
                   return status;
               }),
               3);
}

BOOST_AUTO_TEST_CASE(who_has_a_mutex_for_which_others_wait_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk now;
                   child     victim = ready_child("locker", {now.s.name(), "awaited"}, options);
                   victim.close_input();
                   BOOST_TEST(eventually([&] { return now.d.said.load() == 1 || victim.wait(0s).ended(); }, 60s));
                   std::atomic<int>         deaths{0};
                   std::vector<std::thread> waiting;
                   for (int n = 0; n < 3; ++n)
                       waiting.emplace_back([&] { deaths += now.d.mutex.lock(60s).value().owner_died() ? 1 : 0; });
                   now.d.answered.store(1);
                   auto const status = victim.wait(60s);
                   for (std::thread& w : waiting)
                       w.join(); // also those who slept when the one to be woken was cut off
                   BOOST_TEST(deaths.load() <= (status == killed(SIGKILL) ? 1 : 0));
                   is_to_be_had(now.d, status);
                   return status;
               }),
               3);
}

BOOST_AUTO_TEST_CASE(who_locks_a_mutex_stands_still_anywhere)
{
    for (bool const contended : {false, true})
    {
        met_enough(for_every_stop_point([&](child_options const& options) {
                       with_desk        now;
                       child            victim = ready_child("locker", {now.s.name(), "alone"}, options);
                       recoverable_lock held;
                       if (contended)
                           held = now.d.mutex.lock(1s).value();
                       victim.close_input();
                       goes_so_far(victim, 2);
                       held.unlock();
                       if (victim.wait_stopped(contended ? 30s : 60s))
                       {
                           auto const got = now.d.mutex.lock(20ms);
                           BOOST_TEST((got ? !got->owner_died() : got.error() == errc::timed_out));
                           BOOST_TEST(count(now.s, liveness::dead) == 0u);
                           victim.resume();
                       }
                       auto const status = victim.wait(60s);
                       is_to_be_had(now.d, status);
                       return status;
                   }),
                   contended ? 5 : 3);
    }
}

// Before it would look again by itself.
BOOST_AUTO_TEST_CASE(who_unlocks_next_wakes_who_waits_though_the_last_to_have_it_stands_still)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   with_desk now(flat_segment(10min));
                   child     victim = ready_child("locker", {now.s.name(), "awaited"}, options);
                   child     other  = ready_child("locker", {now.s.name(), "alone"});
                   victim.close_input();
                   bool const has_it =
                       eventually([&] { return now.d.said.load() == 1 || victim.wait_stopped(0s); }, 60s);
                   BOOST_TEST(has_it);
                   other.close_input();
                   BOOST_TEST(eventually([&] { return other.sleeps_at("mutex.wait.before_sleep"); }, 60s));
                   now.d.answered.store(1);
                   bool const stopped = victim.wait_stopped(60s);
                   if (auto held = now.d.mutex.try_lock())
                   {
                       held->unlock();
                       bool const woken = other.wait(20s).ended();
                       BOOST_TEST(woken, "one who waits was not woken though somebody has unlocked");
                   }
                   if (stopped)
                       victim.resume();
                   auto const status = victim.wait(60s);
                   BOOST_TEST(other.wait(60s) == exited(0));
                   return status;
               }),
               3);
}

BOOST_AUTO_TEST_CASE(who_rings_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk            now;
                   child                victim = ready_child("ringer", {now.s.name()}, options);
                   participant_id const id     = now.s.participants().back().id;
                   child                other("sleeper", {now.s.name()});
                   other.wait_for_line("ready", 30s);
                   std::atomic<bool>        ended_well{true};
                   std::vector<std::thread> waiting;
                   auto const               seen = now.d.bell.look();
                   for (int n = 0; n < 2; ++n)
                       waiting.emplace_back([&] {
                           auto const rung = now.d.bell.wait(seen, 60s, {.policy = wait_policy::frugal(), .peer = id});
                           if (!rung && rung.error() != errc::peer_dead)
                               ended_well = false;
                       });
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   for (std::thread& w : waiting)
                       w.join();
                   BOOST_TEST(ended_well.load());
                   if (now.d.bell.look() == seen)
                       now.d.bell.ring(); // it came to nothing: the other child still waits
                   BOOST_TEST(other.wait(60s) == exited(0));
                   return status;
               }),
               4);
}

BOOST_AUTO_TEST_CASE(who_sleeps_at_a_bell_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   with_desk now;
                   child     other  = ready_child("sleeper", {now.s.name()});
                   child     victim = ready_child("sleeper", {now.s.name()}, options);
                   goes_so_far(victim, 2);
                   now.d.bell.ring();
                   BOOST_TEST(other.wait(60s) == exited(0));
                   auto const status = victim.wait(60s);
                   auto const seen   = now.d.bell.look();
                   BOOST_TEST(now.d.bell.wait(seen, 5ms, {.policy = wait_policy::frugal()}).has_error());
                   return status;
               }),
               2);
}

BOOST_AUTO_TEST_CASE(who_rings_stands_still_anywhere)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   with_desk            now;
                   child                victim = ready_child("ringer", {now.s.name()}, options);
                   participant_id const id     = now.s.participants().back().id;
                   child                other  = ready_child("sleeper", {now.s.name()});
                   auto const           seen   = now.d.bell.look();
                   victim.close_input();
                   if (victim.wait_stopped(60s))
                   {
                       auto const rung = now.d.bell.wait(seen, 20ms, {.policy = wait_policy::frugal(), .peer = id});
                       BOOST_TEST((rung.has_value() || rung.error() == errc::timed_out));
                       BOOST_TEST(count(now.s, liveness::dead) == 0u);
                       now.d.bell.ring(); // others ring as ever
                       BOOST_TEST(other.wait(60s) == exited(0));
                       BOOST_TEST(now.d.bell.wait(seen, 0s).has_value());
                       victim.resume();
                   }
                   auto const status = victim.wait(60s);
                   BOOST_TEST(other.wait(60s) == exited(0));
                   return status;
               }),
               4);
}

// It looks again once per detection time, also where it waits for nobody in particular.
BOOST_AUTO_TEST_CASE(who_sleeps_for_long_sleeps)
{
    with_desk now;
    child     other = ready_child("sleeper", {now.s.name()});
    for (int n = 0; n != 20; ++n)
        std::this_thread::sleep_for(now.s.attached()->detection_time());
    now.d.bell.ring();
    BOOST_TEST(other.wait(60s) == exited(0));
    // Each look meets three; the machine may have taken its time for ours.
    BOOST_TEST(other.points_met() >= 3u);
    BOOST_TEST(other.points_met() < 10'000u);
}

// Before it would look again by itself.
BOOST_AUTO_TEST_CASE(who_rings_next_wakes_a_sleeper_whose_ringer_stands_still)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   with_desk now(flat_segment(10min));
                   child     victim = ready_child("ringer", {now.s.name()}, options);
                   child     other  = ready_child("sleeper", {now.s.name()});
                   BOOST_TEST(eventually([&] { return other.sleeps_at("doorbell.wait.before_sleep"); }, 60s));
                   victim.close_input();
                   bool const stopped = victim.wait_stopped(60s);
                   now.d.bell.ring();
                   bool const woken = other.wait(20s).ended();
                   BOOST_TEST(woken, "a sleeper was not woken while another stood still with ringing");
                   if (stopped)
                       victim.resume();
                   auto const status = victim.wait(60s);
                   BOOST_TEST(other.wait(60s) == exited(0));
                   return status;
               }),
               4);
}

BOOST_AUTO_TEST_CASE(who_sleeps_at_a_bell_stands_still_anywhere)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   with_desk now;
                   child     other  = ready_child("sleeper", {now.s.name()});
                   child     victim = ready_child("sleeper", {now.s.name()}, options);
                   goes_so_far(victim, 2);
                   bool const stopped = victim.wait_stopped(0s);
                   now.d.bell.ring();
                   BOOST_TEST(other.wait(60s) == exited(0));
                   if (stopped || victim.wait_stopped(30s))
                       victim.resume();
                   return victim.wait(60s);
               }),
               2);
}

BOOST_AUTO_TEST_SUITE_END()
