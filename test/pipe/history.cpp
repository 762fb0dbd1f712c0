/// Late joiners: the last of each sender, once and in order, whatever is sent meanwhile.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"

#include <atomic>
#include <future>
#include <map>
#include <thread>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

struct news
{
    explicit news(std::size_t history)
        : r(create_only, s, "router", {.pipes = 8, .ordered_senders = 4, .history = history})
    {}

    segment               s{create_only, unique_name("history"), pipe_segment()};
    pool<std::uint64_t>   all{create_only, s, "numbers", {.capacity = 512}};
    router<std::uint64_t> r;
};

std::vector<std::uint64_t> drained(atrium::pipe<std::uint64_t>& from)
{
    std::vector<std::uint64_t> got;
    while (auto one = from.try_receive())
        got.push_back(**one);
    return got;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_history, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_late_joiner_gets_the_last_ones)
{
    news now(5);
    auto first = now.r.subscribe();
    for (std::uint64_t n = 1; n != 9; ++n)
        BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).value().delivered() == 1u);
    auto few  = now.r.subscribe({.history = 3});
    auto many = now.r.subscribe({.history = 100});
    auto none = now.r.subscribe();
    BOOST_TEST(now.r.send(now.all.make(9u).value(), 1s).value().delivered() == 4u);
    BOOST_TEST(drained(few) == (std::vector<std::uint64_t>{6, 7, 8, 9}));
    BOOST_TEST(drained(many) == (std::vector<std::uint64_t>{4, 5, 6, 7, 8, 9}));
    BOOST_TEST(drained(none) == (std::vector<std::uint64_t>{9}));
    BOOST_TEST(drained(first).size() == 9u);
    BOOST_TEST(now.all.statistics().outstanding == 5u); // what the sender keeps
    BOOST_TEST(pipe_problems(now.s) == "");
}

// Also where nobody has received anything yet.
BOOST_AUTO_TEST_CASE(the_first_to_come_gets_what_was_sent_to_nobody)
{
    news now(4);
    for (std::uint64_t n = 1; n != 7; ++n)
        BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).error() == errc::no_receivers);
    auto p = now.r.subscribe({.history = 4});
    BOOST_TEST(drained(p) == (std::vector<std::uint64_t>{3, 4, 5, 6}));
}

BOOST_AUTO_TEST_CASE(each_sender_has_a_history_of_its_own)
{
    news now(2);
    auto keeps = now.r.subscribe();
    auto one   = now.r.make_ordered_sender();
    auto two   = now.r.make_ordered_sender();
    for (std::uint64_t n = 1; n != 5; ++n)
    {
        BOOST_TEST(one.send(now.all.make(10 + n).value(), 1s).value().delivered() == 1u);
        BOOST_TEST(two.send(now.all.make(20 + n).value(), 1s).value().delivered() == 1u);
    }
    auto p = now.r.subscribe({.history = 2});
    BOOST_TEST(drained(p) == (std::vector<std::uint64_t>{13, 14, 23, 24}));
}

// What is in the history goes with the router, and not before.
BOOST_AUTO_TEST_CASE(a_history_ends_with_its_router)
{
    segment const       s(create_only, unique_name("history"), pipe_segment());
    pool<std::uint64_t> all(create_only, s, "numbers", {.capacity = 16});
    {
        router<std::uint64_t> r(create_only, s, "router", {.history = 3});
        auto                  p = r.subscribe();
        for (std::uint64_t n = 1; n != 6; ++n)
            BOOST_TEST(r.send(all.make(n).value(), 1s).value().delivered() == 1u);
        p = r.subscribe();
        BOOST_TEST(all.statistics().outstanding == 3u);
    }
    BOOST_TEST(all.statistics().outstanding == 0u);
}

// At full speed: no gap, nothing twice, and at least so many, as long as there were any.
BOOST_AUTO_TEST_CASE(who_joins_while_there_is_sending_gets_each_once)
{
    constexpr std::size_t      kept = 7;
    news                       now(kept);
    std::atomic<bool>          ends{false};
    std::atomic<std::uint64_t> sent{0};
    auto                       keeps   = now.r.subscribe({.capacity = 1, .when_full = overflow::drop_oldest});
    auto                       sending = std::async(std::launch::async, [&] {
        for (std::uint64_t n = 1; !ends.load(); ++n)
        {
            auto made = now.all.make(n);
            while (!made)
                made = now.all.make(n);
            if (!now.r.send(std::move(*made), 20s))
                return false;
            sent.store(n);
        }
        return true;
    });
    BOOST_TEST(eventually([&] { return sent.load() > 100; }, 20s));
    for (int turn = 0; turn != (long_form() ? 20'000 : 300); ++turn)
    {
        std::uint64_t const before = sent.load();
        auto                p      = now.r.subscribe({.capacity = 64, .history = kept});
        std::uint64_t       last   = *p.receive(20s).value();
        // The last before it came was sent at that time, or later; so many before are there.
        BOOST_REQUIRE(last + kept >= before);
        for (int n = 0; n != 30; ++n)
        {
            std::uint64_t const next = *p.receive(20s).value();
            BOOST_REQUIRE(next == last + 1);
            last = next;
        }
    }
    ends.store(true);
    BOOST_TEST(sending.get());
    BOOST_TEST(pipe_problems(now.s) == "");
}

// Who opens a pipe that somebody has just made waits until that one has got his history.
BOOST_AUTO_TEST_CASE(those_who_compete_get_nothing_of_the_history_twice)
{
    for (int turn = 0; turn != (long_form() ? 2000 : 50); ++turn)
    {
        news now(8);
        for (std::uint64_t n = 1; n != 9; ++n)
            BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).error() == errc::no_receivers);
        std::atomic<int>                          there{0};
        std::array<std::vector<std::uint64_t>, 3> got;
        std::vector<std::thread>                  receivers;
        for (auto& mine : got)
            receivers.emplace_back([&] {
                auto p = now.r.subscribe(open_or_create, "jobs", {.history = 8});
                there.fetch_add(1);
                while (auto one = p.receive(20s))
                    mine.push_back(**one);
            });
        BOOST_TEST(eventually([&] { return there.load() != 0; }, 20s));
        for (std::uint64_t n = 9; n != 21; ++n)
            BOOST_TEST(now.r.send(now.all.make(n).value(), 20s).value().delivered() == 1u);
        BOOST_TEST(eventually([&] { return there.load() == 3; }, 20s));
        now.r.close();
        for (std::thread& one : receivers)
            one.join();
        std::map<std::uint64_t, int> seen;
        for (auto const& mine : got)
        {
            for (std::uint64_t const n : mine)
                ++seen[n];
        }
        // All that was sent to the pipe, and the newest 8 before that: fewer of the first where these were no longer among
        // the newest when the maker, who may be the last to be there, came to copy them.
        BOOST_REQUIRE(!seen.empty());
        BOOST_TEST(seen.begin()->first <= 9u);
        BOOST_TEST(seen.size() == 21 - seen.begin()->first);
        BOOST_TEST(seen.rbegin()->first == 20u);
        for (auto const& [number, times] : seen)
            BOOST_TEST(times == 1, number);
    }
}

BOOST_AUTO_TEST_SUITE_END()
