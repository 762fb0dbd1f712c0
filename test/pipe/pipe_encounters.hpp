/// \file
/// Victims that meet others in the middle of something: the survivor's side, for those who die and those who stand still.
#pragma once

#include "pipe/pipe_scene.hpp"
#include "pipe/sleeper_roles.hpp"
#include "segment/stopped_answers.hpp"

#include <functional>
#include <vector>

namespace atrium::test {

/// Plays a victim's part to its end; does `meanwhile` beside it where it stands still.
inline exit_status play(child& victim, std::function<void()> const& meanwhile)
{
    bool const stopped = victim.wait_stopped(60s);
    if (stopped)
        answers_in_time(victim, meanwhile);
    return finish(victim, stopped);
}

inline void note_seen(pipe_scene& now, received const& all)
{
    for (std::uint64_t const n : now.of_victim(all))
        now.book->seen[n].fetch_add(1);
}

/// Each of these numbers was received once, but for one that a dead receiver may have had in its hands.
/// \returns how many are lost
inline std::uint64_t lost_of(pipe_scene& now, std::uint64_t first, std::uint64_t end, exit_status status)
{
    std::uint64_t lost = 0;
    for (; first != end; ++first)
    {
        BOOST_TEST(now.book->seen[first].load() <= 1u);
        lost += now.book->seen[first].load() == 0 ? 1 : 0;
    }
    BOOST_TEST(lost <= (status == exited(0) ? 0u : 1u));
    return lost;
}

// ---- closing -------------------------------------------------------------------------------------------------------

/// A receiver closes a pipe that others have as well. What was delivered is received once, what was refused never.
inline exit_status closes_a_shared_pipe(child_options const& options)
{
    pipe_scene now;
    auto       shared = std::optional(now.r->subscribe(create_only, "shared", {.capacity = 16}));
    auto const number = shared->number();
    bool       closed = false;
    auto const send   = [&](std::uint64_t n) {
        auto const sent = now.sender->send(now.items.make(n).value(), 1s).value();
        for (refusal const& r : sent.refusals())
            BOOST_TEST((r.pipe == number && r.why == errc::closed));
        BOOST_TEST((!closed || sent.delivered() == 3), "what was closed is not opened again");
        closed = sent.delivered() == 3;
        if (closed)
            now.book->seen[n].fetch_add(1); // it does not come; where it does, that is once too often
    };
    for (std::uint64_t n = 1; n != 5; ++n)
        send(n);
    BOOST_TEST(!closed);
    child         victim("closing_competitor", now.name(), options);
    std::uint64_t next   = 5;
    auto const    status = play(victim, [&] {
        send(next++);
        if (auto const one = shared->receive(10ms))
            now.book->seen[(*one)->value].fetch_add(1);
        send(next++);
    });
    send(next++);
    note_seen(now, now.drain(*shared));
    if (status == exited(0))
        BOOST_TEST((shared->try_receive().error() == errc::closed));
    lost_of(now, 1, next, status);
    shared.reset();
    now.is_as_before(status == exited(0) ? 0 : 1);
    return status;
}

// ---- a sender that waits for room ----------------------------------------------------------------------------------

/// The victim takes from a pipe, closes or leaves it, whose sender waits for room; `shared`: the survivor has it too.
inline exit_status meets_a_waiting_sender(std::string const& role, bool shared, child_options const& options)
{
    auto some_patience           = pipe_segment();
    some_patience.detection_time = 40ms; // so long that the sender sleeps when the victim comes to it
    pipe_scene                        now(some_patience);
    std::optional<atrium::pipe<item>> narrow;
    if (shared)
        narrow.emplace(now.r->subscribe(create_only, "narrow", {.capacity = 2}));
    if (role == "waking_receiver")
        BOOST_TEST(now.sender->send(now.items.make(100u).value(), 1s).value().delivered() == 4u);
    child       victim = ready_child(role, {now.s.name(), "narrow"}, options);
    child       sender = sleeping_child("sleeping_sender", now.name());
    bool        all    = false; // the sender is told that all has been delivered
    std::string told;
    auto const  hear_sender = [&] {
        told = sender.line(answers_within).value_or("");
        all  = told == "delivered";
        BOOST_TEST((all || told == "refused"));
    };
    auto const take_one = [&] {
        if (auto const one = narrow->receive(50ms))
            now.book->seen[(*one)->value].fetch_add(1);
    };
    victim.close_input();
    auto const status = play(victim, [&] {
        if (!shared)
            return; // there is room, or an end, when the victim goes on
        take_one();
        hear_sender();
    });
    if (shared && told.empty())
        take_one();
    if (told.empty())
        hear_sender();
    BOOST_TEST(sender.wait(60s) == exited(0));
    if (shared)
    {
        note_seen(now, now.drain(*narrow));
        lost_of(now, 1, all ? 4 : 3, status);
        if (!all)
            BOOST_TEST(now.book->seen[3].load() == 0u);
        narrow.reset();
    }
    received const got = now.drain(*now.waits);
    BOOST_TEST((now.of_victim(got) == std::vector<std::uint64_t>{1, 2, 3}));
    now.is_as_before(status == exited(0) ? 0 : 1);
    return status;
}

// ---- the death of a sender -----------------------------------------------------------------------------------------

/// The victim is told of a sender's death, which nobody hears twice.
inline exit_status hears_of_a_death(child_options const& options)
{
    pipe_scene now;
    child      sender = ready_child("waking_sender", now.name());
    sender.kill();
    BOOST_TEST(now.s.recover(10s).has_value());
    child      victim("hearer_of_a_death", now.name(), options);
    auto const status = play(victim, [&] { BOOST_TEST(now.drain(*now.waits).deaths == 1u); });
    received   rest   = now.drain(*now.workers);
    note_seen(now, rest);
    auto const heard = now.book->done.load() + rest.deaths;
    BOOST_TEST(heard <= 1u);
    std::uint64_t const lost = lost_of(now, 1, 2, status) + (1 - heard);
    BOOST_TEST(lost <= (status == exited(0) ? 0u : 1u)); // it has one thing at a time in its hands
    now.is_as_before(1);
    return status;
}

// ---- a sender with nothing to drop any more ------------------------------------------------------------------------

/// How many points a warm sender meets until it has begun to drop its oldest.
inline std::uint64_t points_until_a_drop()
{
    pipe_scene now;
    child      victim("warm_pipe_sender", now.name(), {.stop_at_name = "pipe.drop_begun"});
    BOOST_TEST(victim.wait_stopped(60s));
    std::uint64_t const met = victim.points_met();
    BOOST_TEST(finish(victim, true) == exited(0));
    now.is_as_before(0);
    return met;
}

// ---- senders that have been idle for long --------------------------------------------------------------------------

/// The victim leaves rings alone that have been empty for long, and whose senders send again meanwhile.
inline exit_status leaves_idle_senders_alone(child_options const& options)
{
    constexpr std::uint64_t senders = 12;
    pipe_scene              now;
    exit_status             status;
    {
        router<item>                      crowd(create_only, now.s, "crowd", {.pipes = 2, .ordered_senders = senders});
        auto                              p = crowd.subscribe(create_only, "many", {.capacity = 4});
        std::vector<ordered_sender<item>> all;
        for (std::uint64_t n = 0; n != senders; ++n)
            all.push_back(crowd.make_ordered_sender());
        auto const send = [&](std::uint64_t first) {
            for (std::uint64_t n = 0; n != senders; ++n)
                BOOST_TEST(all[n].send(now.items.make(first + n).value(), 1s).value().delivered() == 1u);
        };
        send(1);
        child victim("receiver_from_idle_senders", now.name(), options);
        bool  meanwhile    = false;
        status             = play(victim, [&] {
            send(21);
            meanwhile = true;
        });
        std::uint64_t seen = 0; // by the victim, who was alone
        for (std::uint64_t n = 21; n != 21 + senders; ++n)
            seen += now.book->seen[n].load();
        BOOST_TEST(seen == (meanwhile ? senders : 0u));
        if (!meanwhile)
            send(21);
        note_seen(now, now.drain(p));
        for (std::uint64_t n = 21; n != 21 + senders; ++n)
            BOOST_TEST(now.book->seen[n].load() == 1u);
    }
    now.is_as_before(0);
    return status;
}

} // namespace atrium::test
