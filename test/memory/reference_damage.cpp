/// Words of counted objects that somebody has damaged: who meets them gets an error, or goes on; nobody crashes, and
/// nothing beside them is written to.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_objects.hpp"
#include "memory/segment_cells.hpp"

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

detail::memory_state& memory_in(segment const& s)
{
    return *detail::memory_of(*s.attached()).value();
}

// Large, so that what lies behind the hints of a pool is its first element.
struct page
{
    std::array<std::uint64_t, 512> words = {};
};

constexpr std::size_t places = 10;

detail::object_table table_of_the_pool(segment const& s)
{
    detail::memory_state& memory = memory_in(s);
    for (std::uint32_t entry = 0; entry < memory.entry_count; ++entry)
    {
        if (auto const table = detail::pool_table(memory, entry))
            return *table;
    }
    throw std::runtime_error("there is no pool");
}

detail::object_table first_records(segment const& s)
{
    return *detail::record_chunk(memory_in(s), 0).value();
}

// The bits, and behind them the bits of their words.
std::uint64_t* hints_of(detail::object_table const& table)
{
    return reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::byte*>(&table.header()) +
                                            table.header().hints.load());
}

// What a program does: errors are its lot.
template <class Action> void try_to(Action const& action)
{
    try
    {
        action();
    }
    catch (system_error const&)
    {}
}

// All ways to change the count of an object, the last one included.
template <class T> void change_count_of(shared_ptr<T>& made, segment_ptr<T>& place)
{
    weak_ptr<T> const weak(made);
    try_to([&] { static_cast<void>(weak.lock()); });
    try_to([&] { place = made; });
    try_to([&] { static_cast<void>(place.share()); });
    made.reset();
    try_to([&] { place = nullptr; });
    static_cast<void>(weak.expired());
}

struct holders
{
    static constexpr bool is_shareable = true;
    segment_ptr<item>     of_item;
    segment_ptr<node>     of_node;
};

// Of every object of the table that is in use.
void damage_marks(detail::object_table const& table, std::uint64_t bits)
{
    for (std::uint64_t index = 0; index < table.capacity(); ++index)
    {
        detail::control_word& word = table.word(index);
        if (detail::look_at(word).value.state() == detail::object_state::live)
            word.mark.store(word.mark.load() | bits);
    }
}

ATRIUM_TEST_ROLE(meets_marks_of_nobody)
{
    auto const           bits = std::stoull(arguments.at(1), nullptr, 0);
    segment              s(create_only, arguments.at(0), small_segment());
    pool<item>           items(create_only, s, "items", {.capacity = places});
    named<holders> const place(create_only, s, "place");
    {
        auto element = items.make(1u).value();
        auto object  = make_shared<node>(s, 1u).value();
        damage_marks(table_of_the_pool(s), bits);
        damage_marks(first_records(s), bits);
        change_count_of(element, place->of_item);
        change_count_of(object, place->of_node);
    }
    try_to([&] { static_cast<void>(items.make(2u)); });
    try_to([&] { static_cast<void>(make_shared<node>(s, 2u)); });
    try_to([&] { static_cast<void>(s.recover(1s)); });
    return 0;
}

// Who finds such marks recovers for somebody else.
ATRIUM_TEST_ROLE(refers_and_waits)
{
    segment const        s(open_only, arguments.at(0));
    named<holders> const place(open_only, s, "place");
    auto const           element = place->of_item.share().value();
    auto const           object  = place->of_node.share().value();
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(recovers_beside_marks_of_nobody)
{
    auto const           bits = std::stoull(arguments.at(1), nullptr, 0);
    segment              s(create_only, arguments.at(0), small_segment());
    pool<item>           items(create_only, s, "items", {.capacity = places});
    named<holders> const place(create_only, s, "place");
    place->of_item = items.make(1u).value();
    place->of_node = make_shared<node>(s, 1u).value();
    child dies     = ready_child("refers_and_waits", {arguments.at(0)});
    damage_marks(table_of_the_pool(s), bits);
    damage_marks(first_records(s), bits);
    dies.kill();
    try_to([&] { static_cast<void>(s.recover(1s)); });
    return 0;
}

// Makes until there are no more, and writes to all of it.
void pages_are_the_pools(segment const& s, pool<page>& pages, std::size_t expected)
{
    auto const                    table = table_of_the_pool(s);
    std::vector<shared_ptr<page>> all;
    while (auto made = pages.make())
    {
        auto const* const at = reinterpret_cast<std::byte const*>(made->get());
        require(at >= table.place(0) && at < table.place(places), "an element of the pool");
        (*made)->words.fill(~std::uint64_t{0});
        all.push_back(std::move(*made));
    }
    require(all.size() == expected, "so many elements");
    require(heap(s).check(10s).empty(), "nothing else was written to");
}

ATRIUM_TEST_ROLE(meets_hints_of_places_behind_the_last)
{
    segment const s(create_only, arguments.at(0), small_segment());
    pool<page>    pages(create_only, s, "pages", {.capacity = places});
    auto* const   hints = hints_of(table_of_the_pool(s));
    hints[0] |= ~std::uint64_t{0};
    hints[1] |= 1;
    pages_are_the_pools(s, pages, places);
    pages_are_the_pools(s, pages, places);
    return 0;
}

ATRIUM_TEST_ROLE(meets_a_summary_of_words_behind_the_last)
{
    constexpr std::uint64_t value = 0x1234567;
    segment const           s(create_only, arguments.at(0), small_segment());
    pool<page>              pages(create_only, s, "pages", {.capacity = places});
    auto const              first = pages.make().value();
    auto* const             hints = hints_of(table_of_the_pool(s));
    std::uint64_t* const    there = first->words.data() + 10;
    auto const              word  = there - hints;
    require(word > 2 && word < 64, "the summary has a bit for it");
    *there = value;
    hints[1] |= std::uint64_t{1} << word;
    pages_are_the_pools(s, pages, places - 1);
    require(*there == value, "an element is whole");
    return 0;
}

ATRIUM_TEST_ROLE(meets_a_summary_of_words_behind_the_last_record)
{
    segment const                 s(create_only, arguments.at(0), small_segment());
    std::vector<shared_ptr<node>> all;
    while (all.size() < 40)
        all.push_back(make_shared<node>(s, all.size()).value());
    hints_of(first_records(s))[1] |= ~std::uint64_t{1};
    while (all.size() < 200)
        all.push_back(make_shared<node>(s, all.size()).value());
    for (std::size_t n = 0; n < all.size(); ++n)
        require(all[n]->value == n && all[n].use_count() == 1);
    require(reference_problems(s).empty(), reference_problems(s));
    all.clear();
    require(reference_problems(s).empty(), reference_problems(s));
    return 0;
}

ATRIUM_TEST_ROLE(meets_a_summary_of_words_behind_the_last_cell)
{
    segment const                  s(create_only, arguments.at(0), small_segment());
    auto const                     made = make_shared<node>(s, 1u).value();
    std::vector<segment_ptr<node>> all;
    all.reserve(300);
    while (all.size() < 60)
        all.emplace_back(made);
    auto* const hints =
        reinterpret_cast<std::uint64_t*>(s.attached()->base() + memory_in(s).header->cell_chunks[0].load());
    hints[2] |= ~std::uint64_t{3};
    while (all.size() < 300)
        all.emplace_back(made);
    for (auto const& one : all)
        require(one.share().has_value());
    require(made.use_count() == all.size() + 1);
    all.clear();
    require(made.use_count() == 1);
    return 0;
}

ATRIUM_TEST_ROLE(uses_a_pool_that_lost_its_peaks)
{
    segment const s(create_only, arguments.at(0), small_segment());
    pool<item>    items(create_only, s, "items", {.capacity = places});
    auto          one = items.make(1u).value();
    table_of_the_pool(s).header().peaks.store(0);
    one.reset();
    try_to([&] { static_cast<void>(items.make(2u)); });
    try_to([&] { static_cast<void>(items.statistics()); });
    try_to([&] {
        pool<item> again(open_only, s, "items");
        static_cast<void>(again.make(3u));
        static_cast<void>(again.statistics());
    });
    return 0;
}

ATRIUM_TEST_ROLE(leaves_a_pool_without_peaks)
{
    auto options = small_segment();
    options.keep = true;
    segment const    s(create_only, arguments.at(0), options);
    pool<item> const items(create_only, s, "items", {.capacity = places, .keep = true});
    table_of_the_pool(s).header().peaks.store(0);
    return 0;
}

ATRIUM_TEST_ROLE(opens_a_pool_without_peaks)
{
    segment const s(open_only, arguments.at(0));
    try_to([&] {
        pool<item> items(open_only, s, "items");
        static_cast<void>(items.make(1u));
        static_cast<void>(items.statistics());
    });
    return 0;
}

// Plays these roles one after the other in a segment of their own: nobody else is to meet what they have damaged.
struct damaged_segment : leaves_nothing
{
    damaged_segment() : name(unique_name("damaged")) {}
    damaged_segment(damaged_segment const&)            = delete;
    damaged_segment& operator=(damaged_segment const&) = delete;
    ~damaged_segment() { static_cast<void>(segment::remove(name, true)); }

    void is_survived_by(std::string const& role, std::string const& how = {}) const
    {
        child c(role, {name, how});
        BOOST_TEST(c.wait(60s) == exited(0));
    }

    std::string name;
};

// Lanes that are too many, and the one that marks have instead of none.
char const* const marks[] = {"0x8000", "0xffff", "0xff00", "0xffffffffffffffff"};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_damage, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_mark_of_a_lane_that_there_is_not_harms_nobody_who_changes_the_count)
{
    for (char const* mark : marks)
        damaged_segment().is_survived_by("meets_marks_of_nobody", mark);
}

BOOST_AUTO_TEST_CASE(a_mark_of_a_lane_that_there_is_not_harms_nobody_who_recovers)
{
    for (char const* mark : marks)
        damaged_segment().is_survived_by("recovers_beside_marks_of_nobody", mark);
}

BOOST_AUTO_TEST_CASE(a_hint_at_a_place_that_a_pool_has_not_makes_no_element)
{
    damaged_segment().is_survived_by("meets_hints_of_places_behind_the_last");
}

BOOST_AUTO_TEST_CASE(a_summary_of_words_that_a_pool_has_not_changes_no_element)
{
    damaged_segment().is_survived_by("meets_a_summary_of_words_behind_the_last");
}

BOOST_AUTO_TEST_CASE(a_summary_of_words_that_the_heap_has_not_changes_no_object)
{
    damaged_segment().is_survived_by("meets_a_summary_of_words_behind_the_last_record");
}

BOOST_AUTO_TEST_CASE(a_summary_of_words_that_the_cells_have_not_changes_no_reference)
{
    damaged_segment().is_survived_by("meets_a_summary_of_words_behind_the_last_cell");
}

BOOST_AUTO_TEST_CASE(a_pool_that_loses_its_peaks_harms_nobody_who_has_it_open)
{
    damaged_segment().is_survived_by("uses_a_pool_that_lost_its_peaks");
}

BOOST_AUTO_TEST_CASE(a_pool_without_peaks_harms_nobody_who_opens_it)
{
    damaged_segment const now;
    now.is_survived_by("leaves_a_pool_without_peaks");
    now.is_survived_by("opens_a_pool_without_peaks");
}

BOOST_AUTO_TEST_SUITE_END()
