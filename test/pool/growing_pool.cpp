/// Pools that grow: each generation is used up before the next is made, by all processes together, and then fades out.
#include <atrium/pool/growing_pool.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr growing_pool_options few{.capacity = 4, .factor = 2, .generations = 8};
constexpr std::size_t          all_of_few = 4 * 255;

// Several threads make elements, and keep them, until there are no more places in any generation.
ATRIUM_TEST_ROLE(filler)
{
    segment const                 s(open_only, arguments.at(0));
    counted const                 all(s);
    growing_pool<node>            places(open_or_create, s, "nodes", few);
    std::mutex                    mutex;
    std::vector<shared_ptr<node>> made;
    be_ready_until_told();
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            for (;;)
            {
                auto element = places.make();
                if (!element)
                {
                    require(element.error() == errc::exhausted);
                    return;
                }
                std::lock_guard const held(mutex);
                made.push_back(std::move(*element));
            }
        });
    for (std::thread& t : threads)
        t.join();
    require(places.generation() == 7);
    say(std::to_string(made.size()));
    static_cast<void>(hear());
    return 0;
}

// Holds one element of the first generation.
ATRIUM_TEST_ROLE(holder)
{
    segment const      s(open_only, arguments.at(0));
    counted const      all(s);
    growing_pool<node> places(open_only, s, "nodes");
    auto const         element = places.make(9u).value();
    be_ready_until_told();
    require(element->value == 9 && places.generation() == 0);
    auto const another = places.make().value(); // follows the others
    say(std::to_string(places.generation()));
    static_cast<void>(hear());
    return 0;
}

// Does something when it ends: the first that does, once.
struct phoenix
{
    static constexpr bool is_shareable = true;

    explicit phoenix(std::uint64_t given = 0) noexcept : value(given) {}
    phoenix(phoenix const&)            = delete;
    phoenix& operator=(phoenix const&) = delete;
    ~phoenix()
    {
        if (auto const act = std::exchange(at_end, nullptr))
            act(value);
    }

    std::uint64_t value;

    static inline std::function<void(std::uint64_t)> at_end;
};

// Is named, and ends as an element does.
struct named_phoenix : phoenix
{
    using phoenix::phoenix;
};

// Holds the only element of the first generation, and is killed.
ATRIUM_TEST_ROLE(last_to_have_a_phoenix)
{
    segment const         s(open_only, arguments.at(0));
    growing_pool<phoenix> places(open_only, s, "nodes");
    auto const            element = places.make(7u).value();
    be_ready_until_told();
    return 1;
}

// Holds a named object, and is killed.
ATRIUM_TEST_ROLE(last_to_have_a_named_phoenix)
{
    segment const              s(open_only, arguments.at(0));
    named<named_phoenix> const object(create_only, s, "phoenix", 7u);
    be_ready_until_told();
    return 1;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("growing_pool") {}

    [[nodiscard]] bool has(std::uint32_t generation) const
    {
        return info_of(s, "nodes.g" + std::to_string(generation)).has_value();
    }

    static void make(growing_pool<node>& places, std::size_t count, std::vector<shared_ptr<node>>& into)
    {
        for (; count != 0; --count)
            into.push_back(places.make(into.size()).value());
    }

    void nothing_is_left()
    {
        BOOST_TEST(named_objects(s).value().size() == 1u); // the counts
        is_as_before();
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_growing_pool, one_segment)

BOOST_AUTO_TEST_CASE(each_generation_is_larger_and_the_last_one_is_exhausted)
{
    {
        growing_pool<node>            places(create_only, s, "nodes", {.capacity = 4, .factor = 3, .generations = 3});
        std::vector<shared_ptr<node>> made;
        make(places, 4, made);
        BOOST_TEST(places.generation() == 0u);
        BOOST_TEST(places.statistics().available == 0u);
        make(places, 1, made);
        BOOST_TEST(places.generation() == 1u);
        BOOST_TEST(places.statistics().capacity == 12u);
        BOOST_TEST(places.statistics().outstanding == 1u);
        make(places, 11 + 36, made);
        BOOST_TEST(places.generation() == 2u);
        for (int n = 0; n < 3; ++n)
            BOOST_TEST(places.make().error() == errc::exhausted);
        BOOST_TEST(places.generation() == 2u);
        census_is(s, 4 + 12 + 36, 4 + 12 + 36);
        std::set<node*> addresses;
        for (auto const& element : made)
            addresses.insert(element.get());
        BOOST_TEST(addresses.size() == made.size());
        made.pop_back();
        made.push_back(places.make(1u).value());
        BOOST_TEST(places.make().error() == errc::exhausted);
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(an_old_generation_goes_with_its_last_element)
{
    {
        growing_pool<node>            places(create_only, s, "nodes", few);
        std::vector<shared_ptr<node>> made;
        make(places, 4 + 8 + 1, made);
        BOOST_TEST((has(0) && has(1) && has(2)));
        for (std::size_t n = 0; n < 3; ++n)
            made[n].reset();
        BOOST_TEST(has(0));
        BOOST_TEST(made[3]->value == 3u);
        made[3].reset();
        BOOST_TEST(!has(0));
        for (std::size_t n = 4; n < 12; ++n)
            made[n].reset();
        BOOST_TEST(!has(1));
        made[12].reset();
        BOOST_TEST(has(2)); // the newest one is open
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(elements_outlive_the_pool_and_a_new_one_begins_small)
{
    {
        std::vector<shared_ptr<node>> made;
        {
            growing_pool<node> places(create_only, s, "nodes", few);
            make(places, 4 + 8 + 1, made);
            BOOST_TEST(code_of([&] { growing_pool<node> const p(create_only, s, "nodes", few); }) ==
                       errc::already_exists);
        }
        BOOST_TEST(made[12]->value == 12u);
        BOOST_TEST((has(0) && has(1) && has(2)));
        growing_pool<node> again(create_only, s, "nodes", few);
        BOOST_TEST(again.generation() == 0u);
        BOOST_TEST(again.statistics().outstanding == 4u); // those that are still there
        made.push_back(again.make(1u).value());
        BOOST_TEST(again.generation() == 2u); // the first two are full
        made.clear();
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(one_that_is_kept_remembers_what_was_chosen_and_how_far_it_has_grown)
{
    {
        growing_pool<node>            places(create_only, s, "nodes",
                                             {.capacity = 4, .factor = 5, .generations = 2, .keep = true});
        std::vector<shared_ptr<node>> made;
        make(places, 5, made);
    }
    BOOST_TEST(!has(0));
    BOOST_TEST(!has(1));
    growing_pool<node> again(open_only, s, "nodes");
    BOOST_TEST(again.generation() == 1u);
    BOOST_TEST(again.statistics().capacity == 20u);
    std::vector<shared_ptr<node>> made;
    make(again, 20, made);
    BOOST_TEST(again.make().error() == errc::exhausted);
}

BOOST_AUTO_TEST_CASE(what_it_cannot_be_made_with_is_refused_and_leaves_nothing)
{
    auto const code = [&](growing_pool_options const& options) {
        return code_of([&] { growing_pool<node> const p(open_or_create, s, "nodes", options); });
    };
    for (int n = 0; n < 20; ++n)
    {
        BOOST_TEST(code({.capacity = 0}) == errc::invalid_argument);
        BOOST_TEST(code({.capacity = 4, .factor = 1}) == errc::invalid_argument);
        BOOST_TEST(code({.capacity = 4, .generations = 0}) == errc::invalid_argument);
        BOOST_TEST(code({.capacity = std::size_t{1} << 40}) == errc::too_large);
        BOOST_TEST(code({.capacity = std::size_t{1} << 27}) == errc::out_of_memory);
        BOOST_TEST(code_of([&] { growing_pool<node> const p(open_only, s, "nodes"); }) == errc::not_found);
    }
    nothing_is_left();
    growing_pool<node> const places(create_only, s, "nodes", few);
    BOOST_TEST(code_of([&] { growing_pool<std::uint64_t> const p(open_only, s, "nodes"); }) == errc::type_mismatch);
    BOOST_TEST(info_of(s, "nodes")->holders == 1u);
    BOOST_TEST(info_of(s, "nodes.g0")->holders == 1u);
}

BOOST_AUTO_TEST_CASE(each_generation_is_padded_as_the_maker_has_chosen)
{
    for (bool const padded : {true, false})
    {
        growing_pool<std::uint64_t>            makers(create_only, s, "nodes", {.capacity = 1, .padded = padded});
        growing_pool<std::uint64_t>            openers(open_only, s, "nodes", {.padded = !padded});
        std::vector<shared_ptr<std::uint64_t>> made;
        while (made.size() != 1 + 2 + 4)
            made.push_back(openers.make(made.size()).value());
        BOOST_TEST(openers.generation() == 2u);
        std::set<std::uintptr_t> addresses; // of the last generation, which the opener has made
        for (auto const& element : std::span(made).last(4))
            addresses.insert(reinterpret_cast<std::uintptr_t>(element.get()));
        BOOST_TEST(*addresses.rbegin() - *addresses.begin() == 3 * (padded ? 64 : sizeof(std::uint64_t)));
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(a_name_that_is_too_long_for_a_later_generation_is_refused_at_once)
{
    {
        // Two digits, with as few elements as that takes.
        growing_pool<node>            places(create_only, s, std::string(59, 'n'), {.capacity = 1});
        std::vector<shared_ptr<node>> made;
        for (std::uint32_t generation = 0; places.generation() != 10; generation = places.generation())
        {
            make(places, 1, made);
            if (places.generation() != generation)
                made.erase(made.begin(), made.end() - 1); // the older ones are not needed
        }
    }
    for (std::size_t length : {60u, 61u, 62u, 63u, 64u})
    {
        std::string const too_long(length, 'n');
        BOOST_TEST(code_of([&] { growing_pool<node> const p(create_only, s, too_long); }) == errc::name_invalid);
        BOOST_TEST(code_of([&] { growing_pool<node> const p(open_or_create, s, too_long); }) == errc::name_invalid);
        BOOST_TEST(code_of([&] { growing_pool<node> const p(open_only, s, too_long); }) == errc::name_invalid);
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(another_type_is_refused_also_where_no_generation_is_there)
{
    {
        growing_pool<node> const places(create_only, s, "nodes", {.capacity = 4, .keep = true});
    }
    BOOST_TEST(!has(0));
    BOOST_TEST(code_of([&] { growing_pool<phoenix> const p(open_only, s, "nodes"); }) == errc::type_mismatch);
    BOOST_TEST(code_of([&] { growing_pool<phoenix> const p(open_or_create, s, "nodes"); }) == errc::type_mismatch);
    BOOST_TEST(!has(0));
    BOOST_TEST(growing_pool<node>(open_only, s, "nodes").statistics().capacity == 4u);
}

BOOST_AUTO_TEST_CASE(a_generation_that_finds_no_memory_is_an_error_and_asked_for_again)
{
    for (auto const& [factor, code] : {std::pair(1u << 30, errc::too_large), std::pair(1u << 20, errc::out_of_memory)})
    {
        growing_pool<node> places(create_only, s, "nodes", {.capacity = 4, .factor = factor, .generations = 3});
        std::vector<shared_ptr<node>> made;
        make(places, 4, made);
        for (int n = 0; n < 3; ++n)
            BOOST_TEST(places.make().error() == code);
        BOOST_TEST(places.generation() == 0u);
        made.pop_back();
        make(places, 1, made);
        BOOST_TEST(places.generation() == 0u);
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(processes_that_grow_at_once_use_every_place_of_every_generation)
{
    for (int round = 0; round < 3; ++round)
    {
        std::vector<child> children;
        for (int n = 0; n < 3; ++n)
            children.push_back(ready_child("filler", {name}));
        for (child& c : children)
            c.send_line("go");
        std::size_t made = 0;
        for (child& c : children)
            made += std::stoul(c.line(60s).value());
        BOOST_TEST(made == all_of_few);
        BOOST_TEST(census_of(s).live == all_of_few);
        children.front().kill();
        BOOST_TEST(s.recover(10s).has_value());
        let_end(children[1]);
        let_end(children[2]);
        BOOST_TEST(named_objects(s).value().size() == 1u);
        census_is(s, 0, 0);
        BOOST_TEST(heap(s).check(10s) == "");
    }
    BOOST_TEST(all->constructed.load() == 3 * all_of_few);
    BOOST_TEST(all->destruction_ended.load() == 3 * all_of_few);
}

BOOST_AUTO_TEST_CASE(a_process_follows_the_others_when_it_has_to)
{
    {
        growing_pool<node>            places(create_only, s, "nodes", few);
        child                         c = ready_child("holder", {name});
        std::vector<shared_ptr<node>> made;
        make(places, 3 + 8 + 16 + 1, made);
        BOOST_TEST(places.generation() == 3u);
        BOOST_TEST((has(0) && has(1) && has(2) && has(3)));
        c.send_line("go on");
        BOOST_TEST(c.line(30s).value() == "3");
        made.clear();
        BOOST_TEST(has(0)); // its element is there
        BOOST_TEST(!has(1));
        BOOST_TEST(!has(2));
        let_end(c);
        BOOST_TEST(!has(0));
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(a_destructor_that_runs_in_make_may_let_the_pool_grow)
{
    {
        growing_pool<phoenix> places(create_only, s, "nodes", {.capacity = 1});
        shared_ptr<phoenix>   risen;
        phoenix::at_end = [&](std::uint64_t value) { risen = places.make(value + 1).value(); };
        {
            child c = ready_child("last_to_have_a_phoenix", {name});
            c.kill();
            // The place comes back when `make`, which finds none, looks after the dead: that is due by then. The
            // destructor, which runs on the way, finds none either, and makes the next generation.
            std::this_thread::sleep_for(s.attached()->detection_time());
            auto const element = places.make(1u).value();
            BOOST_TEST(places.generation() == 1u);
            BOOST_TEST(places.statistics().outstanding == 1u); // that one is not of this generation
            BOOST_TEST(has(0));
        }
        BOOST_TEST(risen->value == 8u);
        BOOST_TEST(!has(0)); // which is not kept by who was in the middle of it when the pool grew
        BOOST_TEST(has(1));
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_CASE(a_destructor_that_runs_while_the_pool_grows_may_let_it_grow)
{
    {
        growing_pool<phoenix> places(create_only, s, "nodes", {.capacity = 1});
        shared_ptr<phoenix>   risen;
        auto                  first = places.make(1u).value();
        phoenix::at_end             = [&](std::uint64_t value) { risen = places.make(value + 1).value(); };
        ready_child("last_to_have_a_named_phoenix", {name}).kill();
        BOOST_TEST(s.recover(10s).has_value());
        BOOST_TEST(info_of(s, "phoenix").has_value()); // nobody knew the type
        static_cast<void>(detail::counted_type<named_phoenix>());
        auto second = places.make(2u).value(); // destroys it, as all that looks for names does
        BOOST_TEST(!info_of(s, "phoenix").has_value());
        BOOST_TEST(risen->value == 8u);
        BOOST_TEST(second->value == 2u);
        BOOST_TEST(places.generation() == 1u);
        BOOST_TEST(places.statistics().outstanding == 2u);
        first.reset();
        BOOST_TEST(!has(0));
    }
    nothing_is_left();
}

// With lanes for all threads, and for one only.
BOOST_AUTO_TEST_CASE(threads_follow_each_other_and_keep_no_generation_that_none_of_them_uses)
{
    for (std::uint32_t const lanes : {16u, 1u})
    {
        auto options  = roomy_segment();
        options.lanes = lanes;
        segment const               in(create_only, unique_name("growing_lanes"), options);
        growing_pool<std::uint64_t> places(create_only, in, "numbers", {.capacity = 1, .generations = 12});
        auto const                  exists = [&](std::uint32_t generation) {
            return info_of(in, "numbers.g" + std::to_string(generation)).has_value();
        };
        std::atomic<bool>        stop{false};
        std::atomic<std::size_t> wrong{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                while (!stop.load())
                {
                    auto const element = places.make(5u);
                    wrong += element && **element == 5 ? 0 : 1;
                }
            });
        std::vector<shared_ptr<std::uint64_t>> made;
        for (std::uint32_t generation = 0; places.generation() < 10; generation = places.generation())
        {
            made.push_back(places.make(made.size()).value());
            if (places.generation() != generation)
                made.clear();
        }
        std::uint32_t const newest = places.generation();
        made.clear();
        // The others are in the middle of something, but of none of these for ever.
        for (std::uint32_t generation = 0; generation < newest; ++generation)
            BOOST_TEST(eventually([&] { return !exists(generation); }, 10s));
        stop.store(true);
        for (std::thread& t : threads)
            t.join();
        BOOST_TEST(wrong.load() == 0u);
        BOOST_TEST(places.generation() == newest);
        BOOST_TEST(exists(newest));
        BOOST_TEST(places.statistics().outstanding == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_forked_child_makes_nothing_in_its_parents)
{
    {
        std::optional<growing_pool<node>> places(std::in_place, create_only, s, "nodes", few);
        auto                              element = places->make(1u).value();
        pid_t const                       pid     = ::fork();
        if (pid == 0)
        {
            bool const right = places->make().error() == errc::forked && places->generation() == 0 &&
                               places->statistics().outstanding == 0;
            element.reset();
            places.reset();
            ::_exit(right ? 0 : 1);
        }
        int status = 0;
        BOOST_TEST(::waitpid(pid, &status, 0) == pid);
        BOOST_TEST(status == 0);
        BOOST_TEST(places->statistics().outstanding == 1u);
        BOOST_TEST(element.use_count() == 1u);
    }
    nothing_is_left();
}

BOOST_AUTO_TEST_SUITE_END()
