/// A pipe is closed between any two steps of somebody who sends to it: what is said to be delivered is received, what is
/// not is the caller's again, and nobody touches what was the pipe's.
#include <atrium/pipe/router.hpp>

#include "memory/race_roles.hpp"
#include "pipe/pipe_fixture.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <optional>
#include <span>
#include <thread>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

struct closing_scene
{
    closing_scene() = default;
    ~closing_scene()
    {
        BOOST_TEST(items.statistics().outstanding == 0u);
        BOOST_TEST(pipe_problems(s) == "");
    }
    closing_scene(closing_scene const&)            = delete;
    closing_scene& operator=(closing_scene const&) = delete;

    segment      s{create_only, unique_name("closing"), pipe_segment()};
    pool<item>   items{create_only, s, "items", {.capacity = 64}};
    router<item> r{create_only, s, "router", {.pipes = 4}};
};

// All that comes until the pipe's end is heard of.
std::vector<std::uint64_t> received_until_closed(atrium::pipe<item>& from)
{
    std::vector<std::uint64_t> all;
    for (;;)
    {
        auto const one = from.receive(20s);
        if (!one)
        {
            BOOST_TEST((one.error() == errc::closed));
            return all;
        }
        all.push_back((*one)->value);
    }
}

// Something that happens once, and is waited for.
class moment
{
public:
    void comes() { come_.set_value(); }
    void wait() const { require(came_.wait_for(60s) == std::future_status::ready, "it comes"); }

private:
    std::promise<void>       come_;
    std::shared_future<void> came_ = come_.get_future().share();
};

// Gives up its pipe when told, and waits where it begins to drop what is in it, and behind that.
ATRIUM_TEST_ROLE(closer_of_a_pipe)
{
    segment const s(open_only, arguments.at(0));
    router<item>  r(open_only, s, "router");
    auto          mine = std::optional(r.subscribe({.capacity = 4}));
    be_ready_until_told();
    wait_at({{"pipe.closing"}, {"pipe.closing.name_forgotten"}});
    mine.reset();
    be_ready_until_told();
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_closing_races, leaves_nothing)

// Whoever makes a pipe may stand still when others find its name: they have a pipe that is sent to, and can close it.
BOOST_AUTO_TEST_CASE(who_opens_a_pipe_that_is_being_made_is_sent_to)
{
    for (bool const closes : {false, true})
    {
        closing_scene   now;
        lane_thread     other;
        interlude const meanwhile("directory.create.live", 1, [&] {
            other.run([&] {
                auto q = now.r.subscribe(open_only, "jobs");
                BOOST_TEST(now.r.send(now.items.make(1u).value(), 1s).value().delivered() == 1u);
                BOOST_TEST(q.receive(1s).value()->value == 1u);
                if (closes)
                    q.close();
            });
        });
        auto            p = now.r.subscribe(create_only, "jobs");
        BOOST_TEST(meanwhile.was_reached());
        auto const sent = now.r.send(now.items.make(2u).value(), 1s);
        BOOST_TEST(sent.has_value() != closes);
        auto const got = p.receive(1s);
        BOOST_TEST((closes ? got.error() == errc::closed : (*got)->value == 2u));
        BOOST_TEST(pipe_problems(now.s) == "");
    }
}

// Between any two steps of a send: the first to a pipe, which needs a ring, and a further one. The receiver hears of the
// end only when it has all that is said to be delivered.
BOOST_AUTO_TEST_CASE(what_is_said_to_be_delivered_is_received_before_the_end)
{
    for (char const* point : {"pipe.sequence_drawn", "pipe.ring.linked", "ring.note_written", "ring.pointee_written",
                              "ring.filled", "ring.tail_written", "pipe.send.open_seen", "pipe.ready_set"})
    {
        for (std::uint64_t const before : {0u, 1u})
        {
            closing_scene              now;
            auto                       p = now.r.subscribe({.capacity = 4});
            lane_thread                receiver;
            std::vector<std::uint64_t> all;
            for (std::uint64_t n = 0; n != before; ++n)
                BOOST_TEST(now.r.send(now.items.make(n).value(), 1s).value().delivered() == 1u);
            receiver.run([&] {
                for (std::uint64_t n = 0; n != before; ++n)
                    static_cast<void>(p.receive(10s).value()); // the ring is known from here on
            });
            auto one = now.items.make(7u).value();
            {
                interlude const meanwhile(point, 1, [&] {
                    receiver.run([&] {
                        p.close();
                        all = received_until_closed(p);
                    });
                });
                auto const      sent = now.r.send(std::move(one), 1s).value();
                BOOST_TEST_CONTEXT(point << ", references before: " << before)
                {
                    if (!meanwhile.was_reached())
                        continue; // a ring is made, and its bit set, once
                    BOOST_TEST(sent.delivered() + sent.refused() == 1u);
                    BOOST_TEST(all.size() == sent.delivered());
                    BOOST_TEST((one == nullptr) == (sent.delivered() == 1u));
                }
            }
        }
    }
}

// Taken back from the pipe that is closed, and the other has no room in time.
BOOST_AUTO_TEST_CASE(what_nobody_gets_after_all_is_the_callers)
{
    closing_scene now;
    auto          roomy  = now.r.subscribe({.capacity = 4});
    auto          narrow = now.r.subscribe({.capacity = 1});
    BOOST_TEST(now.r.send(now.items.make(1u).value(), 1s).value().delivered() == 2u);
    lane_thread                     receiver;
    std::array<shared_ptr<item>, 1> batch{now.items.make(2u).value()};
    {
        interlude const meanwhile("ring.tail_written", 1, [&] {
            receiver.run([&] {
                BOOST_TEST(roomy.receive(10s).value()->value == 1u);
                roomy.close();
            });
        });
        auto const      sent = now.r.send(std::span(batch), 20ms).value();
        BOOST_TEST(meanwhile.was_reached());
        BOOST_TEST((sent.delivered() == 0u && sent.refused() == 2u));
    }
    BOOST_TEST((batch[0] != nullptr && batch[0]->value == 2u && batch[0].use_count() == 1));
    batch[0].reset();
    BOOST_TEST(narrow.receive(1s).value()->value == 1u);
}

// Who closes a router has no pipe of it: the pipe may be gone, and its rings' memory another object's, while he is at it.
BOOST_AUTO_TEST_CASE(who_closes_a_router_touches_no_ring_that_is_gone)
{
    constexpr std::size_t ring_words = 28;
    constexpr auto        untouched  = ~std::uint64_t{0};
    closing_scene         now;
    // They get memory as large as a ring when one is free.
    std::vector<shared_ptr<vector<std::uint64_t>>> all;
    for (int n = 0; n != 200; ++n)
        all.push_back(make_shared<vector<std::uint64_t>>(now.s).value());
    auto        p = std::optional(now.r.subscribe({.capacity = 1}));
    moment      sender_waits, waits_is_seen, sender_is_refused, pipe_is_gone, memory_is_filled, router_is_closed;
    std::size_t overwritten = 0;
    std::thread sender([&] {
        BOOST_TEST(now.r.send(now.items.make(1u).value(), 1s).value().delivered() == 1u);
        {
            interlude const waiting("pipe.send.waits", 1, [&] {
                sender_waits.comes();
                waits_is_seen.wait();
            });
            auto const      sent = now.r.send(now.items.make(2u).value(), 60s).value();
            BOOST_TEST((sent.refused() == 1u && sent.refusals()[0].why == errc::closed));
        }
        sender_is_refused.comes();
        pipe_is_gone.wait();
        BOOST_TEST(now.r.send(now.items.make(3u).value(), 10ms).error() == errc::closed); // frees its rings
        for (auto const& one : all)
            one->assign(ring_words, untouched);
        memory_is_filled.comes();
        router_is_closed.wait();
        for (auto const& one : all)
            overwritten += one->size() - static_cast<std::size_t>(std::ranges::count(*one, untouched));
    });
    std::thread closer([&] {
        sender_waits.wait();
        interlude const looking("pipe.waiting_sender_seen", 1, [&] {
            waits_is_seen.comes();
            memory_is_filled.wait();
        });
        now.r.close();
        BOOST_TEST(looking.was_reached());
        router_is_closed.comes();
    });
    sender_is_refused.wait();
    p.reset();
    pipe_is_gone.comes();
    sender.join();
    closer.join();
    BOOST_TEST(overwritten == 0u);
}

// At full speed, closed at any time.
BOOST_AUTO_TEST_CASE(whoever_closes_has_what_was_delivered_before)
{
    for (int turn = 0; turn != (long_form() ? 20'000 : 200); ++turn)
    {
        closing_scene now;
        auto          p = now.r.subscribe({.capacity = 8});
        moment        sends;
        auto          sending = std::async(std::launch::async, [&] {
            std::uint64_t delivered = 0;
            for (std::uint64_t n = 0;; ++n)
            {
                auto       one  = now.items.make(n).value();
                auto const sent = now.r.send(std::move(one), 20s);
                bool const came = sent && sent->delivered() == 1;
                require(came == (one == nullptr), "what is not delivered is the caller's");
                if (!came)
                    return delivered;
                if (++delivered == 1)
                    sends.comes();
            }
        });
        sends.wait();
        std::uint64_t received = 0;
        for (int n = 0; n != turn % 16; ++n)
            received += p.try_receive() ? 1 : 0;
        p.close();
        received += received_until_closed(p).size();
        BOOST_REQUIRE(sending.get() == received);
    }
}

// By a process that has no free references, and would have to ask the heap for some.
BOOST_AUTO_TEST_CASE(what_is_left_in_a_pipe_is_dropped_while_another_one_has_the_heap)
{
    closing_scene now;
    child         closer = ready_child("closer_of_a_pipe", {now.s.name()});
    for (std::uint64_t n = 0; n != 2; ++n)
        BOOST_TEST(now.r.send(now.items.make(n).value(), 1s).value().delivered() == 1u);
    closer.send_line("close");
    is_at(closer, "pipe.closing");
    {
        auto const held = detail::heap_lock::take(memory_in(now.s), 10s).value();
        closer.send_line("on");
        is_at(closer, "pipe.closing.name_forgotten");
    }
    closer.send_line("on");
    closer.wait_for_line("ready", 30s);
    BOOST_TEST(now.items.statistics().outstanding == 0u);
    BOOST_TEST(pipe_problems(now.s) == "");
    let_end(closer);
}

BOOST_AUTO_TEST_SUITE_END()
