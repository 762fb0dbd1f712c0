/// Every place can be had, by whomever and whoever keeps some at hand, and `exhausted` means that none can.
#include <atrium/pool/pool.hpp>

#include "memory/counted_fixture.hpp"
#include "pool/places.hpp"

#include <barrier>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Makes as many elements as it is told, drops them, and so keeps some places at hand.
ATRIUM_TEST_ROLE(cacher)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    pool<node>    places(open_only, s, "nodes");
    {
        std::vector<shared_ptr<node>> made;
        for (auto left = std::stoul(arguments.at(1)); left != 0; --left)
            made.push_back(places.make(left).value());
    }
    be_ready_until_told();
    return 0;
}

// Holds so many, with a place more at hand for each.
ATRIUM_TEST_ROLE(holder)
{
    segment const                 s(open_only, arguments.at(0));
    counted const                 all(s);
    pool<node>                    places(open_only, s, "nodes");
    std::vector<shared_ptr<node>> made;
    for (auto left = 2 * std::stoul(arguments.at(1)); left != 0; --left)
        made.push_back(places.make(left).value());
    made.resize(made.size() / 2);
    be_ready_until_told();
    return 0;
}

// Each of its threads has one element at a time.
ATRIUM_TEST_ROLE(one_at_a_time)
{
    segment const            s(open_only, arguments.at(0));
    counted const            all(s);
    pool<node>               places(open_only, s, "nodes");
    std::vector<std::thread> threads;
    say("ready");
    static_cast<void>(hear());
    for (auto left = std::stoul(arguments.at(1)); left != 0; --left)
        threads.emplace_back([&] {
            for (unsigned n = 0; n < 3000; ++n)
            {
                auto const made = places.make(n);
                require(made.has_value(), "one place for each thread is not enough");
            }
        });
    for (std::thread& t : threads)
        t.join();
    return 0;
}

// Has a thread that keeps a place at hand, and ends when it is told to.
ATRIUM_TEST_ROLE(keeper)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    pool<node>    places(open_only, s, "nodes");
    std::thread([&] {
        require(places.make().has_value());
        be_ready_until_told();
    }).join();
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(maker)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    pool<node>    places(open_only, s, "nodes");
    arm();
    return places.make().has_value() ? 0 : 1;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("exhausted") {}
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_exhausted, one_segment)

BOOST_AUTO_TEST_CASE(places_that_others_have_at_hand_can_be_had)
{
    {
        pool<node>               places(create_only, s, "nodes", {.capacity = 512}); // lanes keep up to 32
        child                    one   = ready_child("cacher", {name, "40"});
        child                    other = ready_child("cacher", {name, "512"});
        std::barrier             kept(5);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                {
                    std::vector<shared_ptr<node>> made;
                    for (int n = 0; n < 50; ++n)
                        made.push_back(places.make().value());
                }
                kept.arrive_and_wait();
                kept.arrive_and_wait();
            });
        kept.arrive_and_wait();
        every_place_can_be_had(places, 512);
        every_place_can_be_had(places, 512);
        one.stop();
        every_place_can_be_had(places, 512);
        one.resume();
        kept.arrive_and_wait();
        for (std::thread& t : threads)
            t.join();
        other.kill();
        every_place_can_be_had(places, 512);
        BOOST_TEST(s.recover(10s).has_value());
        every_place_can_be_had(places, 512);
        let_end(one);
        every_place_can_be_had(places, 512);
        BOOST_TEST(places.statistics().outstanding == 0u);
    }
    census_is(s, 0, 0);
    BOOST_TEST(heap(s).check(10s) == "");
}

BOOST_AUTO_TEST_CASE(what_a_killed_process_had_can_be_had_once_it_is_recovered)
{
    pool<node> places(create_only, s, "nodes", {.capacity = 100});
    for (int round = 0; round < 3; ++round)
    {
        child c = ready_child("holder", {name, "30"});
        BOOST_TEST(places.statistics().outstanding == 30u);
        every_place_can_be_had(places, 70);
        c.kill();
        auto const report = s.recover(10s).value();
        BOOST_TEST(report.references_released == 30u);
        BOOST_TEST(report.objects_destroyed == 30u);
        every_place_can_be_had(places, 100);
    }
    census_is(s, 0, 0);
    BOOST_TEST(all->destruction_ended.load() == all->constructed.load());
}

BOOST_AUTO_TEST_CASE(who_finds_a_pool_exhausted_looks_for_the_dead)
{
    pool<node> places(create_only, s, "nodes", {.capacity = 100});
    child      c = ready_child("holder", {name, "30"});
    c.kill();
    std::vector<shared_ptr<node>> made;
    auto const                    limit = std::chrono::steady_clock::now() + 30s;
    while (made.size() < 100 && std::chrono::steady_clock::now() < limit)
    {
        if (auto element = places.make(made.size()))
            made.push_back(std::move(*element));
        else
            BOOST_TEST(element.error() == errc::exhausted);
    }
    BOOST_TEST(made.size() == 100u);
    BOOST_TEST(s.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(one_place_for_each_thread_of_all_processes_is_enough)
{
    for (std::size_t const each : {1u, 2u, 4u})
    {
        pool<node>         places(create_only, s, "nodes", {.capacity = 3 * each});
        std::vector<child> children;
        for (int n = 0; n < 3; ++n)
            children.push_back(ready_child("one_at_a_time", {name, std::to_string(each)}));
        for (child& c : children)
            c.send_line("go");
        for (child& c : children)
            BOOST_TEST(c.wait(60s) == exited(0));
        BOOST_TEST(places.statistics().available == 3 * each);
        BOOST_TEST(places.statistics().low_water <= 3 * each);
        every_place_can_be_had(places, 3 * each);
    }
}

#ifdef ATRIUM_CRASH_POINTS

BOOST_AUTO_TEST_CASE(a_place_that_was_free_all_the_time_is_found_also_when_its_keeper_ends_meanwhile)
{
    pool<node> const places(create_only, s, "nodes", {.capacity = 1});
    child            keeps = ready_child("keeper", {name});
    child            makes("maker", {name}, {.stop_at_name = "hints.keeping", .hit = 2}); // has found no hint
    BOOST_TEST(makes.wait_stopped(30s));
    keeps.send_line("end the thread");
    keeps.wait_for_line("ready", 30s);
    makes.resume();
    BOOST_TEST(makes.wait(30s) == exited(0));
    let_end(keeps);
}

#endif

BOOST_AUTO_TEST_CASE(threads_that_come_and_go_find_a_place_each)
{
    pool<node>               places(create_only, s, "nodes", {.capacity = 4});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int n = 0; n < 200; ++n)
                std::thread([&] {
                    if (!places.make())
                        fail("one place for each thread is not enough");
                }).join();
        });
    for (std::thread& t : threads)
        t.join();
    every_place_can_be_had(places, 4);
}

BOOST_AUTO_TEST_SUITE_END()
