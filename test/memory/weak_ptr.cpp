/// References that keep nothing: they find the object for as long as it lives, and never another one in its place.
#include <atrium/memory/weak_ptr.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <atomic>
#include <barrier>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Tries to come back while it is destroyed.
struct revenant
{
    static constexpr bool is_shareable = true;

    static inline weak_ptr<revenant> itself;
    static inline std::string        heard;

    ~revenant()
    {
        auto const again = itself.lock();
        heard            = again ? "revived" : again.error().message();
        heard += itself.expired() ? ", expired" : ", not expired";
    }
};

/// Knows its number as long as it lives.
struct numbered
{
    static constexpr bool is_shareable = true;

    explicit numbered(std::uint64_t given) noexcept : value(given) { counts->constructed.fetch_add(1); }
    numbered(numbered const&)            = delete;
    numbered& operator=(numbered const&) = delete;
    ~numbered()
    {
        value.store(0);
        counts->destruction_ended.fetch_add(1);
    }

    atomic<std::uint64_t> value;
};

} // namespace atrium::test

namespace {

// Refers to the root's object, weakly and not.
ATRIUM_TEST_ROLE(weak_holder)
{
    segment const  s(open_only, arguments.at(0));
    counted const  all(s);
    weak_ptr<node> weak;
    {
        named<root> const found(open_only, s, "root");
        auto const        handle = found->object.share().value();
        weak                     = handle;
        require(handle.use_count() == 2);
    }
    require(!weak.expired());
    be_ready_until_told();
    require(weak.expired() && weak.lock().error() == errc::expired);
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("weak_ptr") {}

    static unsigned rounds() { return long_form() ? 10'000 : 300; }

    static void is_expired(weak_ptr<node> const& weak)
    {
        BOOST_TEST(weak.expired());
        BOOST_TEST(weak.lock().error() == errc::expired);
    }

    // Threads lock what goes at any moment, and what is in its place at the next.
    template <class Make> void race(Make const& make)
    {
        constexpr int              lockers = 3;
        unsigned const             rounds  = one_segment::rounds();
        std::barrier               gate(lockers + 1);
        weak_ptr<numbered>         weak;
        std::uint64_t              number = 1;
        std::atomic<bool>          dropped{false};
        std::atomic<std::uint64_t> locked{0};
        std::vector<std::thread>   threads;
        for (int t = 0; t < lockers; ++t)
            threads.emplace_back([&] {
                for (unsigned round = 0; round < rounds; ++round)
                {
                    gate.arrive_and_wait(); // it is there
                    // Among themselves they could keep it for ever.
                    for (unsigned more = 3; more != 0; more -= dropped.load() ? 1 : 0)
                    {
                        auto const handle = weak.lock();
                        if (!handle)
                            break;
                        if ((*handle)->value.load() != number)
                            fail("not the object that was referred to");
                        locked.fetch_add(1);
                    }
                    gate.arrive_and_wait(); // nobody has it
                    if (weak.lock())
                        fail("revived");
                    gate.arrive_and_wait();
                }
            });
        for (; number <= rounds; ++number)
        {
            dropped.store(false);
            auto handle       = make(number);
            weak              = handle;
            auto const before = locked.load();
            gate.arrive_and_wait();
            while (number % 2 == 0 && locked.load() == before)
                std::this_thread::yield(); // every other round somebody has had it
            handle.reset();
            dropped.store(true);
            auto const successor = make(rounds + number); // in its place, where that is free already
            gate.arrive_and_wait();
            BOOST_TEST(weak.expired());
            BOOST_TEST(successor.use_count() == 1u);
            gate.arrive_and_wait();
        }
        for (std::thread& t : threads)
            t.join();
        BOOST_TEST(all->destruction_ended.load() == 2u * rounds);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_weak_ptr, one_segment)

BOOST_AUTO_TEST_CASE(it_finds_the_object_while_that_lives_and_keeps_nothing)
{
    weak_ptr<node> weak;
    is_expired(weak);
    {
        auto const handle = make_shared<node>(s, 4u).value();
        weak              = handle;
        auto const copy   = weak;
        BOOST_TEST(!copy.expired());
        BOOST_TEST(handle.use_count() == 1u);
        auto const locked = copy.lock().value();
        BOOST_TEST((locked == handle));
        BOOST_TEST(locked->value == 4u);
        BOOST_TEST(handle.use_count() == 2u); // a reference of its own
        census_is(s, 1, 2);
    }
    is_expired(weak);
    BOOST_TEST(all->destruction_ended.load() == 1u);
    weak.reset();
    is_expired(weak);
    is_expired(weak_ptr<node>(shared_ptr<node>()));
    is_as_before();
}

BOOST_AUTO_TEST_CASE(it_points_at_the_part_that_its_origin_pointed_at)
{
    auto                    whole = make_shared<node>(s, 9u).value();
    weak_ptr<std::uint64_t> weak(shared_ptr<std::uint64_t>(whole, &whole->value));
    auto const              part = weak.lock().value();
    whole.reset();
    BOOST_TEST(*part == 9u);
    BOOST_TEST(part.use_count() == 1u);
}

BOOST_AUTO_TEST_CASE(an_object_in_the_same_place_is_another)
{
    pool<node>     places(create_only, s, "one", {.capacity = 1});
    auto           first = places.make(1u).value();
    weak_ptr<node> weak(first);
    node* const    address = first.get();
    for (std::uint64_t round = 2; round < 100; ++round)
    {
        first.reset();
        is_expired(weak);
        first = places.make(round).value();
        BOOST_TEST(first.get() == address);
        is_expired(weak);
        if (round % 2 == 0)
            weak = first;
    }
    first.reset();
    auto           object = make_shared<node>(s, 1u).value();
    weak_ptr<node> old(object);
    object.reset();
    std::vector<shared_ptr<node>> all_places; // of all that there are, its own is one
    for (int n = 0; n < 200; ++n)
        all_places.push_back(make_shared<node>(s).value());
    is_expired(old);
}

BOOST_AUTO_TEST_CASE(nobody_revives_what_is_being_destroyed)
{
    std::string const text = make_error_code(errc::expired).message() + ", expired";
    {
        pool<revenant> places(create_only, s, "revenants");
        for (bool const from_pool : {true, false})
        {
            revenant::heard.clear();
            auto handle      = from_pool ? places.make().value() : make_shared<revenant>(s).value();
            revenant::itself = handle;
            handle.reset();
            BOOST_TEST(revenant::heard == text);
        }
        revenant::itself.reset();
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(it_keeps_the_mapping_and_the_pool)
{
    for (bool const from_pool : {true, false})
    {
        std::string const other = unique_name("outlived");
        weak_ptr<node>    weak;
        {
            segment const made(create_only, other, small_segment());
            pool<node>    places(create_only, made, "pool");
            auto const    handle = from_pool ? places.make().value() : make_shared<node>(made).value();
            weak                 = handle;
        }
        BOOST_TEST(is_there(other));
        is_expired(weak);
        if (from_pool)
        {
            segment const again(open_only, other);
            BOOST_TEST(info_of(again, "pool")->holders == 1u);
        }
        weak.reset();
        BOOST_TEST(!is_there(other));
    }
}

BOOST_AUTO_TEST_CASE(nothing_is_left_of_one_whose_process_dies)
{
    std::optional<named<root>> found(std::in_place, create_only, s, "root", make_shared<node>(s).value());
    child                      killed = ready_child("weak_holder", {name});
    child                      stays  = ready_child("weak_holder", {name});
    census_is(s, 1, 1);
    killed.kill();
    BOOST_TEST(s.recover(10s).value().references_released == 0u);
    census_is(s, 1, 1);
    found.reset();
    BOOST_TEST(all->destruction_ended.load() == 1u); // though a living process has one
    let_end(stays);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_forked_child_finds_nothing)
{
    auto const     handle = make_shared<node>(s).value();
    pool<node>     places(create_only, s, "pool");
    auto const     element = places.make().value();
    weak_ptr<node> weak(handle);
    weak_ptr<node> of_pool(element);
    pid_t const    pid = ::fork();
    if (pid == 0)
    {
        auto const copy  = weak;
        bool const right = copy.expired() && copy.lock().error() == errc::forked && of_pool.expired() &&
                           of_pool.lock().error() == errc::forked;
        weak.reset();
        of_pool = copy;
        ::_exit(right ? 0 : 1);
    }
    int status = 0;
    BOOST_TEST(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
    BOOST_TEST((weak.lock().value() == handle));
    BOOST_TEST((of_pool.lock().value() == element));
}

BOOST_AUTO_TEST_CASE(threads_that_lock_while_an_element_goes_find_it_or_nothing)
{
    {
        pool<numbered> places(create_only, s, "numbered", {.capacity = 2});
        race([&](std::uint64_t number) { return places.make(number).value(); });
        BOOST_TEST(places.statistics().outstanding == 0u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(threads_that_lock_while_a_heap_object_goes_find_it_or_nothing)
{
    race([&](std::uint64_t number) { return make_shared<numbered>(s, number).value(); });
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
