/// A history that cannot be kept, or copied, in time: nobody is left in the dark, and nobody else loses anything.
#include <atrium/pipe/router.hpp>

#include "pipe/deadline_scene.hpp"

#include <optional>

using namespace atrium;
using namespace atrium::test;

BOOST_FIXTURE_TEST_SUITE(pipe_history_refused, leaves_nothing)

// Who joins is told, and so is who sends where the oldest could not be dropped.
BOOST_AUTO_TEST_CASE(who_cannot_have_or_keep_a_history_in_time_is_told)
{
    deadline_scene now;
    auto           theirs = std::optional<router<item>>(std::in_place, create_only, now.s, "router.0",
                                              router_options{.pipes = 2, .history = pools_of_each});
    auto           first  = std::optional(theirs->subscribe({.capacity = 8}));
    child          sender = ready_child("sender_of_own_elements", {now.s.name(), "1"});
    {
        std::optional<child> holder;
        interlude const      when_open("pipe.change_noted", 1, [&] { holder = stopped_heap_holder(now.s.name()); });
        BOOST_CHECK_EXCEPTION(static_cast<void>(theirs->subscribe({.history = 8, .patience = soon})), system_error,
                              [](auto const& e) { return e.code() == errc::timed_out; });
        BOOST_REQUIRE(holder.has_value());
        holder->resume();
        BOOST_TEST(holder->wait(30s) == exited(0));
    }
    {
        auto late_one = theirs->subscribe({.history = 8});
        for (unsigned n = 0; n != pools_of_each; ++n)
            BOOST_TEST(late_one.receive(late).value()->value == n);
    }

    router<item> ours(create_only, now.s, "ours", {.pipes = 2, .history = 1});
    auto         listens = ours.subscribe({.capacity = 8});
    lane_thread  talker;
    talker.run([&] {
        BOOST_TEST(ours.send(first->receive(late).value(), late).value().delivered() == 1u);
        has_references_left(now.items);
    });
    BOOST_TEST(listens.receive(late).value()->value == 0u);
    first.reset(); // with the pools that it held
    listens      = ours.subscribe({.capacity = 8});
    auto  one    = now.items.make(7u).value();
    child holder = stopped_heap_holder(now.s.name());
    answers_in_time(holder, [&] {
        talker.run([&] { BOOST_TEST(ours.send(std::move(one), soon).error() == errc::timed_out); });
        BOOST_TEST((one != nullptr));
    });
    holder.resume();
    BOOST_TEST(holder.wait(30s) == exited(0));
    talker.run([&] { BOOST_TEST(ours.send(std::move(one), late).value().delivered() == 1u); });
    BOOST_TEST(listens.receive(late).value()->value == 7u);
    let_end(sender);
}

// Who joins fails to copy what one sender keeps, when it has copied what another has kept and is about to push: who has
// opened the pipe as well gets that.
BOOST_AUTO_TEST_CASE(nothing_is_taken_for_history_of_who_could_not_have_it)
{
    deadline_scene now;
    router<item>   theirs(create_only, now.s, "router.0", router_options{.pipes = 3, .history = pools_of_each});
    auto           first = std::optional(theirs.subscribe({.capacity = 8}));
    BOOST_TEST(theirs.send(now.items.make(98u).value(), late).value().delivered() == 1u); // before the other sender
    child                             sender = ready_child("sender_of_own_elements", {now.s.name(), "1"});
    lane_thread                       joiner, other;
    std::optional<atrium::pipe<item>> q;
    interlude const                   kept("ring.tail_written", 1, [&] {
        joiner.run([&] {
            std::optional<child> holder;
            interlude const      when_open("pipe.change_noted", 1, [&] {
                other.run([&] { q.emplace(theirs.subscribe(open_only, "jobs")); });
                holder = stopped_heap_holder(now.s.name());
            });
            BOOST_CHECK_EXCEPTION(
                                  static_cast<void>(theirs.subscribe(create_only, "jobs", {.history = 8, .patience = soon})),
                                  system_error, [](auto const& e) { return e.code() == errc::timed_out; });
            BOOST_REQUIRE(holder.has_value());
            holder->resume();
            BOOST_TEST(holder->wait(30s) == exited(0));
        });
    });
    BOOST_TEST(theirs.send(now.items.make(99u).value(), late).value().delivered() == 2u);
    BOOST_TEST(kept.was_reached());
    other.run([&] {
        BOOST_TEST(q->receive(late).value()->value == 99u);
        q.reset();
    });
    let_end(sender);
}

BOOST_AUTO_TEST_SUITE_END()
