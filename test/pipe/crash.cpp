/// A process dies between any two steps of handing over: what it had sent arrives, nothing is lost, doubled or reordered,
/// and nobody is held up.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_scene.hpp"
#include "segment/stopped_answers.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

template <class Prepare, class Check>
void dies_anywhere(std::string const& role, std::uint64_t points, Prepare prepare, Check check,
                   segment_options const& options = pipe_segment(), std::size_t history = 0, std::uint64_t threads = 1)
{
    met_enough(for_every_crash_point([&](child_options const& victim) {
                   pipe_scene now(options, history);
                   prepare(now);
                   auto const status = run(role, now.name(), victim);
                   if (kind_of_run(victim.crash_at) < 3)
                       now.others_go_on();
                   check(now, status);
                   now.is_as_before(status == exited(0) ? 0 : threads); // each may be cut off in a constructor
                   return status;
               }),
               points);
}

void nothing(pipe_scene&) {}
void nothing_more(pipe_scene&, exit_status) {}
void is_heard(pipe_scene& now, exit_status status)
{
    now.sender_is_heard(status);
}

// Others take what there is, and so overwrite the mark of what the dead one took last, before anybody recovers for it.
void is_counted_late(pipe_scene& now, exit_status)
{
    std::size_t const got = now.drain(*now.drops).values.size();
    BOOST_TEST(now.s.recover(10s).has_value());
    now.drops_are_counted(got);
}

void send_numbers(pipe_scene& now, std::uint64_t first, std::uint64_t end)
{
    for (; first != end; ++first)
        BOOST_TEST(now.r->send(now.items.make(first).value(), 1s).value().delivered() == 3u);
}

void eight_numbers(pipe_scene& now)
{
    send_numbers(now, 1, 9);
}

void note_seen(pipe_scene& now)
{
    for (std::uint64_t const n : now.of_victim(now.drain(*now.workers)))
        now.book->seen[n].fetch_add(1);
}

// What the dead one had taken and not noted is lost with it: one number at most, and no other.
void one_is_lost_at_most(pipe_scene& now)
{
    std::uint64_t lost = 0;
    for (std::uint64_t n = 1; n != 9; ++n)
    {
        BOOST_TEST(now.book->seen[n].load() <= 1u);
        lost += now.book->seen[n].load() == 0 ? 1 : 0;
    }
    BOOST_TEST(lost <= 1u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_crash, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_sends_dies_anywhere)
{
    sampled const some(3);
    dies_anywhere("pipe_sender", 200, nothing, is_heard);
}

BOOST_AUTO_TEST_CASE(who_sends_dies_anywhere_and_others_take_before_it_is_known)
{
    sampled const some(6);
    dies_anywhere("pipe_sender", 200, nothing, is_counted_late);
}

BOOST_AUTO_TEST_CASE(who_sends_and_keeps_a_history_dies_anywhere)
{
    sampled const some(4);
    dies_anywhere("pipe_sender", 200, nothing, is_heard, pipe_segment(), 2);
}

BOOST_AUTO_TEST_CASE(an_ordered_sender_dies_anywhere)
{
    dies_anywhere("ordered_pipe_sender", 100, nothing, is_heard);
}

BOOST_AUTO_TEST_CASE(threads_that_share_a_sender_die_anywhere)
{
    auto narrow  = pipe_segment();
    narrow.lanes = 1;
    sampled const some(4);
    dies_anywhere("crowd_of_pipe_senders", 100, nothing, is_counted_late, narrow, 0, 3);
}

BOOST_AUTO_TEST_CASE(who_sends_to_full_pipes_dies_anywhere)
{
    dies_anywhere("crowding_pipe_sender", 200, nothing, nothing_more);
}

BOOST_AUTO_TEST_CASE(who_subscribes_and_receives_dies_anywhere)
{
    dies_anywhere("pipe_receiver", 200, nothing, nothing_more);
}

BOOST_AUTO_TEST_CASE(who_competes_dies_anywhere)
{
    dies_anywhere("competing_receiver", 50, eight_numbers, [](pipe_scene& now, exit_status) {
        BOOST_TEST(now.s.recover(10s).has_value());
        note_seen(now);
        one_is_lost_at_most(now);
    });
}

BOOST_AUTO_TEST_CASE(who_competes_dies_anywhere_and_others_take_before_it_is_known)
{
    dies_anywhere("competing_receiver", 50, eight_numbers, [](pipe_scene& now, exit_status) {
        note_seen(now);
        BOOST_TEST(now.s.recover(10s).has_value());
        note_seen(now);
        one_is_lost_at_most(now);
    });
}

BOOST_AUTO_TEST_CASE(who_comes_late_dies_anywhere)
{
    dies_anywhere(
        "late_receiver", 100, [](pipe_scene& now) { send_numbers(now, 1, 6); }, nothing_more, pipe_segment(), 4);
}

BOOST_AUTO_TEST_CASE(who_waits_dies_anywhere)
{
    dies_anywhere("pipe_waiter", 100, nothing, nothing_more);
}

BOOST_AUTO_TEST_CASE(who_makes_and_ends_a_router_dies_anywhere)
{
    dies_anywhere("router_maker", 200, nothing, nothing_more);
}

BOOST_AUTO_TEST_CASE(who_closes_a_router_dies_anywhere)
{
    met_enough(for_every_crash_point([&](child_options const& victim) {
                   pipe_scene  now;
                   exit_status status;
                   {
                       router<item> closing(create_only, now.s, "closing", {.pipes = 2});
                       auto         p = closing.subscribe();
                       BOOST_TEST(closing.send(now.items.make(7u).value(), 1s).value().delivered() == 1u);
                       status = run("router_closer", now.name(), victim);
                       now.others_go_on();
                       BOOST_TEST(now.s.recover(10s).has_value());
                       BOOST_TEST(p.receive(1s).value()->value == 7u);
                       // Closed if that was begun, and then for everybody.
                       bool const closed = closing.info().closed;
                       for (;;)
                       {
                           auto const next = p.try_receive();
                           if (next || next.error() == errc::peer_dead)
                               continue;
                           BOOST_TEST((next.error() == (closed ? errc::closed : errc::empty)));
                           break;
                       }
                       auto const sent = closing.send(now.items.make(8u).value(), 1s);
                       BOOST_TEST(sent.has_value() == !closed);
                   }
                   now.is_as_before(status == exited(0) ? 0 : 1);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_recovers_dies_anywhere)
{
    sampled const some(2);
    met_enough(for_every_crash_point([&](child_options const& victim) {
                   pipe_scene now;
                   send_numbers(now, 1, 4);
                   child recoverer = ready_child("pipe_recoverer", now.name(), victim);
                   ready_child("owner_of_pipes", now.name()).kill();
                   recoverer.close_input();
                   auto const status = recoverer.wait(60s);
                   now.others_go_on();
                   received const all = now.drain(*now.waits);
                   BOOST_TEST(now.s.recover(10s).has_value());
                   BOOST_TEST(all.deaths + now.drain(*now.waits).deaths == 2u); // a thread's and an ordered sender's
                   now.is_as_before(1);
                   return status;
               }),
               100);
}

// The first victim dies while it hands over, the second while it recovers for it.
BOOST_AUTO_TEST_CASE(who_recovers_for_who_hands_over_dies_anywhere)
{
    for (char const* role : {"pipe_sender", "pipe_receiver", "competing_receiver"})
    {
        auto const report = for_crash_pairs(
            [&](child_options const& first, child_options const& second) {
                pipe_scene now;
                send_numbers(now, 21, 27);
                child      recoverer = ready_child("pipe_recoverer", now.name(), second);
                auto const status    = run(role, now.name(), first);
                recoverer.close_input();
                pair_status const ended{status, recoverer.wait(60s)};
                now.others_go_on();
                now.is_as_before(2);
                return ended;
            },
            30);
        BOOST_TEST(report.failures == 0u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
