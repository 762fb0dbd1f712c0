/// Guarded values inside a guarded value that gets torn: all works again after a rebuild, and what the inner ones had
/// goes with the named object.
#include <atrium/memory/guarded.hpp>

#include "memory/memory_fixture.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const* long_text = "a text that is too long to lie in the string itself";

using texts      = vector<string>;
using safe_texts = guarded<texts>;

// A guarded value, and memory that is not guarded further.
struct nest
{
    using allocator_type = allocator<std::byte>;
    explicit nest(std::allocator_arg_t, allocator_type const& a) : inner(std::allocator_arg, a), own(a) {}
    safe_texts inner;
    texts      own;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<nest> = true;

namespace {

using safe_nest = guarded<nest>;

// To be killed with the outer value in its hands, with the inner one, or with both.
ATRIUM_TEST_ROLE(nest_tearer)
{
    segment const          s(open_only, arguments.at(0));
    named<safe_nest> const object(open_only, s, "nest");
    std::string const&     what  = arguments.at(1);
    std::optional          outer = object->lock(30s).value();
    safe_texts&            of    = (*outer)->inner;
    if (what == "inner")
        outer.reset();
    else
        (*outer)->own.emplace_back(long_text);
    if (what != "outer")
    {
        auto inner = of.lock(30s).value();
        inner->pop_back();
        inner->emplace_back(long_text);
        be_ready_until_told();
    }
    else
        be_ready_until_told();
    return 0;
}

struct one_segment : leaves_nothing
{
    std::string     name = unique_name("nested");
    segment         s{create_only, name, small_segment()};
    heap_statistics before = numbers();

    [[nodiscard]] heap_statistics numbers() const { return heap(s).statistics(5s).value(); }

    // Somebody dies with that, and is recovered for.
    void tear(std::string const& what)
    {
        child c = ready_child("nest_tearer", {name, what});
        c.kill();
        BOOST_TEST(s.recover(5s).has_value());
    }

    void uses(std::uint64_t bytes) const { heap_is_as_before(s, bytes); }

    // To the byte.
    void is_as_before() const
    {
        BOOST_TEST(heap(s).check(5s) == "");
        BOOST_TEST(numbers().capacity == before.capacity);
        BOOST_TEST(numbers().used_blocks == before.used_blocks);
        BOOST_TEST(numbers().free_bytes == before.free_bytes);
    }
};

// Gives both values texts. \returns what the inner one's cost, in bytes
std::uint64_t fill(segment const& s, safe_nest& all)
{
    auto const          outer = all.lock(5s).value();
    std::uint64_t const empty = used_bytes(s);
    for (int n = 0; n < 4; ++n)
        outer->inner.lock(5s).value()->emplace_back(long_text);
    std::uint64_t const of_inner = used_bytes(s) - empty;
    for (int n = 0; n < 4; ++n)
        outer->own.emplace_back(long_text);
    return of_inner;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_guarded_nested, one_segment)

BOOST_AUTO_TEST_CASE(what_was_inside_a_torn_value_goes_with_the_object_and_not_with_the_rebuild)
{
    for (std::string const torn : {"outer", "both"})
    {
        {
            named<safe_nest> const object(create_only, s, "nest");
            std::uint64_t const    fresh = used_bytes(s);
            std::uint64_t          left  = 0;
            for (int turn = 0; turn < 3; ++turn)
            {
                left += fill(s, *object);
                tear(torn);
                BOOST_TEST(object->lock(5s).error() == errc::owner_died);
                auto outer = object->lock_for_repair(5s).value();
                outer.rebuild();
                uses(fresh + left); // what the outer value had itself is free
                BOOST_TEST(outer->own.empty());
                BOOST_TEST(outer->inner.lock(5s).value()->empty());
            }
            BOOST_TEST(fill(s, *object) > 0u);
            auto const outer = object->lock(5s).value();
            BOOST_TEST(outer->own.size() == 4u);
            BOOST_TEST((outer->inner.lock(5s).value()->at(3) == long_text));
        }
        is_as_before();
    }
}

BOOST_AUTO_TEST_CASE(a_torn_value_that_nobody_rebuilds_goes_with_all_that_was_inside)
{
    for (std::string const torn : {"outer", "both", "inner"})
    {
        {
            named<safe_nest> const object(create_only, s, "nest");
            fill(s, *object);
            tear(torn);
        }
        is_as_before();
    }
}

BOOST_AUTO_TEST_CASE(an_inner_value_that_is_torn_alone_is_rebuilt_alone)
{
    {
        named<safe_nest> const object(create_only, s, "nest");
        std::uint64_t const    fresh    = used_bytes(s);
        std::uint64_t const    of_inner = fill(s, *object);
        std::uint64_t const    full     = used_bytes(s);
        tear("inner");
        auto outer = object->lock(5s).value();
        BOOST_TEST(outer->inner.lock(5s).error() == errc::owner_died);
        BOOST_TEST(outer->inner.lock_or_rebuild(5s).value()->empty());
        uses(full - of_inner);
        BOOST_TEST(outer->own.size() == 4u);
        outer.rebuild(); // of what is whole: its destructor runs, and takes along what is inside
        uses(fresh);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_rebuild_of_what_is_whole_takes_a_torn_inner_value_along)
{
    {
        named<safe_nest> const object(create_only, s, "nest");
        std::uint64_t const    fresh = used_bytes(s);
        fill(s, *object);
        tear("inner");
        auto outer = object->lock(5s).value();
        outer.rebuild();
        uses(fresh);
        BOOST_TEST(outer->inner.lock(5s).value()->empty());
    }
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
