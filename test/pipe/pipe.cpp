/// Handing references over within one process: order, policies, batches, closing, refusals.
#include <atrium/pipe/pipe.hpp>

#include "pipe/pipe_fixture.hpp"

#include <atrium/memory/make_shared.hpp>
#include <atrium/pool/array_pool.hpp>

#include <algorithm>
#include <future>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// A segment with a pool and a router, and the numbers that go through it.
struct numbers
{
    explicit numbers(std::size_t places = 256, router_options const& options = {.pipes = 8, .ordered_senders = 2})
        : all(create_only, s, "numbers", {.capacity = places}), r(create_only, s, "router", options)
    {}
    ~numbers() { BOOST_TEST(pipe_problems(s) == ""); }
    numbers(numbers const&)            = delete;
    numbers& operator=(numbers const&) = delete;

    result<delivery> send(std::uint64_t n, deadline until = 1s) { return r.send(all.make(n).value(), until); }

    std::vector<std::uint64_t> drain(atrium::pipe<std::uint64_t>& from)
    {
        std::vector<std::uint64_t> got;
        while (auto one = from.try_receive())
            got.push_back(**one);
        return got;
    }

    segment               s{create_only, unique_name("pipe"), pipe_segment()};
    pool<std::uint64_t>   all;
    router<std::uint64_t> r;
};

std::vector<std::uint64_t> from_to(std::uint64_t first, std::uint64_t end)
{
    std::vector<std::uint64_t> all;
    for (; first != end; ++first)
        all.push_back(first);
    return all;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_pipe, leaves_nothing)

BOOST_AUTO_TEST_CASE(what_is_sent_is_received_in_order)
{
    numbers now;
    auto    p = now.r.subscribe({.capacity = 8});
    for (std::uint64_t n = 0; n < 100; ++n)
    {
        BOOST_TEST(now.send(n).value().delivered() == 1u);
        if (n % 8 == 7)
        {
            for (std::uint64_t m = n - 7; m <= n; ++m)
                BOOST_TEST(*p.receive(1s).value() == m);
        }
    }
    BOOST_TEST(now.drain(p) == from_to(96, 100));
    BOOST_TEST(p.try_receive().error() == errc::empty);
    BOOST_TEST(now.all.statistics().outstanding == 0u);
}

// From empty to full and back, beginning at every offset of small rings.
BOOST_AUTO_TEST_CASE(rings_of_all_sizes_wrap)
{
    numbers now(1u << 10);
    for (std::size_t const capacity : {1u, 2u, 3u, 4u, 7u, 8u, 16u, 64u})
    {
        auto              p     = now.r.subscribe({.capacity = capacity, .when_full = overflow::fail});
        std::size_t const holds = std::bit_ceil(capacity);
        BOOST_TEST(p.info().capacity == holds);
        std::uint64_t sent     = 0;
        std::uint64_t received = 0;
        for (std::size_t begin = 0; begin < holds + 1; ++begin)
        {
            for (std::size_t n = 0; n < holds; ++n)
                BOOST_REQUIRE(now.send(sent++).value().delivered() == 1u);
            auto const full = now.send(~std::uint64_t{0}).value();
            BOOST_REQUIRE((full.delivered() == 0u && full.refused() == 1u));
            BOOST_REQUIRE((full.refusals()[0].why == errc::full && full.refusals()[0].pipe == p.number()));
            for (std::size_t n = 0; n < holds; ++n)
                BOOST_REQUIRE(*p.try_receive().value() == received++);
            BOOST_REQUIRE(p.try_receive().error() == errc::empty);
            BOOST_REQUIRE(now.send(sent++).value().delivered() == 1u); // moves on by one
            BOOST_REQUIRE(*p.try_receive().value() == received++);
        }
    }
    BOOST_TEST(now.all.statistics().outstanding == 0u);
}

// Once round and further, with a single reference, and full to the last place: the wrap is met by both at every offset.
BOOST_AUTO_TEST_CASE(rings_are_empty_and_full_at_every_offset)
{
    numbers now((1u << 16) + 64);
    for (std::size_t const capacity : {1u, 2u, 64u, 1024u, 65536u})
    {
        auto          p        = now.r.subscribe({.capacity = capacity, .when_full = overflow::fail});
        std::uint64_t sent     = 0;
        std::uint64_t received = 0;
        auto const    goes     = [&] { return now.send(sent++).value().delivered() == 1u; };
        auto const    comes    = [&] { return *p.try_receive().value() == received++; };
        std::size_t   right    = 0;
        for (std::size_t offset = 0; offset <= capacity; ++offset)
            right += goes() && comes() && p.try_receive().error() == errc::empty ? 1 : 0;
        BOOST_TEST(right == capacity + 1);
        while (sent - received < capacity)
            BOOST_REQUIRE(goes());
        right = 0;
        for (std::size_t offset = 0; offset <= capacity; ++offset)
            right += now.send(~std::uint64_t{0}).value().refused() == 1u && comes() && goes() ? 1 : 0;
        BOOST_TEST(right == capacity + 1);
        while (received != sent)
            BOOST_REQUIRE(comes());
        BOOST_TEST(p.try_receive().error() == errc::empty);
        BOOST_TEST(p.info().refused == capacity + 1);
    }
    BOOST_TEST(now.all.statistics().outstanding == 0u);
}

// The place that is dropped from is the one that is written next, at every offset.
BOOST_AUTO_TEST_CASE(the_oldest_is_dropped_at_every_offset)
{
    numbers now((1u << 10) + 64);
    for (std::size_t const capacity : {1u, 2u, 64u, 1024u})
    {
        auto p = now.r.subscribe({.capacity = capacity, .when_full = overflow::drop_oldest});
        for (std::uint64_t n = 0; n <= 2 * capacity; ++n)
            BOOST_REQUIRE(now.send(n).value().delivered() == 1u);
        BOOST_TEST(p.info().dropped == capacity + 1);
        BOOST_TEST((now.drain(p) == from_to(capacity + 1, 2 * capacity + 1)));
    }
    BOOST_TEST(now.all.statistics().outstanding == 0u);
}

BOOST_AUTO_TEST_CASE(all_pipes_get_what_is_sent)
{
    numbers                                  now;
    std::vector<atrium::pipe<std::uint64_t>> all;
    for (int n = 0; n < 8; ++n)
        all.push_back(now.r.subscribe());
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe()), system_error,
                          [](auto const& e) { return e.code() == errc::too_many_receivers; });
    for (std::uint64_t n = 0; n < 20; ++n)
        BOOST_TEST(now.send(n).value().delivered() == 8u);
    auto const object = now.all.make(20u).value();
    BOOST_TEST(now.r.send(object, 1s).value().delivered() == 8u);
    BOOST_TEST(object.use_count() == 9u);
    for (auto& p : all)
        BOOST_TEST(now.drain(p) == from_to(0, 21));
    BOOST_TEST(object.use_count() == 1u);
    BOOST_TEST(now.all.statistics().outstanding == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_moved_is_gone_and_what_nobody_gets_stays)
{
    numbers now;
    auto    one = now.all.make(1u).value();
    BOOST_TEST(now.r.send(std::move(one), 1s).error() == errc::no_receivers);
    BOOST_TEST((one != nullptr));
    auto p = now.r.subscribe({.capacity = 1, .when_full = overflow::fail});
    BOOST_TEST(now.r.send(std::move(one), 1s).value().delivered() == 1u);
    BOOST_TEST((one == nullptr));
    auto two = now.all.make(2u).value();
    BOOST_TEST(now.r.send(std::move(two), 1s).value().refused() == 1u);
    BOOST_TEST((two != nullptr));
    {
        auto const shared = two; // two handles to one reference: another one is made for the pipe
        BOOST_TEST(*p.receive(1s).value() == 1u);
        BOOST_TEST(now.r.send(std::move(two), 1s).value().delivered() == 1u);
        BOOST_TEST((two == nullptr && shared.use_count() == 2u));
    }
    BOOST_TEST(*p.receive(1s).value() == 2u);
    shared_ptr<std::uint64_t> const nothing;
    BOOST_TEST(now.r.send(nothing, 1s).error() == errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(each_policy_does_what_it_says)
{
    numbers now;
    auto    waits = now.r.subscribe({.capacity = 4});
    auto    fails = now.r.subscribe({.capacity = 4, .when_full = overflow::fail});
    auto    drops = now.r.subscribe({.capacity = 4, .when_full = overflow::drop_oldest});
    for (std::uint64_t n = 0; n < 4; ++n)
        BOOST_TEST(now.send(n).value().delivered() == 3u);
    for (std::uint64_t n = 4; n < 10; ++n)
    {
        auto const sent = now.send(n, 1ms).value();
        BOOST_TEST(sent.delivered() == 1u);
        BOOST_TEST(sent.refused() == 2u);
        for (refusal const& r : sent.refusals())
            BOOST_TEST((r.why == (r.pipe == waits.number() ? errc::timed_out : errc::full)));
    }
    auto const tried = now.r.try_send(now.all.make(10u).value()).value();
    BOOST_TEST(tried.refused() == 2u);
    for (refusal const& r : tried.refusals())
        BOOST_TEST((r.why == errc::full));
    BOOST_TEST(drops.info().dropped == 7u);
    BOOST_TEST(fails.info().refused == 7u);
    BOOST_TEST(waits.info().refused == 7u);
    BOOST_TEST(now.drain(waits) == from_to(0, 4));
    BOOST_TEST(now.drain(fails) == from_to(0, 4));
    BOOST_TEST(now.drain(drops) == from_to(7, 11));
    BOOST_TEST(drops.info().received == 4u);
    BOOST_TEST(drops.info().sent == 11u);
    BOOST_TEST(now.all.statistics().outstanding == 0u);
}

BOOST_AUTO_TEST_CASE(a_full_pipe_is_waited_for_after_the_others_were_served)
{
    numbers now;
    auto    full   = now.r.subscribe({.capacity = 1});
    auto    room   = now.r.subscribe({.capacity = 4});
    auto    sender = std::async(std::launch::async, [&] {
        auto const first = now.send(0).value().delivered();
        return first + now.send(1, 20s).value().delivered();
    });
    // It waits for the one, and the other has got it.
    BOOST_TEST(*room.receive(20s).value() == 0u);
    BOOST_TEST(*room.receive(20s).value() == 1u);
    BOOST_TEST(*full.receive(20s).value() == 0u);
    BOOST_TEST(*full.receive(20s).value() == 1u);
    BOOST_TEST(sender.get() == 4u);
}

BOOST_AUTO_TEST_CASE(a_sender_waits_with_every_policy_of_waiting)
{
    for (wait_policy const& how : {wait_policy::busy(), wait_policy::streaming(), wait_policy::balanced(),
                                   wait_policy::crowded(), wait_policy::frugal()})
    {
        numbers now;
        auto    p      = now.r.subscribe({.capacity = 2});
        auto    sender = std::async(std::launch::async, [&] {
            std::size_t delivered = 0;
            for (std::uint64_t n = 0; n < 500; ++n)
                delivered += now.r.send(now.all.make(n).value(), 20s, how).value().delivered();
            return delivered;
        });
        for (std::uint64_t n = 0; n < 500; ++n)
            BOOST_REQUIRE(*p.receive(20s, how).value() == n);
        BOOST_TEST(sender.get() == 500u);
        BOOST_TEST(p.receive(1ms, how).error() == errc::timed_out);
    }
}

BOOST_AUTO_TEST_CASE(batches_are_sent_and_received)
{
    numbers                                now;
    auto                                   p = now.r.subscribe({.capacity = 8});
    std::vector<shared_ptr<std::uint64_t>> batch;
    for (std::uint64_t n = 0; n < 10; ++n)
        batch.push_back(now.all.make(n).value());
    auto const sent = now.r.send(std::span(batch), 1ms).value();
    BOOST_TEST(sent.delivered() == 8u);
    BOOST_TEST(sent.refused() == 2u);
    BOOST_TEST(sent.refusals()[0].count == 2u);
    BOOST_TEST(std::count(batch.begin(), batch.end(), nullptr) == 8);
    BOOST_TEST((*batch[8] == 8u && *batch[9] == 9u));
    std::vector<shared_ptr<std::uint64_t>> got(5);
    BOOST_TEST(p.receive(std::span(got), 1s).value() == 5u);
    for (std::uint64_t n = 0; n < 5; ++n)
        BOOST_TEST(*got[n] == n);
    BOOST_TEST(p.try_receive(std::span(got)).value() == 3u);
    BOOST_TEST(*got[0] == 5u);
    BOOST_TEST(p.try_receive(std::span(got)).error() == errc::empty);
    BOOST_TEST(p.receive(std::span(got), 1ms).error() == errc::timed_out);
    BOOST_TEST(p.receive(std::span<shared_ptr<std::uint64_t>>(), 1ms).value() == 0u);
    BOOST_TEST(now.r.send(std::span<shared_ptr<std::uint64_t>>(), 1ms).value().delivered() == 0u);
}

// ---- closing -------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_closed_pipe_gives_what_is_left)
{
    numbers now;
    auto    p     = now.r.subscribe();
    auto    other = now.r.subscribe();
    for (std::uint64_t n = 0; n < 3; ++n)
        BOOST_TEST(now.send(n).value().delivered() == 2u);
    p.close();
    p.close();
    BOOST_TEST(now.send(3).value().delivered() == 1u);
    for (std::uint64_t n = 0; n < 3; ++n)
        BOOST_TEST(*p.receive(1s).value() == n);
    BOOST_TEST(p.receive(no_deadline).error() == errc::closed);
    BOOST_TEST(p.try_receive().error() == errc::closed);
    BOOST_TEST(now.drain(other) == from_to(0, 4));
}

BOOST_AUTO_TEST_CASE(a_closed_router_ends_everybody)
{
    numbers now;
    auto    p       = now.r.subscribe();
    auto    other   = now.r.subscribe();
    auto    waiting = std::async(std::launch::async, [&] { return other.receive(20s).error(); });
    now.r.close();
    BOOST_TEST((waiting.get() == errc::closed));
    BOOST_TEST(now.send(1).error() == errc::closed);
    BOOST_TEST(p.receive(20s).error() == errc::closed);
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe()), system_error,
                          [](auto const& e) { return e.code() == errc::closed; });
    BOOST_TEST(now.r.info().closed);
}

BOOST_AUTO_TEST_CASE(a_sender_that_waits_for_room_is_told_that_the_pipe_is_closed)
{
    for (int how = 0; how < 3; ++how)
    {
        numbers                                    now;
        std::optional<atrium::pipe<std::uint64_t>> p(now.r.subscribe({.capacity = 1}));
        auto                                       one    = now.all.make(1u).value();
        auto                                       sender = std::async(std::launch::async, [&] {
            static_cast<void>(now.send(0));
            return now.r.send(std::move(one), 20s);
        });
        BOOST_TEST(eventually([&] { return p->info().depth == 1u; }, 20s));
        if (how == 0)
            p->close();
        else if (how == 1)
            now.r.close();
        else
            p.reset();
        auto const sent = sender.get(); // it may not have come so far when the pipe was closed
        if (sent)
            BOOST_TEST((sent->refused() == 1u && sent->refusals()[0].why == errc::closed));
        else
            BOOST_TEST((sent.error() == errc::closed || sent.error() == errc::no_receivers));
        BOOST_TEST((one != nullptr));
    }
}

BOOST_AUTO_TEST_CASE(a_pipe_that_goes_drops_what_is_in_it)
{
    numbers now;
    for (int n = 0; n < 20; ++n) // its place is used again
    {
        auto p = now.r.subscribe({.capacity = std::size_t{1} << (n % 4)});
        BOOST_TEST(now.send(1).value().delivered() == 1u);
    }
    BOOST_TEST(now.all.statistics().outstanding == 0u);
    BOOST_TEST(now.send(1).error() == errc::no_receivers);
}

BOOST_AUTO_TEST_CASE(a_router_that_goes_leaves_no_memory)
{
    segment const                s(create_only, unique_name("pipe"), pipe_segment());
    pool<std::uint64_t>          all(create_only, s, "numbers", {.capacity = 64});
    std::optional<std::uint64_t> used;
    for (int n = 0; n < 5; ++n)
    {
        {
            router<std::uint64_t> r(create_only, s, "router", {.pipes = 4, .ordered_senders = 1, .history = 3});
            auto                  p      = r.subscribe({.capacity = 16, .history = 2});
            auto                  q      = r.subscribe(open_or_create, "workers");
            auto                  sender = r.make_ordered_sender();
            BOOST_TEST(r.send(all.make(1u).value(), 1s).value().delivered() == 2u);
            BOOST_TEST(sender.send(all.make(2u).value(), 1s).value().delivered() == 2u);
        }
        BOOST_TEST(all.statistics().outstanding == 0u);
        if (used)
            BOOST_TEST(used_bytes(s) == *used);
        used = used_bytes(s);
    }
    BOOST_TEST(pipe_problems(s) == "");
}

BOOST_AUTO_TEST_CASE(a_pipe_keeps_its_router)
{
    segment const                        s(create_only, unique_name("pipe"), pipe_segment());
    std::optional<router<std::uint64_t>> r(std::in_place, create_only, s, "router");
    auto                                 p = r->subscribe();
    r.reset();
    router<std::uint64_t> again(open_only, s, "router");
    BOOST_TEST(again.send(make_shared<std::uint64_t>(s, 5u).value(), 1s).value().delivered() == 1u);
    BOOST_TEST(*p.receive(1s).value() == 5u);
}

BOOST_AUTO_TEST_CASE(a_sender_waits_for_receivers)
{
    numbers now;
    BOOST_TEST(now.r.wait_for_receivers(0, 1ms).has_value());
    BOOST_TEST(now.r.wait_for_receivers(1, 1ms).error() == errc::timed_out);
    auto       waiting = std::async(std::launch::async, [&] { return now.r.wait_for_receivers(2, 20s).has_value(); });
    auto const one     = now.r.subscribe();
    auto const two     = now.r.subscribe();
    BOOST_TEST(waiting.get());
    now.r.close();
    BOOST_TEST(now.r.wait_for_receivers(2, 20s).error() == errc::closed);
}

// ---- kinds of senders, receivers and objects -----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(receivers_of_one_name_compete)
{
    numbers now;
    auto    one   = now.r.subscribe(create_only, "workers", {.capacity = 16});
    auto    two   = now.r.subscribe(open_only, "workers");
    auto    three = one;
    BOOST_TEST((one.name() == "workers" && two.number() == one.number()));
    for (std::uint64_t n = 0; n < 9; ++n)
        BOOST_TEST(now.send(n).value().delivered() == 1u);
    std::vector<std::uint64_t> got;
    for (int n = 0; n < 3; ++n)
    {
        for (auto* p : {&one, &two, &three})
            got.push_back(*p->receive(1s).value());
    }
    BOOST_TEST(got == from_to(0, 9));
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe(create_only, "workers")), system_error,
                          [](auto const& e) { return e.code() == errc::already_exists; });
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe(open_only, "others")), system_error,
                          [](auto const& e) { return e.code() == errc::not_found; });
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe(open_or_create, "a b")), system_error,
                          [](auto const& e) { return e.code() == errc::name_invalid; });
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe({.capacity = 0})), system_error,
                          [](auto const& e) { return e.code() == errc::invalid_argument; });
}

BOOST_AUTO_TEST_CASE(names_of_routers_pipes_and_objects_do_not_meet)
{
    segment const         s(create_only, unique_name("names"), pipe_segment());
    router<std::uint64_t> a(create_only, s, "a");
    router<std::uint64_t> a_b(create_only, s, "a.b");
    auto const            one   = a.subscribe(create_only, "b.c");
    auto const            other = a_b.subscribe(create_only, "c");
    BOOST_TEST(one.name() == "b.c");
    BOOST_TEST(other.name() == "c");
    pool<std::uint64_t> const beside(create_only, s, "a.b.c", {.capacity = 1});
    std::string const         longest(62, 'x');
    auto const                is_refused = [](system_error const& e) { return e.code() == errc::name_invalid; };
    router<std::uint64_t>     r(create_only, s, "r");
    static_cast<void>(r.subscribe(create_only, longest.substr(1)));
    BOOST_CHECK_EXCEPTION(static_cast<void>(r.subscribe(create_only, longest)), system_error, is_refused);
    BOOST_CHECK_EXCEPTION(static_cast<void>(r.subscribe(create_only, "a:b")), system_error, is_refused);
    BOOST_CHECK_EXCEPTION(static_cast<void>(r.subscribe(create_only, ".b")), system_error, is_refused);
    BOOST_CHECK_EXCEPTION(router<std::uint64_t>(create_only, s, "a:b"), system_error, is_refused);
    BOOST_CHECK_EXCEPTION(router<std::uint64_t>(create_only, s, std::string(53, 'y')), system_error, is_refused);
    router<std::uint64_t> long_one(create_only, s, std::string(52, 'y'));
    BOOST_TEST(long_one.subscribe().name() == "1");
    BOOST_CHECK_EXCEPTION(pool<std::uint64_t>(create_only, s, "a:b"), system_error, is_refused);
}

BOOST_AUTO_TEST_CASE(several_senders_are_served_in_turn)
{
    numbers now;
    auto    p = now.r.subscribe({.capacity = 16});
    for (std::uint64_t sender = 0; sender < 3; ++sender)
        std::thread([&] {
            for (std::uint64_t n = 0; n < 4; ++n)
                BOOST_TEST(now.send(sender * 10 + n).value().delivered() == 1u);
        }).join();
    auto const got = now.drain(p);
    BOOST_TEST(got.size() == 12u);
    for (std::uint64_t sender = 0; sender < 3; ++sender)
    {
        std::vector<std::uint64_t> of_one;
        std::copy_if(got.begin(), got.end(), std::back_inserter(of_one), [&](auto n) { return n / 10 == sender; });
        BOOST_TEST(of_one == from_to(sender * 10, sender * 10 + 4));
    }
    BOOST_TEST(p.info().senders >= 1u);
}

// Those that have sent nothing for long are not looked at any more: that takes no turn from the others.
BOOST_AUTO_TEST_CASE(what_is_there_is_found_whichever_senders_have_been_silent_for_long)
{
    constexpr std::size_t all_senders = 12;
    for (std::size_t speaker = 0; speaker != all_senders; ++speaker)
    {
        numbers                                    now(256, {.pipes = 8, .ordered_senders = all_senders});
        auto                                       p = now.r.subscribe();
        std::vector<ordered_sender<std::uint64_t>> senders;
        for (std::size_t n = 0; n != all_senders; ++n)
        {
            senders.push_back(now.r.make_ordered_sender());
            BOOST_TEST(senders.back().send(now.all.make(n).value(), 1s).value().delivered() == 1u);
        }
        BOOST_TEST(now.drain(p).size() == all_senders);
        for (int n = 0; n != 4080; ++n)
            BOOST_TEST_REQUIRE((p.try_receive().error() == errc::empty));
        for (std::uint64_t n = 0; n != 32; ++n)
        {
            BOOST_TEST(senders[speaker].send(now.all.make(n).value(), 1s).value().delivered() == 1u);
            BOOST_TEST(now.drain(p).size() == 1u);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_ordered_sender_keeps_the_order_of_changing_threads)
{
    numbers now;
    auto    p      = now.r.subscribe({.capacity = 256});
    auto    sender = now.r.make_ordered_sender();
    auto    other  = now.r.make_ordered_sender();
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.make_ordered_sender()), system_error,
                          [](auto const& e) { return e.code() == errc::too_many_senders; });
    for (std::uint64_t n = 0; n < 200; n += 10)
        std::thread([&, n] {
            for (std::uint64_t m = n; m < n + 10; ++m)
                BOOST_TEST(sender.send(now.all.make(m).value(), 1s).value().delivered() == 1u);
        }).join();
    BOOST_TEST(now.drain(p) == from_to(0, 200));
    {
        auto const gone = std::move(other);
        static_cast<void>(gone);
    }
    other = now.r.make_ordered_sender(); // the number is free again
    BOOST_TEST(other.send(now.all.make(7u).value(), 1s).value().delivered() == 1u);
    BOOST_TEST(now.drain(p) == from_to(7, 8));
}

BOOST_AUTO_TEST_CASE(objects_of_the_heap_and_runs_are_handed_over)
{
    segment const             s(create_only, unique_name("pipe"), pipe_segment());
    router<atrium::string>    texts(create_only, s, "texts");
    router<std::uint64_t[]>   runs(create_only, s, "runs");
    array_pool<std::uint64_t> places(create_only, s, "places", 3, {.capacity = 2});
    auto                      p = texts.subscribe();
    auto                      q = runs.subscribe();
    BOOST_TEST(texts.send(make_shared<atrium::string>(s, "a text that is too long to lie in the string").value(), 1s)
                   .value()
                   .delivered() == 1u);
    BOOST_TEST(*p.receive(1s).value() == "a text that is too long to lie in the string");
    auto run = places.make(7u).value();
    BOOST_TEST(runs.send(std::move(run), 1s).value().delivered() == 1u);
    auto const got = q.receive(1s).value();
    BOOST_TEST((got[0] == 7u && got[2] == 7u));
}

// What is sent may be a part of the object that the reference keeps.
BOOST_AUTO_TEST_CASE(a_part_of_an_object_is_handed_over)
{
    struct pair
    {
        std::uint64_t first  = 1;
        std::uint64_t second = 2;
    };
    segment const         s(create_only, unique_name("pipe"), pipe_segment());
    pool<pair>            pairs(create_only, s, "pairs", {.capacity = 2});
    router<std::uint64_t> r(create_only, s, "router");
    auto                  p     = r.subscribe();
    auto                  whole = pairs.make().value();
    auto* const           part  = &whole->second;
    BOOST_TEST(r.send(shared_ptr<std::uint64_t>(std::move(whole), part), 1s).value().delivered() == 1u);
    auto const got = p.receive(1s).value();
    BOOST_TEST((got.get() == part && *got == 2u));
    BOOST_TEST(pairs.statistics().outstanding == 1u);
}

BOOST_AUTO_TEST_CASE(routers_have_a_type)
{
    segment const         s(create_only, unique_name("pipe"), pipe_segment());
    router<std::uint64_t> r(create_only, s, "router");
    BOOST_CHECK_EXCEPTION(router<std::uint32_t>(open_only, s, "router"), system_error,
                          [](auto const& e) { return e.code() == errc::type_mismatch; });
    BOOST_CHECK_EXCEPTION(router<std::uint64_t>(create_only, s, "router"), system_error,
                          [](auto const& e) { return e.code() == errc::already_exists; });
    BOOST_CHECK_EXCEPTION(router<std::uint64_t>(create_only, s, "none", {.pipes = 0}), system_error,
                          [](auto const& e) { return e.code() == errc::invalid_argument; });
    BOOST_CHECK_EXCEPTION(pool<std::uint64_t>(open_only, s, "router"), system_error,
                          [](auto const& e) { return e.code() == errc::type_mismatch; });
    segment const other(create_only, unique_name("other"), pipe_segment());
    auto          p       = r.subscribe();
    auto const    foreign = make_shared<std::uint64_t>(other, 1u).value();
    BOOST_TEST(r.send(foreign, 1s).error() == errc::invalid_argument);
    BOOST_TEST(p.try_receive().error() == errc::empty);
}

BOOST_AUTO_TEST_CASE(a_router_and_its_pipes_are_described)
{
    numbers    now(64, {.pipes = 5, .ordered_senders = 1, .history = 2});
    auto       p = now.r.subscribe(create_only, "one.two", {.capacity = 4, .when_full = overflow::drop_oldest});
    auto const q = now.r.subscribe();
    for (std::uint64_t n = 0; n < 6; ++n)
        static_cast<void>(now.send(n));
    BOOST_TEST(*p.receive(1s).value() == 2u);
    auto const all = routers(now.s).value();
    BOOST_REQUIRE(all.size() == 1u);
    auto const& info = all[0];
    BOOST_TEST((info.name == "router" && info.room == 5u && info.history == 2u && !info.closed));
    BOOST_TEST(info.type == "unsigned long");
    BOOST_TEST((info.holders == 1u && info.senders == 1u));
    BOOST_REQUIRE(info.pipes.size() == 2u);
    pipe_info const& first = info.pipes[0];
    BOOST_TEST((first.name == "one.two" && first.number == p.number() && first.capacity == 4u && first.senders == 1u));
    BOOST_TEST((first.when_full == overflow::drop_oldest && first.state == pipe_state::open && first.holders == 1u));
    BOOST_TEST((first.depth == 3u && first.sent == 6u && first.received == 1u && first.dropped == 2u));
    BOOST_TEST((first.refused == 0u && first.oldest >= 0ns && first.oldest < 60s));
    BOOST_TEST((info.pipes[1].name == q.name() && info.pipes[1].depth == 6u));
}

// Which no other process opens: so it ends with its receiver.
BOOST_AUTO_TEST_CASE(a_number_is_no_name_of_a_pipe)
{
    numbers    now;
    auto const p = now.r.subscribe();
    BOOST_TEST(p.name() == "1");
    auto const is_refused = [](system_error const& e) { return e.code() == errc::name_invalid; };
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe(open_only, "1")), system_error, is_refused);
    BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe(create_only, "02")), system_error, is_refused);
    BOOST_TEST(now.r.subscribe(create_only, "2nd").name() == "2nd");
}

BOOST_AUTO_TEST_CASE(what_the_wait_was_is_counted)
{
    numbers now;
    auto    p = now.r.subscribe();
    // Time may have passed before it comes to that.
    while (p.info().sleeps == 0)
        BOOST_TEST(p.receive(1ms, wait_policy::frugal()).error() == errc::timed_out);
    BOOST_TEST(p.info().spins == 0u);
    auto const slept = p.info().sleeps;
    BOOST_TEST(p.receive(1ms, wait_policy::busy()).error() == errc::timed_out);
    BOOST_TEST((p.info().spins == 1u && p.info().sleeps == slept));
}

BOOST_AUTO_TEST_SUITE_END()
