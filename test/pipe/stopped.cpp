/// A process stands still between any two steps of handing over: it delays nobody but those who wait for what it has, up to
/// their deadlines; nobody takes it for dead; and when it goes on, nothing is lost, doubled or reordered.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_encounters.hpp"
#include "pipe/pipe_scene.hpp"
#include "segment/stopped_answers.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 10ms;

// What others do meanwhile; the three pipes that were there before are served whoever stands still.
void others_go_on(pipe_scene& now, bool in_order = true)
{
    for (std::uint64_t n = 100; n != 103; ++n)
    {
        auto one = now.items.make(n);
        if (!one)
            break; // it has them all
        auto const sent = now.sender->send(std::move(*one), soon).value();
        BOOST_TEST(sent.delivered() >= 3u);
        for (refusal const& r : sent.refusals())
            BOOST_TEST((r.why == errc::timed_out || r.why == errc::closed));
    }
    BOOST_TEST(now.drops->receive(soon).has_value());
    if (auto const one = now.workers->receive(soon); one && (*one)->value < 100)
        now.book->seen[(*one)->value].fetch_add(1);
    received const all = now.drain(*now.waits);
    BOOST_TEST(all.deaths == 0u);
    auto const theirs = now.of_victim(all);
    BOOST_TEST((!in_order || std::is_sorted(theirs.begin(), theirs.end())));
    BOOST_TEST(all.values.size() - theirs.size() == 3u);
    try
    {
        auto extra = now.r->subscribe({.capacity = 2, .patience = soon});
        if (auto one = now.items.make(103u))
            BOOST_TEST(now.sender->send(std::move(*one), soon).value().delivered() >= 3u);
    }
    catch (system_error const& e) // it has the heap
    {
        BOOST_TEST((e.code() == errc::timed_out || e.code() == errc::recovery_busy));
    }
    auto const recovered = now.s.recover(soon);
    BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
}

template <class Prepare, class Check>
void stands_still_anywhere(std::string const& role, std::uint64_t points, unsigned step, Prepare prepare, Check check,
                           segment_options const& options = pipe_segment(), std::size_t history = 0,
                           bool in_order = true)
{
    sampled const some(step);
    met_enough(for_every_stop_point([&](child_options const& victim) {
                   pipe_scene now(options, history);
                   prepare(now);
                   child      still(role, now.name(), victim);
                   bool const stopped = still.wait_stopped(60s);
                   if (stopped)
                       answers_in_time(still, [&] { others_go_on(now, in_order); });
                   auto const status = finish(still, stopped);
                   BOOST_TEST(now.s.recoveries() == 0u);
                   check(now);
                   now.is_as_before(0);
                   return status;
               }),
               points);
}

void nothing(pipe_scene&) {}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_stopped, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_sends_stands_still_anywhere)
{
    stands_still_anywhere("pipe_sender", 200, 8, nothing, nothing);
}

BOOST_AUTO_TEST_CASE(who_sends_and_keeps_a_history_stands_still_anywhere)
{
    stands_still_anywhere("pipe_sender", 200, 16, nothing, nothing, pipe_segment(), 2);
}

BOOST_AUTO_TEST_CASE(an_ordered_sender_stands_still_anywhere)
{
    stands_still_anywhere("ordered_pipe_sender", 100, 8, nothing, nothing);
}

BOOST_AUTO_TEST_CASE(who_sends_to_full_pipes_stands_still_anywhere)
{
    stands_still_anywhere("crowding_pipe_sender", 200, 12, nothing, nothing);
}

BOOST_AUTO_TEST_CASE(who_subscribes_and_receives_stands_still_anywhere)
{
    stands_still_anywhere("pipe_receiver", 200, 8, nothing, nothing);
}

// Each number comes once, to the one or the other.
BOOST_AUTO_TEST_CASE(who_competes_stands_still_anywhere)
{
    stands_still_anywhere(
        "competing_receiver", 50, 2,
        [](pipe_scene& now) {
            for (std::uint64_t n = 1; n != 9; ++n)
                BOOST_TEST(now.r->send(now.items.make(n).value(), 1s).value().delivered() == 3u);
        },
        [](pipe_scene& now) {
            note_seen(now, now.drain(*now.workers));
            lost_of(now, 1, 9, exited(0));
        });
}

BOOST_AUTO_TEST_CASE(who_comes_late_stands_still_anywhere)
{
    stands_still_anywhere(
        "late_receiver", 100, 8,
        [](pipe_scene& now) {
            for (std::uint64_t n = 1; n != 6; ++n)
                BOOST_TEST(now.r->send(now.items.make(n).value(), 1s).value().delivered() == 3u);
        },
        nothing, pipe_segment(), 4);
}

BOOST_AUTO_TEST_CASE(threads_that_share_a_sender_stand_still_anywhere)
{
    auto narrow  = pipe_segment();
    narrow.lanes = 1;
    stands_still_anywhere("crowd_of_pipe_senders", 100, 32, nothing, nothing, narrow, 0, false);
}

BOOST_AUTO_TEST_CASE(who_waits_stands_still_anywhere)
{
    stands_still_anywhere("pipe_waiter", 100, 24, nothing, nothing);
}

BOOST_AUTO_TEST_CASE(who_closes_its_own_pipe_stands_still_anywhere)
{
    stands_still_anywhere("closing_receiver", 200, 16, nothing, nothing);
}

BOOST_AUTO_TEST_CASE(who_closes_a_pipe_that_others_have_too_stands_still_anywhere)
{
    sampled const some(4);
    met_enough(for_every_stop_point(closes_a_shared_pipe), 50);
}

BOOST_AUTO_TEST_CASE(who_takes_what_a_sender_waits_for_stands_still_anywhere)
{
    met_enough(for_every_stop_point(
                   [](child_options const& victim) { return meets_a_waiting_sender("waking_receiver", true, victim); }),
               5);
}

BOOST_AUTO_TEST_CASE(who_closes_a_pipe_whose_sender_waits_stands_still_anywhere)
{
    met_enough(for_every_stop_point(
                   [](child_options const& victim) { return meets_a_waiting_sender("waking_closer", true, victim); }),
               5);
}

BOOST_AUTO_TEST_CASE(who_leaves_a_pipe_whose_sender_waits_stands_still_anywhere)
{
    sampled const some(6);
    met_enough(for_every_stop_point(
                   [](child_options const& victim) { return meets_a_waiting_sender("waking_leaver", false, victim); }),
               10);
}

BOOST_AUTO_TEST_CASE(who_hears_of_a_death_stands_still_anywhere)
{
    sampled const some(4);
    met_enough(for_every_stop_point(hears_of_a_death), 20);
}

BOOST_AUTO_TEST_CASE(who_leaves_idle_senders_alone_stands_still_anywhere)
{
    met_enough(for_every_stop_point(leaves_idle_senders_alone), 2);
}

// Stopped before it takes its oldest, which somebody receives meanwhile; and again when it has found that out.
BOOST_AUTO_TEST_CASE(who_finds_nothing_to_drop_any_more_stands_still)
{
    std::uint64_t const at = points_until_a_drop();
    pipe_scene          now;
    child               victim("warm_pipe_sender", now.name(), {.stop_at = at + 1, .stop_at_name = "pipe.drop_begun"});
    BOOST_TEST(victim.wait_stopped(60s));
    BOOST_TEST(now.drops->receive(1s).value()->value == 1u);
    victim.resume();
    BOOST_TEST(victim.wait_stopped(60s));
    BOOST_TEST(victim.last_point() == "pipe.drop_void");
    answers_in_time(victim, [&] { others_go_on(now); });
    BOOST_TEST(finish(victim, true) == exited(0));
    now.drops_are_counted(2);
    now.is_as_before(0);
}

// Its end is everybody's, whoever stands still with it.
BOOST_AUTO_TEST_CASE(who_closes_a_router_stands_still_anywhere)
{
    sampled const some(5);
    met_enough(for_every_stop_point([](child_options const& victim) {
                   pipe_scene  now;
                   exit_status status;
                   {
                       router<item> closing(create_only, now.s, "closing", {.pipes = 2, .ordered_senders = 1});
                       auto         p      = closing.subscribe();
                       auto         sender = closing.make_ordered_sender();
                       BOOST_TEST(sender.send(now.items.make(100u).value(), 1s).value().delivered() == 1u);
                       child                      still("router_closer", now.name(), victim);
                       std::vector<std::uint64_t> sent{1, 100};
                       std::vector<std::uint64_t> got;
                       status = play(still, [&] {
                           // Delivered until its pipe is shut, and then refused.
                           auto const another = sender.send(now.items.make(101u).value(), soon);
                           if (another && another->delivered() == 1)
                               sent.push_back(101);
                           got.push_back(p.receive(soon).value()->value);
                           others_go_on(now);
                       });
                       BOOST_TEST((sender.send(now.items.make(102u).value(), soon).error() == errc::closed));
                       for (std::uint64_t const n : now.drain(p).values)
                           got.push_back(n);
                       std::sort(got.begin(), got.end());
                       BOOST_TEST((got == sent));
                       BOOST_TEST((p.try_receive().error() == errc::closed));
                   }
                   now.is_as_before(0);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_makes_and_ends_a_router_stands_still_anywhere)
{
    stands_still_anywhere("router_maker", 200, 12, nothing, nothing);
}

// A pipe that nobody reads from is closed by the death of its last receiver, also where a sender stands still in it.
BOOST_AUTO_TEST_CASE(a_pipe_is_closed_while_its_sender_stands_still)
{
    sampled const some(2);
    met_enough(for_every_stop_point([&](child_options const& victim) {
                   pipe_scene now;
                   auto       goes = std::optional(now.r->subscribe());
                   child      still("warm_pipe_sender", now.name(), victim);
                   bool const stopped = still.wait_stopped(60s);
                   if (stopped)
                       answers_in_time(still, [&] {
                           goes.reset();
                           others_go_on(now);
                       });
                   goes.reset();
                   auto const status = finish(still, stopped);
                   now.is_as_before(0);
                   return status;
               }),
               200);
}

BOOST_AUTO_TEST_CASE(who_recovers_stands_still_anywhere)
{
    sampled const some(8);
    met_enough(for_every_stop_point([&](child_options const& victim) {
                   pipe_scene now;
                   child      recoverer = ready_child("pipe_recoverer", now.name(), victim);
                   ready_child("owner_of_pipes", now.name()).kill();
                   recoverer.close_input();
                   bool const stopped = recoverer.wait_stopped(60s);
                   if (stopped)
                       answers_in_time(recoverer, [&] {
                           for (std::uint64_t n = 100; n != 103; ++n)
                           {
                               if (auto one = now.items.make(n))
                                   BOOST_TEST(now.sender->send(std::move(*one), soon).value().delivered() >= 3u);
                           }
                           BOOST_TEST(now.workers->receive(soon).has_value());
                       });
                   auto const status = finish(recoverer, stopped);
                   now.is_as_before(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_SUITE_END()
