/// Objects in the heap of a segment: made whole or not at all, destroyed once, by whoever knows how.
#include <atrium/memory/make_shared.hpp>

#include "memory/counted_fixture.hpp"

#include <array>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <variant>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Has what objects can have; throws when `left` objects and blocks have been made in it.
struct composite
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    composite(std::allocator_arg_t, allocator_type const& a, segment const& in, int left)
        : texts(a), by_name(a), nodes(a)
    {
        auto const step = [&] {
            if (left-- == 0)
                throw std::runtime_error("told to");
        };
        for (int n = 0; n < 3; ++n)
        {
            step();
            texts.emplace_back(40u + static_cast<unsigned>(n), 'x');
            step();
            auto const made = make_shared<node>(in, static_cast<std::uint64_t>(n)).value();
            step();
            nodes.emplace_back(made);
            step();
            by_name[texts.back()] = made;
        }
        step();
        counts->constructed.fetch_add(1);
    }
    composite(composite const&)            = delete;
    composite& operator=(composite const&) = delete;
    ~composite() { counts->destruction_ended.fetch_add(1); }

    static constexpr int steps = 13;

    vector<string>                 texts;
    map<string, segment_ptr<node>> by_name;
    list<segment_ptr<node>>        nodes;
};

template <std::size_t Alignment> struct alignas(Alignment) aligned
{
    std::byte bytes[Alignment + 1] = {};
};

/// Makes another as it goes, which refers to what it referred to.
struct phoenix
{
    static constexpr bool is_shareable = true;

    phoenix(segment const& with, int lives) noexcept : in(&with), left(lives) { counts->constructed.fetch_add(1); }
    phoenix(phoenix const&)            = delete;
    phoenix& operator=(phoenix const&) = delete;
    ~phoenix()
    {
        if (left != 0)
            make_shared<phoenix>(*in, *in, left - 1).value()->heir = std::move(heir);
        counts->destruction_ended.fetch_add(1);
    }

    boost::interprocess::offset_ptr<segment const> in; // used by the process that made it only
    int                                            left;
    segment_ptr<node>                              heir;
};

/// In a role, says so at the end of its constructor or at the beginning of its destructor, and stays there.
struct lingering
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    lingering(std::allocator_arg_t, allocator_type const& a, shared_ptr<node> const& kept, bool in_constructor)
        : texts(a), inside(kept)
    {
        texts.emplace_back(long_text);
        if (in_constructor)
            be_ready_until_told();
    }
    lingering(lingering const&)            = delete;
    lingering& operator=(lingering const&) = delete;
    ~lingering() { be_ready_until_told(); }

    vector<string>    texts;
    segment_ptr<node> inside;
};

} // namespace atrium::test

namespace {

ATRIUM_TEST_ROLE(lingerer)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    auto const    kept   = make_shared<node>(s).value();
    auto          object = make_shared<lingering>(s, kept, arguments.at(1) == "constructor").value();
    object.reset();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("make_shared") {}

    template <std::size_t Alignment> void makes_aligned()
    {
        auto const object = make_shared<aligned<Alignment>>(s).value();
        auto const other  = make_shared<aligned<Alignment>>(s).value();
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(object.get()) % Alignment == 0u);
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(other.get()) % Alignment == 0u);
        BOOST_TEST((object != other));
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_make_shared, one_segment)

BOOST_AUTO_TEST_CASE(objects_are_made_of_the_arguments_with_an_allocator_of_their_own)
{
    {
        auto const text = make_shared<string>(s, long_text).value();
        BOOST_TEST((*text == long_text));
        BOOST_TEST(s.attached()->contains(text->data()));
        auto const numbers = make_shared<vector<int>>(s, 3u, 7).value();
        BOOST_TEST(numbers->at(2) == 7);
        BOOST_TEST(make_shared<std::uint64_t>(s).value().use_count() == 1u);
        BOOST_TEST(*make_shared<std::uint64_t>(s).value() == 0u);
        BOOST_TEST((*atrium::make_shared<std::array<int, 4>>(s, std::array{1, 2, 3, 4}).value())[3] == 4);
        auto const whole = make_shared<composite>(s, s, -1).value();
        BOOST_TEST(whole->nodes.back()->value == 2u);
        census_is(s, 6, 9);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(types_of_the_standard_library_are_objects_with_all_their_parts)
{
    {
        auto const pair = atrium::make_shared<std::pair<int, string>>(s, 7, long_text).value();
        BOOST_TEST(pair->first == 7);
        BOOST_TEST((pair->second == long_text));
        BOOST_TEST(s.attached()->contains(pair->second.data()));
        auto const tuple = atrium::make_shared<std::tuple<int, double>>(s, 7, 0.5).value();
        BOOST_TEST(std::get<1>(*tuple) == 0.5);
        auto const pairs = atrium::make_shared<vector<std::pair<int, std::pair<string, int>>>>(s).value();
        pairs->emplace_back(1, std::pair<string, int>(long_text, 2));
        BOOST_TEST(s.attached()->contains(pairs->back().second.first.data()));
        auto const array = atrium::make_shared<std::array<segment_ptr<node>, 2>>(s).value();
        array->front()   = atrium::make_shared<node>(s).value();
        auto const maybe = atrium::make_shared<std::optional<std::pair<int, segment_ptr<node>>>>(s).value();
        maybe->emplace(7, array->front());
        auto const either = atrium::make_shared<std::variant<int, segment_ptr<node>>>(s).value();
        *either           = array->front();
        array->front()    = nullptr;
        BOOST_TEST(maybe->value().second.share().value().use_count() == 3u);
        census_is(s, 7, 8);
    }
    is_as_before();
    static_assert(depends_on_boost_layout<std::pair<int, string>>);
    static_assert(depends_on_boost_layout<std::tuple<int, std::optional<segment_ptr<node>>>>);
    static_assert(!depends_on_boost_layout<std::variant<int, std::array<int, 3>>>);
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_leaves_nothing)
{
    for (int round = 0; round < 10; ++round)
    {
        for (int left = 0; left < composite::steps; ++left)
        {
            BOOST_CHECK_THROW(static_cast<void>(make_shared<composite>(s, s, left)), std::runtime_error);
            census_is(s, 0, 0);
        }
    }
    is_as_before();
    BOOST_TEST(make_shared<composite>(s, s, composite::steps).has_value());
    is_as_before();
}

BOOST_AUTO_TEST_CASE(objects_lie_as_their_type_is_aligned)
{
    makes_aligned<32>();
    makes_aligned<64>();
    makes_aligned<128>();
    makes_aligned<1024>();
    makes_aligned<4096>();
    is_as_before();
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_leaves_nothing)
{
    using large = std::array<std::byte, (80u << 20)>;
    for (int n = 0; n < 100; ++n)
        BOOST_TEST(make_shared<large>(s).error() == errc::out_of_memory);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_segment_without_a_heap_or_for_looking_only_takes_none)
{
    std::string const name_of_flat = unique_name("flat");
    segment const     flat(create_only, name_of_flat, {.size = 64u << 10, .maximum_size = 64u << 10, .flat = true});
    BOOST_TEST(make_shared<node>(flat).error() == errc::flat_segment);
    segment const reader(open_read_only, name);
    BOOST_TEST(make_shared<node>(reader).error() == errc::read_only);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_destructor_may_make_objects)
{
    {
        auto first  = make_shared<phoenix>(s, s, 20).value();
        first->heir = make_shared<node>(s, 5u).value();
        weak_ptr<node> const heir(first->heir.share().value());
        first.reset();
        BOOST_TEST(heir.expired()); // all lives are over
    }
    BOOST_TEST(all->constructed.load() == 22u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(what_was_used_once_is_used_again)
{
    std::uint64_t most = 0;
    for (int round = 0; round < 4; ++round)
    {
        std::vector<shared_ptr<node>> objects;
        for (std::uint64_t n = 0; n < 5000; ++n)
            objects.push_back(make_shared<node>(s, n).value());
        std::uint64_t const now = heap(s).statistics(10s).value().used_blocks;
        if (round != 0)
            BOOST_TEST(now == most);
        most = now;
        census_is(s, 5000, 5000);
        BOOST_TEST(objects[4999]->value == 4999u);
    }
    census_is(s, 0, 0);
    BOOST_TEST(all->destruction_ended.load() == 20'000u);
    BOOST_TEST(heap(s).check(10s) == "");
}

BOOST_AUTO_TEST_CASE(an_object_cut_off_in_its_constructor_or_destructor_is_reclaimed)
{
    for (std::string const where : {"constructor", "destructor"})
    {
        child c = ready_child("lingerer", {name, where});
        BOOST_TEST(census_of(s) == (census{1, 0, 1, 2, 2}));
        c.kill();
        auto const report = s.recover(10s).value();
        BOOST_TEST(report.objects_abandoned == 1u);
        BOOST_TEST(report.objects_destroyed == 1u); // the node
        BOOST_TEST(report.objects_pending == 0u);
        is_as_before();
    }
}

BOOST_AUTO_TEST_SUITE_END()
