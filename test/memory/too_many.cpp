/// What an object has made as many of as its numbers last: refused, and nothing is lost by it.
#include "memory/memory_fixture.hpp"

#include <atrium/memory/detail/owner.hpp>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const*   long_text = "a text that is too long to lie in the string itself";
constexpr std::uint64_t last_sub  = detail::owner::ring_sub - 1; // the one above is that of rings

using safe_texts = guarded<vector<string>>;
using many_texts = map<int, safe_texts>;

detail::directory_entry& entry(segment const& in, std::uint32_t index)
{
    return detail::memory_of(*in.attached()).value()->entry(index);
}

// As if the entry's objects, one after the other, had drawn all numbers before this one.
void draw_up_to(segment const& in, std::uint32_t index, std::uint64_t sub)
{
    entry(in, index).next_sub.store(sub);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_too_many, leaves_nothing)

BOOST_AUTO_TEST_CASE(an_object_that_needs_more_sub_owners_than_there_are_is_not_made)
{
    segment const s(create_only, unique_name("owners"), small_segment());
    auto const    before = used_bytes(s);
    draw_up_to(s, 0, last_sub); // one for the object, none for what it guards
    BOOST_TEST(code_of([&] { named<safe_texts> const refused(create_only, s, "texts"); }) == errc::too_many_owners);
    BOOST_TEST(!info_of(s, "texts"));
    heap_is_as_before(s, before);
    {
        named<safe_texts> const made(create_only, s, "texts"); // in another entry: that one's numbers are used up
        BOOST_TEST(entry(s, 1).next_sub.load() == 2u);
        made->lock(10s).value()->emplace_back(long_text);
    }
    heap_is_as_before(s, before);
}

BOOST_AUTO_TEST_CASE(an_object_that_has_no_sub_owner_left_goes_on_with_those_it_has)
{
    segment const s(create_only, unique_name("owners"), small_segment());
    auto const    before = used_bytes(s);
    draw_up_to(s, 0, last_sub - 1);
    {
        named<many_texts> const all(create_only, s, "all");
        named<many_texts> const neighbour(create_only, s, "neighbour");
        (*all)[1].lock(10s).value()->emplace_back(long_text); // the last number
        auto const used = used_bytes(s);
        for (int n = 0; n < 3; ++n)
        {
            BOOST_TEST(code_of([&] { (*all)[2]; }) == errc::too_many_owners);
            BOOST_TEST(all->size() == 1u);
            heap_is_as_before(s, used);
        }
        auto access = (*all)[1].lock(10s).value();
        BOOST_TEST(access->at(0) == long_text);
        access.rebuild(); // needs none
        BOOST_TEST(access->empty());
        access->emplace_back(long_text);
        (*neighbour)[1].lock(10s).value()->emplace_back(long_text);
    }
    BOOST_TEST(!info_of(s, "all"));
    heap_is_as_before(s, before);
}

BOOST_AUTO_TEST_CASE(the_blocks_of_the_last_sub_owner_go_with_a_killed_process)
{
    segment    s(create_only, unique_name("owners"), small_segment());
    auto const before = used_bytes(s);
    draw_up_to(s, 0, last_sub - 1);
    child holder("holder_of_texts", {s.name()});
    holder.wait_for_line("ready", 30s);
    BOOST_TEST(entry(s, 0).next_sub.load() == last_sub + 1);
    BOOST_TEST(used_bytes(s) > before);
    holder.kill();
    BOOST_TEST(s.recover(10s).value().dead.size() == 1u);
    {
        named<safe_texts> const next(create_only, s, "next"); // knows the type, and so destroys what was left
    }
    heap_is_as_before(s, before);
}

BOOST_AUTO_TEST_CASE(entries_without_numbers_are_no_longer_to_be_had)
{
    auto places          = small_segment();
    places.named_objects = 4;
    segment const s(create_only, unique_name("owners"), places);
    auto const    before = used_bytes(s);
    auto const    count  = detail::memory_of(*s.attached()).value()->entry_count;
    for (std::uint32_t index = 0; index < count; ++index)
        draw_up_to(s, index, last_sub + 1);
    BOOST_TEST(code_of([&] { named<std::uint64_t> const refused(create_only, s, "number"); }) == errc::directory_full);
    draw_up_to(s, count - 1, last_sub);
    {
        named<std::uint64_t> const last(create_only, s, "number", 7u);
        BOOST_TEST(*last == 7u);
    }
    BOOST_TEST(code_of([&] { named<std::uint64_t> const refused(create_only, s, "number"); }) == errc::directory_full);
    heap_is_as_before(s, before);
}

BOOST_AUTO_TEST_SUITE_END()

// To be killed with texts in its hands.
ATRIUM_TEST_ROLE(holder_of_texts)
{
    segment const           s(open_only, arguments.at(0));
    named<safe_texts> const object(create_only, s, "texts");
    object->lock(10s).value()->emplace_back(long_text);
    say("ready");
    static_cast<void>(hear());
    return 0;
}
