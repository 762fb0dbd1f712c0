/// \file
/// The survivor of processes that send and receive, and what must be so when they are gone.
#pragma once

#include "memory/reference_scene.hpp"
#include "pipe/pipe_roles.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace atrium::test {

/// What a receiver has got from others.
struct received
{
    std::vector<std::uint64_t> values;
    std::size_t                deaths = 0;
};

/// A survivor with a router: a pipe of its own that waits, one that drops, and one that workers compete for.
struct pipe_scene
{
    static constexpr std::size_t places = 40;

    explicit pipe_scene(segment_options const& options = pipe_segment(), std::size_t history = 0)
        : s(create_only, unique_name("pipes"), options)
    {
        here   = &s;
        blocks = blocks_of_objects(s);
        r.emplace(create_only, s, "router", router_options{.pipes = 6, .ordered_senders = 3, .history = history});
        waits.emplace(r->subscribe(create_only, "waits", {.capacity = 64}));
        drops.emplace(r->subscribe(create_only, "drops", {.capacity = 1, .when_full = overflow::drop_oldest}));
        workers.emplace(r->subscribe(create_only, "workers", {.capacity = 64}));
        sender.emplace(r->make_ordered_sender());
        BOOST_TEST(sender->send(items.make(99u).value(), 1s).value().delivered() == 3u); // with all that it needs
        for (auto* p : {&waits, &drops, &workers})
            BOOST_TEST((*p)->receive(1s).value()->value == 99u);
    }
    pipe_scene(pipe_scene const&)            = delete;
    pipe_scene& operator=(pipe_scene const&) = delete;
    ~pipe_scene() { here = nullptr; }

    [[nodiscard]] arguments name() const { return {s.name()}; }

    /// Everything that is there.
    received drain(atrium::pipe<item>& from)
    {
        received all;
        for (;;)
        {
            auto const one = from.try_receive();
            if (one)
            {
                BOOST_TEST((*one)->is_whole());
                all.values.push_back((*one)->value);
            }
            else if (one.error() == errc::peer_dead)
                ++all.deaths;
            else
                return all;
        }
    }

    /// Before anybody has asked for a recovery, all can be used: what is sent comes.
    void others_go_on()
    {
        auto const before = std::chrono::steady_clock::now();
        for (std::uint64_t n = 100; n != 103; ++n)
            BOOST_TEST(r->send(items.make(n).value(), 10s).value().delivered() >= 3u);
        auto extra = r->subscribe({.capacity = 2});
        BOOST_TEST(r->send(items.make(103u).value(), 10s).value().delivered() >= 4u);
        BOOST_TEST(extra.receive(10s).value()->value == 103u);
        BOOST_TEST((std::chrono::steady_clock::now() - before < 20s), "nobody is held up");
    }

    /// The victim's numbers, of those that the survivor got; they come from 1 on, each once, in order.
    std::vector<std::uint64_t> of_victim(received const& all) const
    {
        std::vector<std::uint64_t> numbers;
        std::copy_if(all.values.begin(), all.values.end(), std::back_inserter(numbers), [](auto n) { return n < 100; });
        return numbers;
    }

    /// What the victim sent has come as far as it says, and its death is told once, if it has died and sent before.
    void sender_is_heard(exit_status status)
    {
        BOOST_TEST(s.recover(10s).has_value());
        received const all     = drain(*waits);
        auto const     numbers = of_victim(all);
        BOOST_TEST(numbers.size() >= book->done.load());
        BOOST_TEST(numbers.size() <= book->begun.load());
        for (std::size_t n = 0; n != numbers.size(); ++n)
            BOOST_TEST(numbers[n] == n + 1);
        if (status == exited(0))
            BOOST_TEST(all.deaths == 0u);
        else
            BOOST_TEST(all.deaths == (numbers.empty() ? 0u : 1u));
        drops_are_counted();
    }

    /// What was sent to the pipe that drops has been received, some of it before, or is counted as dropped.
    void drops_are_counted(std::size_t received_before = 0)
    {
        std::uint64_t const got = 1 + received_before + drain(*drops).values.size(); // one was received at first
        pipe_info const     now = drops->info();
        BOOST_TEST(now.sent == got + now.dropped);
    }

    /// Nothing is left of the victim, and with the router everything else goes.
    void is_as_before(std::uint64_t cut_off)
    {
        BOOST_TEST(s.recover(10s).has_value());
        // What was left to those who know the type, or could not be given back while somebody stood still, goes.
        named<life_counts> const usable(open_only, s, "counts");
        static_cast<void>(make_shared<plain>(s).value());
        BOOST_TEST(pipe_problems(s) == "");
        for (auto* p : {&waits, &drops, &workers})
            static_cast<void>(drain(**p));
        if (r->info().history == 0)
            BOOST_TEST(items.statistics().outstanding == held);
        BOOST_TEST(r->info().pipes.size() == 3u);
        BOOST_TEST(r->info().senders <= 3u); // its own: ordered, by a lane, or without
        for (auto* p : {&waits, &drops, &workers})
            p->reset();
        sender.reset();
        r.reset();
        BOOST_TEST(items.statistics().outstanding == held);
        BOOST_TEST(reference_problems(s) == "");
        BOOST_TEST(heap(s).check(10s) == "");
        BOOST_TEST(blocks_of_objects(s) == blocks);
        auto const made = all->constructed.load();
        BOOST_TEST(all->destruction_ended.load() <= all->destruction_began.load());
        BOOST_TEST(made <= all->destruction_ended.load() + held + cut_off);
    }

    segment                             s;
    counted                             all{s};
    named<ledger>                       book{create_only, s, "ledger"};
    pool<item>                          items{create_only, s, "items", {.capacity = places}};
    std::uint64_t                       blocks = 0;
    std::uint64_t                       held   = 0; // items that the test itself holds
    std::optional<router<item>>         r;
    std::optional<ordered_sender<item>> sender; // of any thread, with rings of its own
    std::optional<atrium::pipe<item>>   waits;
    std::optional<atrium::pipe<item>>   drops;
    std::optional<atrium::pipe<item>>   workers;
};

} // namespace atrium::test
