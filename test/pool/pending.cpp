/// Objects whose last reference went where nobody knew their type: they wait, and are destroyed once, by who knows it.
#include <atrium/pool/pool.hpp>

#include "memory/counted_fixture.hpp"
#include "memory/object_pool.hpp"

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// A type for each test: what this process has once used it knows for ever.
template <int Number> struct mortal
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit mortal(std::allocator_arg_t, allocator_type const& a) : texts(a)
    {
        texts.emplace_back(long_text);
        counts->constructed.fetch_add(1);
    }
    mortal(mortal const&)            = delete;
    mortal& operator=(mortal const&) = delete;
    ~mortal() { counts->destruction_ended.fetch_add(1); }

    vector<string>              texts;
    segment_ptr<mortal<Number>> next;
};

/// Refers to one of these without knowing it: what a pointer points at need not be known to be dropped.
template <int Number> struct box
{
    static constexpr bool is_shareable = true;

    segment_ptr<mortal<Number>> object;
};

} // namespace atrium::test

namespace {

// Calls `use` with the type of that number, as the role's second argument has it.
template <class Use> void with_type(std::string const& number, Use const& use)
{
    switch (std::stoi(number))
    {
    case 1:
        return use(std::type_identity<mortal<1>>());
    case 2:
        return use(std::type_identity<mortal<2>>());
    case 3:
        return use(std::type_identity<mortal<3>>());
    case 4:
        return use(std::type_identity<mortal<4>>());
    case 5:
        return use(std::type_identity<mortal<5>>());
    case 6:
        return use(std::type_identity<mortal<6>>());
    case 7:
        return use(std::type_identity<mortal<7>>());
    default:
        require(false, "no such type");
    }
}

// Has two elements of a pool, one of which refers to a third, and an object of the heap.
ATRIUM_TEST_ROLE(holder)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    with_type(arguments.at(1), [&]<class T>(std::type_identity<T>) {
        pool<T>    places(open_or_create, s, "mortals", {.capacity = 3});
        auto const first  = places.make().value();
        auto const second = places.make().value();
        auto const heaped = make_shared<T>(s).value();
        second->next      = places.make().value();
        be_ready_until_told();
    });
    return 0;
}

// Gives the box an object of the heap and is gone.
ATRIUM_TEST_ROLE(packer)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    named<box<1>>(open_only, s, "box")->object = make_shared<mortal<1>>(s).value();
    return 0;
}

// Uses the type once, at the same time as others.
ATRIUM_TEST_ROLE(user)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    say("ready");
    static_cast<void>(hear());
    with_type(arguments.at(1), [&]<class T>(std::type_identity<T>) {
        pool<T>    places(open_or_create, s, "mortals", {.capacity = 3});
        auto const element = places.make();
        require(element.has_value() || element.error() == errc::exhausted);
    });
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("pending") {}

    /// A process with four objects of that type dies, and this one recovers for it without knowing the type.
    void leave_pending(std::string const& number)
    {
        child c = ready_child("holder", {name, number});
        BOOST_TEST(all->constructed.load() == 4u);
        c.kill();
        auto const report = s.recover(10s).value();
        BOOST_TEST(report.references_released == 3u);
        BOOST_TEST(report.objects_destroyed == 0u);
        BOOST_TEST(report.objects_pending == 3u);
        BOOST_TEST(census_of(s) == (census{1, 3, 0, 1, 1})); // one is referred to by an element that waits
        BOOST_TEST(info_of(s, "mortals").has_value());
        BOOST_TEST(all->destruction_ended.load() == 0u);
    }

    void all_were_destroyed_once(std::uint64_t constructed)
    {
        BOOST_TEST(all->constructed.load() == constructed);
        is_as_before();
        BOOST_TEST(!info_of(s, "mortals"));
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_pending, one_segment)

BOOST_AUTO_TEST_CASE(who_drops_the_last_reference_without_knowing_the_type_leaves_it_to_others)
{
    named<box<1>> const found(create_only, s, "box");
    child               c("packer", {name});
    BOOST_TEST(c.wait(30s) == exited(0));
    found->object = nullptr;
    BOOST_TEST(census_of(s) == (census{0, 1, 0, 0, 0}));
    BOOST_TEST(all->destruction_ended.load() == 0u);
    static_cast<void>(make_shared<mortal<1>>(s)); // makes the type known, and one more
    BOOST_TEST(all->destruction_ended.load() == 2u);
    BOOST_TEST(all->constructed.load() == 2u);
    census_is(s, 0, 0);
}

BOOST_AUTO_TEST_CASE(who_has_shared_one_knows_how_to_destroy_it)
{
    named<box<1>> const found(create_only, s, "box");
    child               c("packer", {name});
    BOOST_TEST(c.wait(30s) == exited(0));
    auto handle   = found->object.share().value();
    found->object = nullptr;
    weak_ptr<mortal<1>> const weak(handle);
    handle.reset();
    BOOST_TEST(weak.lock().error() == errc::expired);
    BOOST_TEST(all->destruction_ended.load() == 1u);
    census_is(s, 0, 0);
}

BOOST_AUTO_TEST_CASE(the_next_process_that_makes_one_destroys_what_waits)
{
    leave_pending("2");
    child c = ready_child("user", {name, "2"});
    let_end(c);
    all_were_destroyed_once(5);
}

BOOST_AUTO_TEST_CASE(of_many_processes_that_use_the_type_at_once_each_object_is_destroyed_by_one)
{
    for (unsigned round = 1; round <= 5; ++round)
    {
        leave_pending("3");
        std::vector<child> users;
        for (int n = 0; n < 4; ++n)
            users.push_back(ready_child("user", {name, "3"}));
        for (child& c : users)
            c.send_line("go");
        for (child& c : users)
            BOOST_TEST(c.wait(30s) == exited(0));
        is_as_before();
        BOOST_TEST(!info_of(s, "mortals"));
        counts->constructed.store(0);
        counts->destruction_ended.store(0);
    }
}

BOOST_AUTO_TEST_CASE(a_process_that_recovered_and_learns_the_type_later_destroys_what_waits)
{
    leave_pending("4");
    static_cast<void>(make_shared<node>(s)); // looks for what waits, and knows none of it
    BOOST_TEST(census_of(s).pending == 3u);
    {
        pool<mortal<4>> places(open_only, s, "mortals");
        auto const      element = places.make();
        BOOST_TEST(element.has_value()); // three of three places were taken by what waited
        BOOST_TEST(places.statistics().pending == 0u);
        BOOST_TEST(places.statistics().outstanding == 1u);
    }
    all_were_destroyed_once(4 + 2);
}

BOOST_AUTO_TEST_CASE(opening_a_pool_of_the_type_is_using_it)
{
    leave_pending("5");
    {
        pool<mortal<5>> const places(open_only, s, "mortals");
        BOOST_TEST(places.statistics().pending == 0u);
        BOOST_TEST(places.statistics().available == 3u);
    }
    all_were_destroyed_once(4);
}

BOOST_AUTO_TEST_CASE(what_waits_is_seen_in_the_statistics_and_keeps_its_place)
{
    leave_pending("6");
    auto const table = detail::pool_table(memory_in(s),
                                          [&] {
                                              for (std::uint32_t index = 0;; ++index)
                                                  if (detail::is_pool(memory_in(s).entry(index)))
                                                      return index;
                                          }())
                           .value();
    auto const numbers = detail::counts_of(table, memory_in(s).in->lane_count());
    BOOST_TEST(numbers.pending == 2u);
    BOOST_TEST(numbers.outstanding == 3u);
    BOOST_TEST(numbers.capacity == 3u);
    child c = ready_child("user", {name, "6"});
    let_end(c);
    all_were_destroyed_once(5);
}

BOOST_AUTO_TEST_CASE(a_process_that_knows_the_type_recovers_and_destroys_at_once)
{
    static_cast<void>(make_shared<mortal<7>>(s));
    child c = ready_child("holder", {name, "7"});
    c.kill();
    auto const report = s.recover(10s).value();
    BOOST_TEST(report.references_released == 3u);
    BOOST_TEST(report.objects_destroyed == 3u);
    BOOST_TEST(report.objects_pending == 0u);
    all_were_destroyed_once(5);
}

BOOST_AUTO_TEST_SUITE_END()
