/// \file
/// Processes that send and receive; each counts its crash points from arm() on.
#pragma once

#include "memory/reference_objects.hpp"
#include "pipe/pipe_fixture.hpp"
#include "support/crash_driver.hpp"

#include <array>
#include <thread>
#include <utility>
#include <vector>

namespace atrium::test {

/// What the processes of a scene note of what they do.
struct ledger
{
    static constexpr std::size_t most = 64;

    atomic<std::uint64_t> begun{0};     ///< sends that the victim has begun
    atomic<std::uint64_t> done{0};      ///< of these: that it was told to have been delivered
    atomic<std::uint64_t> seen[most]{}; ///< how often each number was received by those who compete
};

/// What a role of these needs: the router, and the items that go through it.
struct pipe_station : station
{
    explicit pipe_station(std::string const& name)
        : station(name), book(open_only, s, "ledger"), items(open_only, s, "items"), r(open_only, s, "router")
    {}

    named<ledger> book;
    pool<item>    items;
    router<item>  r;
};

/// Sends a number, and notes it.
inline void send_noted(pipe_station& at, shared_ptr<item> one)
{
    at.book->begun.fetch_add(1);
    require(at.r.send(std::move(one), 10s).value().delivered() != 0);
    at.book->done.fetch_add(1);
}

// ---- senders -------------------------------------------------------------------------------------------------------

// For the first time: with its sender, and its rings. Numbers from 1 on.
ATRIUM_TEST_ROLE(pipe_sender)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        send_noted(at, at.items.make(1u).value());
        auto const kept = at.items.make(2u).value();
        at.book->begun.fetch_add(1);
        require(at.r.send(kept, 10s).value().delivered() != 0);
        at.book->done.fetch_add(1);
        std::array<shared_ptr<item>, 3> batch;
        for (std::uint64_t n = 0; n != batch.size(); ++n)
            batch[n] = at.items.make(3 + n).value();
        at.book->begun.fetch_add(3);
        require(at.r.send(std::span(batch), 10s).value().delivered() != 0);
        at.book->done.fetch_add(3);
        send_noted(at, make_shared<item>(at.s, 6u).value());
    }
    disarm();
    return 0;
}

// With all that a sender needs, so that the heap is not asked any more.
ATRIUM_TEST_ROLE(warm_pipe_sender)
{
    pipe_station at(arguments.at(0));
    require(at.r.send(at.items.make(1u).value(), 10s).value().delivered() != 0);
    arm();
    for (std::uint64_t n = 2; n != 4; ++n)
    {
        auto kept = at.items.make(n).value();
        require(at.r.send(kept, 10s).value().delivered() != 0);
        require(at.r.send(std::move(kept), 10s).value().delivered() != 0);
    }
    disarm();
    return 0;
}

// The same by an ordered sender, from two threads.
ATRIUM_TEST_ROLE(ordered_pipe_sender)
{
    pipe_station                        at(arguments.at(0));
    std::optional<ordered_sender<item>> sender; // goes after all points: who has ended does not die as a sender
    arm();
    sender.emplace(at.r.make_ordered_sender());
    for (std::uint64_t n = 1; n != 3; ++n)
        std::thread([&] {
            at.book->begun.fetch_add(1);
            require(sender->send(at.items.make(n).value(), 10s).value().delivered() != 0);
            at.book->done.fetch_add(1);
        }).join();
    disarm();
    return 0;
}

// Threads that share a lane, and so a sender.
ATRIUM_TEST_ROLE(crowd_of_pipe_senders)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        std::vector<std::thread> threads;
        for (std::uint64_t n = 1; n != 4; ++n)
            threads.emplace_back([&at, n] { require(at.r.send(at.items.make(n).value(), 10s).has_value()); });
        for (std::thread& one : threads)
            one.join();
    }
    disarm();
    return 0;
}

// Into a pipe that is full from its first reference on, and drops; and into one that is waited for in vain.
ATRIUM_TEST_ROLE(crowding_pipe_sender)
{
    pipe_station at(arguments.at(0));
    auto const   narrow = at.r.subscribe({.capacity = 1});
    arm();
    for (std::uint64_t n = 1; n != 4; ++n)
        require(at.r.send(at.items.make(n).value(), 2ms).has_value());
    disarm();
    return 0;
}

// ---- receivers -----------------------------------------------------------------------------------------------------

/// The next number that is not of the survivor, who sends what is not below 100.
inline std::uint64_t next_of_victims(atrium::pipe<item>& from)
{
    for (;;)
    {
        auto const one = from.receive(10s).value();
        require(one->is_whole());
        if (one->value < 100)
            return one->value;
    }
}

/// Receives until there is an error, which is that one.
template <class Hear> void receive_until(errc end, atrium::pipe<item>& from, Hear const& hear)
{
    for (;;)
    {
        auto const one = from.receive(10s);
        if (!one)
            return require(one.error() == end);
        hear(**one);
    }
}

// Makes a pipe, gets what it sends itself, and goes.
ATRIUM_TEST_ROLE(pipe_receiver)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe({.capacity = 4, .when_full = overflow::drop_oldest});
        for (std::uint64_t n = 1; n != 4; ++n)
            require(at.r.send(at.items.make(n).value(), 10s).value().delivered() != 0);
        for (std::uint64_t n = 1; n != 3; ++n)
            require(next_of_victims(p) == n);
        std::array<shared_ptr<item>, 2> batch;
        require(p.receive(std::span(batch), 10s).value() != 0);
        require(at.r.send(at.items.make(5u).value(), 10s).value().delivered() != 0); // goes with the pipe
    }
    disarm();
    return 0;
}

// Competes for numbers that are there, and notes those that it gets.
ATRIUM_TEST_ROLE(competing_receiver)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe(open_only, "workers");
        for (int n = 0; n != 4; ++n)
        {
            at.book->seen[next_of_victims(p)].fetch_add(1);
        }
    }
    disarm();
    return 0;
}

// Comes late, and gets what was sent before.
ATRIUM_TEST_ROLE(late_receiver)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe({.history = 3});
        for (std::uint64_t n = 1; auto one = p.try_receive(); ++n)
            require((*one)->is_whole());
    }
    disarm();
    return 0;
}

// Closes a pipe of its own with something in it, and gets the rest.
ATRIUM_TEST_ROLE(closing_receiver)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe({.capacity = 8});
        for (std::uint64_t n = 1; n != 4; ++n)
            require(at.r.send(at.items.make(n).value(), 10s).value().delivered() != 0);
        p.close();
        require(at.r.send(at.items.make(4u).value(), 10s).value().delivered() != 0); // to the others
        for (std::uint64_t n = 1; n != 4; ++n)
            require(next_of_victims(p) == n);
        receive_until(errc::closed, p, [](item const& rest) { require(rest.value >= 100); });
    }
    disarm();
    return 0;
}

// Closes a pipe that others have as well, and competes for the rest.
ATRIUM_TEST_ROLE(closing_competitor)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe(open_only, "shared");
        p.close();
        receive_until(errc::closed, p, [&](item const& one) { at.book->seen[one.value].fetch_add(1); });
    }
    disarm();
    return 0;
}

// Hears of a death after what the dead one sent, and notes both.
ATRIUM_TEST_ROLE(hearer_of_a_death)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe(open_only, "workers");
        receive_until(errc::peer_dead, p, [&](item const& one) { at.book->seen[one.value].fetch_add(1); });
        at.book->done.fetch_add(1);
    }
    disarm();
    return 0;
}

// Has looked so often in vain that it leaves most of many senders alone; then takes what comes.
ATRIUM_TEST_ROLE(receiver_from_idle_senders)
{
    pipe_station at(arguments.at(0));
    router<item> crowd(open_only, at.s, "crowd");
    auto         p = crowd.subscribe(open_only, "many");
    for (std::uint64_t n = 0; n != 12; ++n)
        require(p.receive(10s).has_value());
    for (unsigned turn = 0; turn != 4080; ++turn)
        require(p.try_receive().error() == errc::empty);
    arm();
    for (unsigned turn = 0; turn != 32; ++turn)
    {
        if (auto const one = p.try_receive())
            at.book->seen[(*one)->value].fetch_add(1);
    }
    disarm();
    while (auto const one = p.try_receive())
        at.book->seen[(*one)->value].fetch_add(1);
    return 0;
}

// Waits, asleep, for what does not come; and for room that there is not.
ATRIUM_TEST_ROLE(pipe_waiter)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        auto p = at.r.subscribe({.capacity = 1});
        while (auto const one = p.receive(1ms, wait_policy::frugal()))
            require((*one)->value >= 100); // others have sent it meanwhile
        require(at.r.send(at.items.make(1u).value(), 10s).value().delivered() != 0);
        require(at.r.send(at.items.make(2u).value(), 1ms, wait_policy::frugal()).value().refused() != 0);
    }
    disarm();
    return 0;
}

// ---- routers -------------------------------------------------------------------------------------------------------

// Makes a router, and ends it with something in it.
ATRIUM_TEST_ROLE(router_maker)
{
    pipe_station at(arguments.at(0));
    arm();
    {
        router<item> own(create_only, at.s, "own", {.pipes = 2, .ordered_senders = 1, .history = 2});
        auto         p = own.subscribe(create_only, "first", {.capacity = 2, .history = 1});
        require(own.send(at.items.make(1u).value(), 10s).value().delivered() == 1);
    }
    disarm();
    return 0;
}

// Closes what the others use, with something in it.
ATRIUM_TEST_ROLE(router_closer)
{
    pipe_station at(arguments.at(0));
    router<item> closing(open_only, at.s, "closing");
    arm();
    require(closing.send(at.items.make(1u).value(), 10s).has_value());
    closing.close();
    require(closing.send(at.items.make(2u).value(), 10s).error() == errc::closed);
    disarm();
    return 0;
}

// ---- who is killed with all that it has, and who recovers ----------------------------------------------------------

// Is in the middle of everything: with pipes, full and empty ones, references in its hands, and a sender.
ATRIUM_TEST_ROLE(owner_of_pipes)
{
    pipe_station at(arguments.at(0));
    router<item> own(create_only, at.s, "own", {.pipes = 2, .history = 2});
    auto         p      = at.r.subscribe({.capacity = 2, .when_full = overflow::drop_oldest});
    auto         worker = at.r.subscribe(open_only, "workers");
    auto         mine   = own.subscribe(create_only, "first");
    auto         sender = at.r.make_ordered_sender();
    require(at.r.send(at.items.make(1u).value(), 10s).value().delivered() != 0);
    require(sender.send(at.items.make(2u).value(), 10s).value().delivered() != 0);
    require(own.send(at.items.make(3u).value(), 10s).value().delivered() == 1);
    auto const held = p.receive(10s).value();
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(pipe_recoverer)
{
    pipe_station at(arguments.at(0));
    segment      s(open_only, arguments.at(0));
    say("ready");
    static_cast<void>(hear());
    arm();
    static_cast<void>(s.recover(30s));
    disarm();
    return 0;
}

} // namespace atrium::test
