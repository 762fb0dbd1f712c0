/// Pools as one program sees them: what is made, refused, found and counted.
#include <atrium/pool/pool.hpp>

#include "memory/counted_fixture.hpp"
#include "pool/places.hpp"

#include <array>
#include <set>
#include <stdexcept>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

struct first_version
{
    std::uint64_t number = 0;
};
struct second_version
{
    std::uint64_t number = 0;
};
struct alignas(256) wide
{
    std::byte bytes[300] = {};
};

/// Throws when told, with memory and another object in its hands.
struct throwing
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    throwing(std::allocator_arg_t, allocator_type const& a, shared_ptr<node> const& kept, bool told)
        : texts(a), inside(kept)
    {
        texts.emplace_back(long_text);
        if (told)
            throw std::runtime_error("told to");
    }

    vector<string>    texts;
    segment_ptr<node> inside;
};

} // namespace atrium::test

template <> struct atrium::type_identity<first_version>
{
    static constexpr std::string_view name    = "versioned";
    static constexpr std::uint32_t    version = 1;
};
template <> struct atrium::type_identity<second_version>
{
    static constexpr std::string_view name    = "versioned";
    static constexpr std::uint32_t    version = 2;
};

namespace {

// Makes five elements for others.
ATRIUM_TEST_ROLE(provider)
{
    segment const                          s(open_only, arguments.at(0));
    counted const                          all(s);
    pool<node>                             places(open_only, s, "nodes");
    named<vector<segment_ptr<node>>> const to(open_only, s, "elements");
    for (std::uint64_t n = 0; n < 5; ++n)
        to->emplace_back(places.make(n).value());
    be_ready_until_told();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("pool") {}

    /// What opening by that name says when it refuses.
    template <class Open> static std::string refusal(Open const& open)
    {
        try
        {
            open();
        }
        catch (system_error const& e)
        {
            BOOST_TEST(e.code() == errc::type_mismatch);
            return e.what();
        }
        return "opened";
    }

    static void says(std::string const& text, char const* part)
    {
        BOOST_TEST((text.find(part) != std::string::npos), text << " does not say " << part);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_pool, one_segment)

BOOST_AUTO_TEST_CASE(it_has_as_many_elements_as_its_capacity)
{
    {
        pool<node> places(create_only, s, "nodes", {.capacity = 10});
        BOOST_TEST(places.capacity() == 10u);
        for (int round = 0; round < 3; ++round)
            every_place_can_be_had(places, 10);
        auto const one = places.make(5u).value();
        BOOST_TEST(one->value == 5u);
        BOOST_TEST(one.use_count() == 1u);
        auto const now = places.statistics();
        BOOST_TEST(now.capacity == 10u);
        BOOST_TEST(now.outstanding == 1u);
        BOOST_TEST(now.available == 9u);
        BOOST_TEST(now.pending == 0u);
        every_place_can_be_had(places, 9);
        BOOST_TEST(all->constructed.load() == 40u);
        BOOST_TEST(all->destruction_ended.load() == 39u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_million_trivial_elements_go_in_and_out)
{
    {
        constexpr std::size_t                  size = 1'000'000;
        pool<std::uint64_t>                    places(create_only, s, "numbers", {.capacity = size});
        std::vector<shared_ptr<std::uint64_t>> made;
        for (int round = 0; round < 2; ++round)
        {
            for (std::uint64_t n = 0; n < size; ++n)
                made.push_back(places.make(n).value());
            BOOST_TEST(places.make().error() == errc::exhausted);
            BOOST_TEST(*made[size / 3] == size / 3);
            made.clear();
            BOOST_TEST(places.statistics().available == size);
        }
        BOOST_TEST(*places.make().value() == 0u); // without arguments: zeroed
    }
    census_is(s, 0, 0); // the cells that so many took stay this process's
    BOOST_TEST(heap(s).check(10s) == "");
}

BOOST_AUTO_TEST_CASE(what_it_cannot_be_made_with_is_refused_and_leaves_nothing)
{
    auto const code = [&](std::string const& called, pool_options const& options) {
        return code_of([&] { pool<node> const p(open_or_create, s, called, options); });
    };
    for (int n = 0; n < 20; ++n)
    {
        BOOST_TEST(code("nodes", {.capacity = 0}) == errc::invalid_argument);
        BOOST_TEST(code("nodes", {.capacity = std::size_t{1} << 40}) == errc::too_large);
        BOOST_TEST(code("nodes", {.capacity = ~std::size_t{0}}) == errc::too_large);
        BOOST_TEST(code("nodes", {.capacity = std::size_t{1} << 27}) == errc::out_of_memory);
        BOOST_TEST(code("", {}) == errc::name_invalid);
        BOOST_TEST(code_of([&] { pool<node> const p(open_only, s, "nodes"); }) == errc::not_found);
    }
    is_as_before();
    pool<node> const places(create_only, s, "nodes");
    BOOST_TEST(code_of([&] { pool<node> const p(create_only, s, "nodes"); }) == errc::already_exists);
}

BOOST_AUTO_TEST_CASE(another_type_is_refused_with_both_sides_in_the_message)
{
    pool<first_version> const places(create_only, s, "camera");
    auto const                version = refusal([&] { pool<second_version> const p(open_only, s, "camera"); });
    says(version, "pool of versioned (8 bytes, alignment 8, version");
    says(version, ", not pool of versioned (8 bytes, alignment 8, version");
    auto const type = refusal([&] { pool<node> const p(open_or_create, s, "camera"); });
    says(type, "pool of versioned (8 bytes");
    says(type, ", not pool of atrium::test::node (");
    auto const named_one = refusal([&] { named<first_version> const n(open_or_create, s, "camera"); });
    says(named_one, "pool of versioned (8 bytes");
    says(named_one, ", not versioned (8 bytes");
    named<second_version> const object(create_only, s, "object");
    auto const                  pool_of = refusal([&] { pool<second_version> const p(open_or_create, s, "object"); });
    says(pool_of, "versioned (8 bytes, alignment 8, version 2)");
    says(pool_of, ", not pool of versioned");
    BOOST_TEST(info_of(s, "camera")->holders == 1u); // nobody who was refused holds it
}

BOOST_AUTO_TEST_CASE(who_opens_it_takes_what_is_there)
{
    pool<node> made(create_only, s, "nodes", {.capacity = 7, .padded = true});
    pool<node> opened(open_or_create, s, "nodes", {.capacity = 70});
    BOOST_TEST(opened.capacity() == 7u);
    auto const element = made.make(3u).value();
    BOOST_TEST(opened.statistics().outstanding == 1u);
    every_place_can_be_had(opened, 6);
}

BOOST_AUTO_TEST_CASE(elements_lie_as_their_type_or_the_options_say)
{
    {
        pool<wide> places(create_only, s, "wide", {.capacity = 3});
        for (auto const& element : std::array{places.make().value(), places.make().value(), places.make().value()})
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(element.get()) % 256 == 0u);
        pool<first_version>                    close(create_only, s, "close", {.capacity = 64});
        pool<first_version>                    apart(create_only, s, "apart", {.capacity = 64, .padded = true});
        std::vector<shared_ptr<first_version>> made;
        std::set<std::uintptr_t>               lines;
        for (int n = 0; n < 64; ++n)
        {
            made.push_back(apart.make().value());
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(made.back().get()) % 64 == 0u);
            made.push_back(close.make().value());
            lines.insert(reinterpret_cast<std::uintptr_t>(made.back().get()) / 64);
        }
        BOOST_TEST(lines.size() == 8u); // eight bytes each
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_gives_the_place_back)
{
    {
        pool<throwing> places(create_only, s, "throwing", {.capacity = 3});
        auto const     kept   = make_shared<node>(s).value();
        auto const     one    = places.make(kept, false).value();
        std::uint64_t  before = used_bytes(s);
        for (int n = 0; n < 20; ++n)
        {
            BOOST_CHECK_THROW(static_cast<void>(places.make(kept, true)), std::runtime_error);
            BOOST_TEST(places.statistics().outstanding == 1u);
            census_is(s, 2, 3);
        }
        BOOST_TEST(used_bytes(s) == before);
        auto const second = places.make(kept, false).value();
        auto const third  = places.make(kept, false).value();
        BOOST_TEST(places.make(kept, true).error() == errc::exhausted);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(the_low_water_mark_never_promises_more_than_there_was)
{
    pool<node> places(create_only, s, "nodes", {.capacity = 40});
    BOOST_TEST(places.statistics().low_water == 40u);
    {
        std::vector<shared_ptr<node>> made;
        for (int n = 0; n < 7; ++n)
            made.push_back(places.make().value());
        BOOST_TEST(places.statistics().low_water == 33u);
    }
    for (int n = 0; n < 100; ++n)
        BOOST_TEST(places.make().has_value());
    BOOST_TEST(places.statistics().low_water == 33u); // not fewer since
    {
        named<vector<segment_ptr<node>>> const elements(create_only, s, "elements");
        for (std::size_t n = 1; n <= 4; ++n) // one process after the other, with the same lane
        {
            child c = ready_child("provider", {name});
            if (n == 2)
                c.kill();
            else
                let_end(c);
            BOOST_TEST(s.recover(10s).has_value());
            BOOST_TEST(places.statistics().outstanding == 5 * n);
            BOOST_TEST(places.statistics().low_water <= 40 - 5 * n);
        }
    }
    BOOST_TEST(places.statistics().available == 40u);
    BOOST_TEST(places.statistics().low_water <= 20u);
}

BOOST_AUTO_TEST_SUITE_END()
