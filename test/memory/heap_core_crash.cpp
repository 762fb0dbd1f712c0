#include "memory/block_change.hpp"
#include "memory/heap_crash_driver.hpp"
#include "memory/heap_fixture.hpp"

using namespace atrium;
using namespace atrium::detail;
using namespace atrium::test;

namespace {

using preparation = void (*)(scenario& it, std::mt19937_64& random);

/// Does it on an empty heap and on random ones; on the first few with the full product of deaths.
void on_many_heaps(preparation prepare)
{
    unsigned deaths = 0;
    for (std::uint64_t seed = 0; seed != 8; ++seed)
    {
        std::mt19937_64 random(seed);
        scenario        it;
        if (seed != 0)
            it.kept = make_random_heap(it.arena, random, 25);
        prepare(it, random);
        deaths += kill_everywhere(it, seed < 2, static_cast<unsigned>(seed) * 3);
    }
    BOOST_TEST_MESSAGE(deaths << " deaths");
}

operation allocating(std::uint64_t size, std::uint64_t alignment)
{
    return [=](heap_core core) { require(core.allocate(size, alignment, survivor).has_value()); };
}

operation pushing(known_block const& block)
{
    return [=](heap_core core) { require(core.push_free(block.payload, block.of, victim).has_value()); };
}

operation draining(std::uint64_t limit)
{
    return [=](heap_core core) { require(core.drain(limit).has_value()); };
}

/// Blocks side by side: `count` of them of that size, cut from the last free block of the heap.
std::vector<known_block> make_row(scenario& it, unsigned count, std::uint64_t size)
{
    BOOST_TEST_REQUIRE(it.arena.core().drain().has_value());
    BOOST_TEST_REQUIRE(it.arena.core().extend(it.arena.core().end() + count * (size + 32)).has_value());
    std::vector<known_block> row;
    while (row.size() != count)
    {
        auto const block = make_block(it.arena, size);
        if (!row.empty() && block.payload != row.back().payload + size + 16)
            it.kept.insert(it.kept.end(), row.begin(), row.end()), row.clear();
        row.push_back(block);
    }
    return row;
}

void give_back_and_merge(scenario const& it, known_block const& block)
{
    give_back(it.arena, block);
    BOOST_TEST_REQUIRE(it.arena.core().drain().has_value());
}

/// The middle one of three is given back and merged; bit 0 of `Free`: the left one is free already, bit 1: the right.
template <unsigned Free> void prepare_merge(scenario& it, std::mt19937_64& random)
{
    auto const row = make_row(it, 5, 48 + random() % 4 * 16);
    it.kept.push_back(row[0]);
    it.kept.push_back(row[4]);
    for (unsigned const side : {0u, 1u})
        if ((Free >> side & 1) != 0)
            give_back_and_merge(it, row[1 + 2 * side]);
        else
            it.kept.push_back(row[1 + 2 * side]);
    it.steps = {pushing(row[2]), draining(~std::uint64_t{0})};
}

/// What only the free memory can serve: nothing given back is left.
template <std::uint64_t Size, std::uint64_t Alignment> void prepare_allocate(scenario& it, std::mt19937_64&)
{
    BOOST_TEST_REQUIRE(it.arena.core().drain().has_value());
    it.steps = {allocating(Size, Alignment)};
}

void prepare_exact_fit(scenario& it, std::mt19937_64&)
{
    auto const row = make_row(it, 3, 208);
    it.kept.push_back(row[0]);
    it.kept.push_back(row[2]);
    give_back_and_merge(it, row[1]);
    it.steps = {allocating(208, 16)};
}

void prepare_reuse(scenario& it, std::mt19937_64&)
{
    auto const row = make_row(it, 2, 400);
    it.kept.push_back(row[0]);
    give_back(it.arena, row[1]);
    it.steps = {allocating(400, 16)};
}

void prepare_allocate_while_draining(scenario& it, std::mt19937_64& random)
{
    for (auto const& block : make_row(it, 12, 64))
        random() % 3 != 0 ? give_back(it.arena, block) : it.kept.push_back(block);
    it.steps = {allocating(100, 64), allocating(1000, 16), allocating(64, 16)};
}

/// Only what was given back, merged, has room.
void prepare_short_memory(scenario& it, std::mt19937_64&)
{
    BOOST_TEST_REQUIRE(it.arena.core().drain().has_value());
    std::vector<known_block> small;
    while (auto const payload = it.arena.core().allocate(480, 16, survivor))
        it.arena.fill(small.emplace_back(known_block{*payload, 480, survivor}));
    std::ranges::sort(small, {}, &known_block::payload);
    for (std::size_t i = 0; i != small.size(); ++i)
        i + 12 < small.size() ? it.kept.push_back(small[i]) : give_back(it.arena, small[i]);
    it.steps = {allocating(2000, 16)};
}

void prepare_push(scenario& it, std::mt19937_64&)
{
    auto const row = make_row(it, 2, 64);
    it.kept.push_back(row[0]);
    it.steps = {pushing(row[1])};
}

void prepare_drain(scenario& it, std::mt19937_64& random)
{
    for (auto const& block : make_row(it, 20, 80))
        random() % 3 == 0 ? it.kept.push_back(block) : give_back(it.arena, block);
    it.steps = {draining(3), draining(~std::uint64_t{0})};
}

template <bool LastIsFree> void prepare_extend(scenario& it, std::mt19937_64&)
{
    while (auto const payload = it.arena.core().allocate(16, 16, survivor))
        it.arena.fill(it.kept.emplace_back(known_block{*payload, 16, survivor}));
    auto const row = make_row(it, 2, 3008);
    if (LastIsFree)
        it.kept.push_back(row[0]), give_back_and_merge(it, row[1]);
    else
        it.kept.insert(it.kept.end(), row.begin(), row.end());
    it.steps = {[](heap_core core) { require(core.extend(core.end() + 4096).has_value()); }};
}

void prepare_change_of_owner(scenario& it, std::mt19937_64&)
{
    auto const row = make_row(it, 1, 64);
    it.steps       = {[block = row[0]](heap_core core) {
        require(core.change_owner(block.payload, block.of, owner::library(3)).has_value());
    }};
}

/// Blocks of the owner that goes, among others, and one that is marked and not yet on the stack.
void prepare_reclaim(scenario& it, std::mt19937_64& random)
{
    for (auto const& block : make_row(it, 14, 80))
        if (random() % 3 == 0)
            it.kept.push_back(block);
        else
            BOOST_TEST_REQUIRE(
                it.arena.core()
                    .change_owner(block.payload, survivor, owner::object(object_id::in_heap(9), random() % 3))
                    .has_value());
    auto const  marked = make_block(it.arena, 500);
    auto* const tag    = reinterpret_cast<atomic<std::uint64_t>*>(it.arena.base() + marked.payload - 8);
    tag->store(block_tag::freeing(victim).word());
    it.steps = {[](heap_core core) { require(core.reclaim(victim, goes).has_value()); }};
}

void prepare_other_words(scenario& it, std::mt19937_64&)
{
    auto const row = make_row(it, 1, 64);
    it.kept.push_back(row[0]);
    it.steps = {[words = reinterpret_cast<atomic<std::uint64_t>*>(it.arena.base() + row[0].payload)](heap_core core) {
        // Not committed: also without a death nothing of it stays.
        auto changes = core.begin_transaction();
        for (unsigned i = 0; i != 20; ++i)
            changes.write(words[i * 5 % 8], i);
    }};
}

} // namespace

BOOST_AUTO_TEST_CASE(allocation_from_the_free_memory_happens_whole_or_not)
{
    on_many_heaps(prepare_allocate<24, 16>);
    on_many_heaps(prepare_allocate<700, 16>);
    on_many_heaps(prepare_allocate<0, 1>);
}

BOOST_AUTO_TEST_CASE(aligned_allocation_happens_whole_or_not)
{
    on_many_heaps(prepare_allocate<100, 64>);
    on_many_heaps(prepare_allocate<40, 1024>);
    on_many_heaps(prepare_allocate<4096, 4096>);
}

BOOST_AUTO_TEST_CASE(exact_fit_and_reuse_happen_whole_or_not)
{
    on_many_heaps(prepare_exact_fit);
    on_many_heaps(prepare_reuse);
}

BOOST_AUTO_TEST_CASE(allocation_from_what_was_given_back_happens_whole_or_not)
{
    on_many_heaps(prepare_short_memory);
    on_many_heaps(prepare_allocate_while_draining);
}

BOOST_AUTO_TEST_CASE(giving_back_happens_whole_or_not)
{
    on_many_heaps(prepare_push);
    on_many_heaps(prepare_merge<0>);
    on_many_heaps(prepare_merge<1>);
    on_many_heaps(prepare_merge<2>);
    on_many_heaps(prepare_merge<3>);
    on_many_heaps(prepare_drain);
}

BOOST_AUTO_TEST_CASE(growth_happens_whole_or_not)
{
    on_many_heaps(prepare_extend<false>);
    on_many_heaps(prepare_extend<true>);
}

BOOST_AUTO_TEST_CASE(reclaiming_can_be_taken_up_by_the_next_one)
{
    on_many_heaps(prepare_reclaim);
}

BOOST_AUTO_TEST_CASE(no_transaction_of_the_heap_records_more_than_was_proven)
{
    heap_arena const arena(64 << 10, 64 << 10);
    watched = &arena.header().undo;
    std::mt19937_64          random(3);
    std::vector<known_block> known;
    count_points(arena, [&](heap_core core) {
        for (unsigned i = 0; i != 20'000; ++i)
            if (auto const size = random() % 3000; random() % 2 == 0 && known.size() < 100)
            {
                if (auto const payload = core.allocate(size, std::uint64_t{1} << random() % 9, survivor))
                    known.push_back({*payload, size, survivor});
            }
            else if (!known.empty())
            {
                std::swap(known[random() % known.size()], known.back());
                require(core.push_free(known.back().payload, survivor, survivor).has_value());
                known.pop_back();
            }
    });
    watched = nullptr;
    BOOST_TEST_MESSAGE("most records: " << most_records);
    BOOST_TEST(most_records > 10u);
    BOOST_TEST(most_records <= block_change::writes_per_transaction);
    BOOST_TEST(arena.core().check() == "");
}

BOOST_AUTO_TEST_CASE(other_words_in_a_transaction_change_whole_or_not)
{
    on_many_heaps(prepare_change_of_owner);
    on_many_heaps(prepare_other_words);
}
