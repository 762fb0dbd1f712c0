/// How long a pool lives: as long as somebody has it open, or an element is there, wherever that has got to.
#include <atrium/pool/pool.hpp>

#include "memory/counted_fixture.hpp"

#include <barrier>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Makes the pool, and an element of it for the root of that name.
ATRIUM_TEST_ROLE(maker)
{
    segment const     s(open_only, arguments.at(0));
    counted const     all(s);
    named<root> const found(open_only, s, arguments.at(1));
    pool<node>        places(create_only, s, "nodes", {.capacity = 3});
    found->object = places.make(7u).value();
    be_ready_until_told();
    return 0;
}

// Passes the element of one root on to another, and holds it itself.
ATRIUM_TEST_ROLE(passer)
{
    segment const     s(open_only, arguments.at(0));
    counted const     all(s);
    named<root> const from(open_only, s, arguments.at(1));
    named<root> const to(open_or_create, s, arguments.at(2));
    auto const        handle = from->object.share().value();
    to->object               = handle;
    require(handle->value == 7);
    be_ready_until_told();
    return 0;
}

// Opens the pool, has an element, and lets both go, again and again.
ATRIUM_TEST_ROLE(opener)
{
    segment const            s(open_only, arguments.at(0));
    counted const            all(s);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&, t] {
            for (unsigned n = 0; n < 200; ++n)
            {
                std::optional<pool<node>> places(std::in_place, open_or_create, s, "nodes",
                                                 pool_options{.capacity = 6});
                auto                      element = places->make(n);
                require(element.has_value(), "there is a place for each thread");
                if ((n + static_cast<unsigned>(t)) % 2 == 0)
                    places.reset();
                require((*element)->value == n);
            }
        });
    for (std::thread& t : threads)
        t.join();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("life") {}

    [[nodiscard]] bool is_taken() const
    {
        return code_of([&] { pool<std::uint64_t> const p(create_only, s, "nodes"); }) == errc::already_exists;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_life, one_segment)

BOOST_AUTO_TEST_CASE(it_goes_with_its_last_handle_when_it_is_empty)
{
    {
        std::optional<pool<node>> places(std::in_place, create_only, s, "nodes");
        auto const                copy   = *places;
        auto const                opened = pool<node>(open_only, s, "nodes");
        places->make().value().reset();
        BOOST_TEST(info_of(s, "nodes")->holders == 1u); // this process, once
        places.reset();
        BOOST_TEST(is_taken());
    }
    BOOST_TEST(!info_of(s, "nodes"));
    is_as_before();
}

BOOST_AUTO_TEST_CASE(its_last_element_keeps_it_in_the_same_process)
{
    std::optional<pool<node>> places(std::in_place, create_only, s, "nodes");
    auto                      first  = places->make(1u).value();
    auto                      second = places->make(2u).value();
    places.reset();
    first.reset();
    BOOST_TEST(is_taken());
    BOOST_TEST(second->value == 2u);
    {
        pool<node> again(open_only, s, "nodes");
        BOOST_TEST(again.statistics().outstanding == 1u);
        first = again.make(3u).value();
    }
    second.reset();
    BOOST_TEST(is_taken());
    first.reset();
    BOOST_TEST(!info_of(s, "nodes"));
    is_as_before();
}

BOOST_AUTO_TEST_CASE(one_that_is_kept_stays_empty)
{
    {
        pool<node> places(create_only, s, "nodes", {.capacity = 5, .keep = true});
        auto const one = places.make().value();
    }
    BOOST_TEST(info_of(s, "nodes")->kept);
    BOOST_TEST(info_of(s, "nodes")->holders == 0u);
    census_is(s, 0, 0);
    pool<node> const again(open_or_create, s, "nodes", {.capacity = 50});
    BOOST_TEST(again.capacity() == 5u);
}

BOOST_AUTO_TEST_CASE(an_element_outlives_its_maker_and_all_owners_but_the_last)
{
    for (bool const killed : {true, false})
    {
        auto const ends = [&](child& c) {
            if (!killed)
                return let_end(c);
            c.kill();
            BOOST_TEST(s.recover(10s).has_value());
        };
        {
            named<root> const first(create_only, s, "first");
            child             makes = ready_child("maker", {name, "first"});
            ends(makes);
            BOOST_TEST(info_of(s, "nodes")->holders == 0u);
            BOOST_TEST(is_taken());
            child owns = ready_child("passer", {name, "first", "second"});
            BOOST_TEST(info_of(s, "nodes")->holders == 1u);
            first->object = nullptr;
            census_is(s, 1, 2);
            child also_owns = ready_child("passer", {name, "second", "third"});
            ends(owns); // and "second" with it, unless the other had it open
            census_is(s, 1, 3);
            BOOST_TEST(is_taken());
            named<root> const third(open_only, s, "third");
            BOOST_TEST(third->object->value == 7u);
            ends(also_owns);
            census_is(s, 1, 1);
            BOOST_TEST(info_of(s, "nodes")->holders == 0u);
            BOOST_TEST(is_taken());
            BOOST_TEST(all->destruction_ended.load() == (killed ? 0u : 1u));
        }
        BOOST_TEST(!info_of(s, "nodes"));
        BOOST_TEST(!is_taken());
        is_as_before();
    }
}

BOOST_AUTO_TEST_CASE(it_goes_with_the_last_element_also_when_its_holder_dies)
{
    {
        named<root> first(create_only, s, "first");
        child       makes = ready_child("maker", {name, "first"});
        child       owns  = ready_child("passer", {name, "first", "second"});
        makes.kill();
        first->object = nullptr;
        owns.kill();
        BOOST_TEST(is_taken());
        BOOST_TEST(s.recover(10s).has_value());
        BOOST_TEST(!info_of(s, "second"));
        BOOST_TEST(!info_of(s, "nodes"));
        BOOST_TEST(all->destruction_ended.load() == 1u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(who_opens_one_that_nobody_has_finds_its_elements)
{
    {
        named<root> const first(create_only, s, "first");
        child             makes = ready_child("maker", {name, "first"});
        let_end(makes);
        pool<node> again(open_or_create, s, "nodes", {.capacity = 50});
        BOOST_TEST(again.capacity() == 3u);
        BOOST_TEST(again.statistics().outstanding == 1u);
        std::vector<shared_ptr<node>> const others{again.make().value(), again.make().value()};
        BOOST_TEST(again.make().error() == errc::exhausted);
        first->object = nullptr;
        BOOST_TEST(again.make().has_value());
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(threads_and_processes_that_open_and_drop_it_share_one_at_a_time)
{
    std::vector<child> children;
    for (int n = 0; n < 3; ++n)
        children.emplace_back("opener", arguments{name});
    for (child& c : children)
        BOOST_TEST(c.wait(60s) == exited(0));
    BOOST_TEST(!info_of(s, "nodes"));
    BOOST_TEST(all->constructed.load() == 3u * 2u * 200u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_thread_that_opens_it_while_another_lets_it_go_finds_every_place)
{
    std::barrier             gate(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            for (unsigned n = 0; n < 500; ++n)
            {
                gate.arrive_and_wait();
                pool<node>                    places(open_or_create, s, "nodes", {.capacity = 8});
                std::vector<shared_ptr<node>> made;
                for (int m = 0; m < 4; ++m)
                {
                    auto one = places.make(n);
                    if (!one)
                        fail("half of the places are for this thread");
                    else
                        made.push_back(std::move(*one));
                }
                if (n % 2 == 0)
                    gate.arrive_and_wait(); // both let it go at once
            }
        });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(!info_of(s, "nodes"));
    BOOST_TEST(all->constructed.load() == 2u * 500u * 4u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(threads_that_open_a_kept_one_find_a_place_each)
{
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            for (unsigned n = 0; n < 1000; ++n)
            {
                pool<node> places(open_or_create, s, "nodes", {.capacity = 3, .keep = true});
                if (!places.make())
                    fail("a place for each thread is not enough");
            }
        });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(pool<node>(open_only, s, "nodes").statistics().available == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
