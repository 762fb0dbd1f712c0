/// Runs of objects: made in order and destroyed in reverse, whole or not at all.
#include <atrium/pool/array_pool.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <algorithm>
#include <numeric>
#include <stdexcept>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Notes in which order this process makes and destroys; throws as the one of a number.
struct ordered
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    static inline std::vector<int> made;
    static inline std::vector<int> destroyed;
    static inline int              throws_at = -1;

    ordered(std::allocator_arg_t, allocator_type const& a, std::string const& text) : texts(a)
    {
        texts.emplace_back(text.c_str());
        if (static_cast<int>(made.size()) == throws_at)
            throw std::runtime_error("told to");
        number = static_cast<int>(made.size());
        made.push_back(number);
    }
    ordered(ordered const&)            = delete;
    ordered& operator=(ordered const&) = delete;
    ~ordered()
    {
        destroyed.push_back(number);
        if (in_role())
            say(std::to_string(number));
    }

    vector<string> texts;
    int            number = 0;
};

/// What everybody finds: the first object of a run, which keeps all of it.
struct first_of_run
{
    static constexpr bool is_shareable = true;

    segment_ptr<ordered> object;
};

struct alignas(64) odd
{
    std::byte bytes[65] = {};
};

/// In a role, says so when the third is being constructed, and stays there.
struct lingering
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    lingering(std::allocator_arg_t, allocator_type const& a, shared_ptr<node> const& kept) : texts(a), inside(kept)
    {
        static int made = 0;
        texts.emplace_back(long_text);
        if (++made == 3)
            be_ready_until_told();
    }
    lingering(lingering const&)            = delete;
    lingering& operator=(lingering const&) = delete;
    ~lingering() { fail("the destructor of what was never whole"); }

    vector<string>    texts;
    segment_ptr<node> inside;
};

} // namespace atrium::test

namespace {

// Drops the run that everybody finds, as the last to have it; says in which order it is destroyed.
ATRIUM_TEST_ROLE(dropper)
{
    segment const             s(open_only, arguments.at(0));
    named<first_of_run> const found(open_only, s, "first");
    array_pool<ordered>       places(open_only, s, "runs", 5);
    auto                      handle = found->object.share().value();
    found->object                    = nullptr;
    say("drops");
    handle.reset();
    say("done");
    return 0;
}

ATRIUM_TEST_ROLE(lingerer)
{
    segment const         s(open_only, arguments.at(0));
    counted const         all(s);
    array_pool<lingering> places(create_only, s, "runs", 5, {.capacity = 2});
    static_cast<void>(places.make(make_shared<node>(s).value()));
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("array_pool")
    {
        ordered::made.clear();
        ordered::destroyed.clear();
        ordered::throws_at = -1;
    }

    static std::vector<int> numbers(int from, int to)
    {
        std::vector<int> all(static_cast<std::size_t>(to - from));
        std::iota(all.begin(), all.end(), from);
        return all;
    }
    static std::vector<int> reversed(int from, int to)
    {
        auto all = numbers(from, to);
        std::reverse(all.begin(), all.end());
        return all;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_array_pool, one_segment)

BOOST_AUTO_TEST_CASE(a_run_is_made_in_order_and_destroyed_in_reverse)
{
    {
        array_pool<ordered> places(create_only, s, "runs", 5, {.capacity = 2});
        BOOST_TEST(places.length() == 5u);
        BOOST_TEST(places.capacity() == 2u);
        auto run   = places.make(long_text).value();
        auto other = places.make("short").value();
        BOOST_TEST(ordered::made == numbers(0, 10));
        BOOST_TEST(places.objects(run).size() == 5u);
        for (std::size_t n = 0; n < 5; ++n)
        {
            BOOST_TEST(run[n].number == static_cast<int>(n));
            BOOST_TEST((run[n].texts.front() == long_text));
            BOOST_TEST(&places.objects(other)[n] == other.get() + n);
        }
        BOOST_TEST(places.make("one too many").error() == errc::exhausted);
        BOOST_TEST(places.statistics().outstanding == 2u);
        BOOST_TEST(ordered::made.size() == 10u);
        shared_ptr<ordered> const third(run, &run[3]);
        run.reset();
        BOOST_TEST(ordered::destroyed.empty());
        BOOST_TEST(third->number == 3);
        other = nullptr;
        BOOST_TEST(ordered::destroyed == reversed(5, 10));
    }
    BOOST_TEST(ordered::destroyed.size() == 10u);
    is_as_before();
}

// A run is one to its own type only: a pointer to the first of many derived objects is none to many bases.
struct base_of_many
{
};
struct one_of_many : base_of_many
{
    int more;
};
static_assert(std::is_convertible_v<shared_ptr<int[]>, shared_ptr<int const[]>>);
static_assert(!std::is_convertible_v<shared_ptr<int[]>, shared_ptr<int>>);
static_assert(!std::is_convertible_v<shared_ptr<int>, shared_ptr<int[]>>);
static_assert(!std::is_convertible_v<shared_ptr<one_of_many[]>, shared_ptr<base_of_many[]>>);
static_assert(std::is_convertible_v<shared_ptr<one_of_many>, shared_ptr<base_of_many>>);

BOOST_AUTO_TEST_CASE(a_pointer_in_the_segment_keeps_a_run)
{
    {
        array_pool<int>                          places(create_only, s, "runs", 5, {.capacity = 2});
        named<guarded<segment_ptr<int[]>>> const kept(create_only, s, "kept");
        {
            auto run                = places.make().value();
            run[4]                  = 17;
            *kept->lock(5s).value() = run;
        }
        BOOST_TEST(places.statistics().outstanding == 1u);
        auto const found = kept->lock(5s).value();
        BOOST_TEST((*found)[4] == 17);
        auto const again = found->share().value();
        BOOST_TEST(again[4] == 17);
        BOOST_TEST(places.objects(again).size() == 5u);
        *found = nullptr;
        BOOST_TEST(again.use_count() == 1u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_leaves_nothing_of_its_run)
{
    {
        array_pool<ordered> places(create_only, s, "runs", 5, {.capacity = 2});
        auto const          kept   = places.make(long_text).value();
        std::uint64_t const before = used_bytes(s);
        for (int const at : {5, 6, 9})
        {
            for (int round = 0; round < 5; ++round)
            {
                ordered::made      = numbers(0, 5);
                ordered::throws_at = at;
                ordered::destroyed.clear();
                BOOST_CHECK_THROW(static_cast<void>(places.make(long_text)), std::runtime_error);
                BOOST_TEST(ordered::destroyed == reversed(5, at));
                BOOST_TEST(places.statistics().outstanding == 1u);
            }
        }
        BOOST_TEST(used_bytes(s) == before);
        census_is(s, 1, 1);
        ordered::throws_at = -1;
        BOOST_TEST(places.make(long_text).has_value());
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(objects_without_a_constructor_are_zeroed_each_time)
{
    array_pool<std::uint64_t> places(create_only, s, "numbers", 1000, {.capacity = 1});
    for (int round = 0; round < 3; ++round)
    {
        auto const run = places.make().value();
        for (std::uint64_t& number : places.objects(run))
        {
            BOOST_REQUIRE(number == 0u);
            number = ~std::uint64_t{0};
        }
    }
    auto const run = places.make(7u).value();
    BOOST_TEST(run[999] == 7u);
}

BOOST_AUTO_TEST_CASE(objects_lie_as_their_type_is_aligned)
{
    array_pool<odd>                places(create_only, s, "odd", 3, {.capacity = 3});
    std::vector<shared_ptr<odd[]>> runs;
    for (int n = 0; n < 3; ++n)
    {
        runs.push_back(places.make().value());
        for (odd const& object : places.objects(runs.back()))
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(&object) % 64 == 0u);
    }
    array_pool<char> padded(create_only, s, "padded", 3, {.capacity = 3, .padded = true});
    auto const       one = padded.make('a').value();
    auto const       two = padded.make('b').value();
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(one.get()) % 64 == 0u);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(two.get()) % 64 == 0u);
    BOOST_TEST(one[2] == 'a');
}

BOOST_AUTO_TEST_CASE(another_length_or_type_is_refused_with_both_sides_in_the_message)
{
    array_pool<int> const runs(create_only, s, "runs", 4);
    auto const            says = [](auto const& open, std::string const& there, std::string const& wanted) {
        try
        {
            open();
            BOOST_ERROR("opened");
        }
        catch (system_error const& e)
        {
            std::string const text = e.what();
            BOOST_TEST(e.code() == errc::type_mismatch);
            BOOST_TEST((text.find(there) != std::string::npos), text << " does not say " << there);
            BOOST_TEST((text.find(wanted) != std::string::npos), text << " does not say " << wanted);
        }
    };
    says([&] { array_pool<int> const p(open_only, s, "runs", 5); }, "pool of arrays of int[4] (16 bytes",
         ", not pool of arrays of int[5] (20 bytes");
    says([&] { array_pool<unsigned> const p(open_or_create, s, "runs", 4); }, "pool of arrays of int[4]",
         ", not pool of arrays of unsigned int[4]");
    says([&] { pool<int> const p(open_or_create, s, "runs"); }, "pool of arrays of int[4]",
         ", not pool of int (4 bytes");
    BOOST_TEST(code_of([&] { array_pool<int> const p(create_only, s, "runs", 4); }) == errc::already_exists);
    BOOST_TEST(info_of(s, "runs")->holders == 1u);
}

BOOST_AUTO_TEST_CASE(lengths_and_capacities_that_cannot_be_are_refused_and_leave_nothing)
{
    auto const code = [&](std::size_t length, std::size_t capacity) {
        return code_of([&] { array_pool<node> const p(open_or_create, s, "runs", length, {.capacity = capacity}); });
    };
    for (int n = 0; n < 20; ++n)
    {
        BOOST_TEST(code(0, 1) == errc::invalid_argument);
        BOOST_TEST(code(1, 0) == errc::invalid_argument);
        BOOST_TEST(code(~std::size_t{0}, 1) == errc::too_large);
        BOOST_TEST(code(std::size_t{1} << 40, std::size_t{1} << 20) == errc::too_large);
        BOOST_TEST(code(1000, std::size_t{1} << 20) == errc::out_of_memory);
        BOOST_TEST(code_of([&] { array_pool<node> const p(open_only, s, "runs", 0); }) == errc::not_found);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_run_is_destroyed_in_reverse_in_the_process_that_drops_it_last)
{
    {
        array_pool<ordered>       places(create_only, s, "runs", 5, {.capacity = 2});
        named<first_of_run> const found(create_only, s, "first");
        auto                      run = places.make(long_text).value();
        found->object                 = shared_ptr<ordered>(run, run.get());
        BOOST_TEST(run.use_count() == 2u);
        run.reset();
        child c("dropper", {name});
        c.wait_for_line("drops", 30s);
        for (char const* const line : {"4", "3", "2", "1", "0", "done"})
            BOOST_TEST(c.line(30s).value_or("nothing") == line);
        BOOST_TEST(c.wait(30s) == exited(0));
        BOOST_TEST(ordered::destroyed.empty());
        BOOST_TEST(places.statistics().outstanding == 0u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_run_cut_off_in_the_middle_is_reclaimed_as_it_is)
{
    child c = ready_child("lingerer", {name});
    BOOST_TEST(census_of(s) == (census{1, 0, 1, 4, 4})); // the node, by the child and three objects
    c.kill();
    auto const report = s.recover(10s).value();
    BOOST_TEST(report.references_released == 4u);
    BOOST_TEST(report.objects_abandoned == 1u);
    BOOST_TEST(report.objects_destroyed == 1u + 1u); // the node, and the pool
    BOOST_TEST(!info_of(s, "runs"));
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
