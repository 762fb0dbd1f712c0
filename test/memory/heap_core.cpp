#include "memory/heap_core.hpp"

#include "memory/heap_fixture.hpp"

#include <limits>

using namespace atrium;
using namespace atrium::detail;
using namespace atrium::test;

namespace {

/// Drains, compares everything with everything, and gives the numbers.
heap_numbers settled(heap_core core)
{
    BOOST_TEST_REQUIRE(core.drain().has_value());
    BOOST_TEST(core.check() == "");
    return numbers_of(core);
}

} // namespace

BOOST_AUTO_TEST_CASE(owners_and_tags_keep_what_they_are_made_of)
{
    constexpr auto p = owner::participant(4095, (std::uint64_t{1} << 48) - 1);
    static_assert(p.kind() == owner_kind::participant && p.row() == 4095 &&
                  p.incarnation() == (std::uint64_t{1} << 48) - 1);
    constexpr auto e = owner::directory_entry((1u << 28) - 1, 0xFFFFFFFF);
    static_assert(e.kind() == owner_kind::directory_entry && e.index() == (1u << 28) - 1 && e.sub() == 0xFFFFFFFF);
    static_assert(e.same_index(owner::directory_entry((1u << 28) - 1, 5)) && e != owner::directory_entry(1, 5));
    static_assert(!e.same_index(owner::object(object_id::in_heap((1u << 27) - 1), 5)));
    static_assert(!p.same_index(owner::participant(4095, 1)) && p.same_index(p));
    static_assert(owner::library(77).structure() == 77 && owner::unpack(p.packed()) == p);
    constexpr auto o = owner::object(object_id::in_pool(65534, (1u << 28) - 2), 65535);
    static_assert(o.kind() == owner_kind::object && o.as_object() == object_id::in_pool(65534, (1u << 28) - 2));
    static_assert(o.same_index(owner::object(o.as_object(), 0)) && o != owner::object(o.as_object(), 0));
    static_assert(!o.same_index(owner::object(object_id::in_heap((1u << 28) - 2), 65535)));
    static_assert(owner::object(object_id::in_heap(7), 1).as_object() == object_id::in_heap(7));
    static_assert(!owner::unpack(std::uint64_t{1} << 62));
    static_assert(block_tag::in_use(e).who() == e && block_tag::in_use(e).is_in_use(e));
    static_assert(block_tag::freeing(p).is_freeing(p) && !block_tag::freeing(p).is_in_use());
    static_assert(block_tag::free(123456 * 16).next_offset() == 123456 * 16 && block_tag::free(0).is_free());
    BOOST_TEST((!block_tag(0).is_free() && !block_tag(0).is_in_use() && !block_tag(0).is_freeing()));
}

BOOST_AUTO_TEST_CASE(every_size_is_in_a_class_that_is_found_for_it)
{
    std::mt19937_64 random(1);
    for (int i = 0; i != 100'000; ++i)
    {
        auto const size  = (random() >> (21 + random() % 40) << 4) + 32;
        auto const floor = class_of(size);
        auto const above = class_above(size);
        BOOST_TEST_REQUIRE((floor.row < heap_header::row_count && floor.column < heap_header::column_count));
        bool const not_below = above.row > floor.row || (above.row == floor.row && above.column >= floor.column);
        BOOST_TEST_REQUIRE(not_below);
        if (above != floor)
            BOOST_TEST_REQUIRE((class_of(size - 16) == floor || size % 32 != 0 || class_of(size + size / 32) != floor));
    }
}

BOOST_AUTO_TEST_CASE(a_new_heap_is_one_free_block_and_can_be_used_whole)
{
    heap_arena const arena;
    auto             core  = arena.core();
    auto const       empty = settled(core);
    BOOST_TEST(empty.used_bytes == 0u);
    BOOST_TEST(empty.capacity == (48u << 10) - heap_arena::begin - 16);

    auto const all = make_block(arena, empty.capacity - 16);
    BOOST_TEST(numbers_of(core).used_bytes == empty.capacity);
    BOOST_TEST((core.allocate(0, 1, survivor).error() == errc::out_of_memory));
    give_back(arena, all);
    BOOST_TEST(settled(core) == empty);
}

BOOST_AUTO_TEST_CASE(format_refuses_what_cannot_be_a_heap)
{
    heap_arena const arena;
    auto const       refused = [&](std::uint64_t header, std::uint64_t begin, std::uint64_t end) {
        auto const done = heap_core::format(arena.base(), header, begin, end);
        return !done && done.error() == errc::invalid_argument;
    };
    BOOST_TEST(refused(8, 12288, 49152));
    BOOST_TEST(refused(64, 12280, 49152));
    BOOST_TEST(refused(64, 12288, 49151));
    BOOST_TEST(refused(64, 12288, 12288 + 48));
    BOOST_TEST(refused(64, 49152, 12288));
    BOOST_TEST(heap_core::format(arena.base(), 64, 12288, 12288 + heap_core::minimum_capacity).has_value());
}

BOOST_AUTO_TEST_CASE(sizes_and_alignments_at_the_edges)
{
    heap_arena const arena(256 << 10, 256 << 10);
    auto             core  = arena.core();
    auto const       empty = settled(core);
    auto const       error = [&](std::uint64_t size, std::uint64_t alignment) {
        return core.allocate(size, alignment, survivor).error();
    };
    for (auto const huge :
         {std::numeric_limits<std::uint64_t>::max(), std::uint64_t{1} << 63, heap_core::maximum_size + 1})
        BOOST_TEST((error(huge, 16) == errc::too_large));
    BOOST_TEST((error(heap_core::maximum_size, 4096) == errc::out_of_memory));
    BOOST_TEST((error(1 << 20, 16) == errc::out_of_memory));
    for (auto const wrong : {0ull, 3ull, 24ull, 8192ull, ~0ull})
        BOOST_TEST((error(16, wrong) == errc::invalid_argument));

    std::vector<known_block> blocks;
    for (std::uint64_t alignment = 1; alignment <= 4096; alignment *= 2)
        for (std::uint64_t const size : {0u, 1u, 15u, 16u, 17u, 100u})
        {
            blocks.push_back(make_block(arena, size, alignment));
            BOOST_TEST(core.payload_size(blocks.back().payload).value() >= std::max<std::uint64_t>(size, 16));
            BOOST_TEST(core.check() == "");
        }
    for (auto const& block : blocks)
        give_back(arena, block);
    BOOST_TEST(settled(core) == empty);
}

BOOST_AUTO_TEST_CASE(giving_back_is_refused_to_all_but_the_owner_and_once)
{
    heap_arena const arena;
    auto             core    = arena.core();
    auto const       block   = make_block(arena, 64, 16, owner::directory_entry(5, 1));
    auto const       other   = make_block(arena, 64);
    auto const       refused = [&](std::uint64_t payload, owner of) {
        return core.push_free(payload, of, survivor).error() == errc::not_owned;
    };
    BOOST_TEST(refused(block.payload, survivor));
    BOOST_TEST(refused(block.payload, owner::directory_entry(5, 2)));
    BOOST_TEST(refused(block.payload + 8, block.of));
    BOOST_TEST(refused(block.payload + 16, block.of));
    for (std::uint64_t const wild : {0ull, 8ull, 16ull, 4096ull, 48ull << 10, 1ull << 40, ~0ull, ~15ull})
        BOOST_TEST(refused(wild, block.of));
    give_back(arena, block);
    BOOST_TEST(refused(block.payload, block.of));
    BOOST_TEST(settled(core).used_blocks == 1u);
    BOOST_TEST(refused(block.payload, block.of));
    give_back(arena, other);
    BOOST_TEST(settled(core).used_blocks == 0u);
}

BOOST_AUTO_TEST_CASE(a_block_changes_hands_in_one_step)
{
    heap_arena const arena;
    auto             core  = arena.core();
    auto const       block = make_block(arena, 64);
    auto const       entry = owner::directory_entry(1, 0);
    BOOST_TEST((core.change_owner(block.payload, entry, survivor).error() == errc::not_owned));
    BOOST_TEST(core.change_owner(block.payload, survivor, entry).has_value());
    BOOST_TEST(core.tag_of(block.payload)->is_in_use(entry));
    BOOST_TEST((core.push_free(block.payload, survivor, survivor).error() == errc::not_owned));
    BOOST_TEST(core.push_free(block.payload, entry, survivor).has_value());
    BOOST_TEST(core.tag_of(block.payload)->is_freeing(survivor));
}

BOOST_AUTO_TEST_CASE(what_was_given_back_is_used_again_before_memory_is_called_short)
{
    heap_arena const         arena;
    auto                     core  = arena.core();
    auto const               empty = settled(core);
    std::vector<known_block> blocks;
    while (auto const payload = core.allocate(100, 16, survivor))
    {
        blocks.push_back({*payload, 100, survivor});
        arena.fill(blocks.back());
    }
    for (auto const& block : blocks)
        give_back(arena, block);
    BOOST_TEST(numbers_of(core).used_blocks == blocks.size()); // nothing merged yet
    auto const large = make_block(arena, 30'000);
    give_back(arena, large);
    BOOST_TEST(settled(core) == empty);
}

BOOST_AUTO_TEST_CASE(short_memory_can_be_looked_for_in_steps)
{
    heap_arena const           arena;
    auto                       core = arena.core();
    std::vector<std::uint64_t> payloads;
    while (auto const payload = core.allocate(100, 16, survivor))
        payloads.push_back(*payload);
    for (auto const payload : payloads)
        BOOST_TEST_REQUIRE(core.push_free(payload, survivor, survivor).has_value());
    auto     found = core.allocate(20'000, 16, survivor, 8);
    unsigned steps = 1;
    for (; !found && core.has_given_back(); ++steps)
        found = core.allocate(20'000, 16, survivor, 8);
    BOOST_TEST(found.has_value());
    BOOST_TEST(steps > 10u);
    BOOST_TEST(core.drain().has_value());
    BOOST_TEST(!core.has_given_back());
    BOOST_TEST(core.check() == "");
}

BOOST_AUTO_TEST_CASE(a_block_given_back_serves_the_next_request_of_its_size_at_once)
{
    heap_arena const arena;
    auto const       block  = make_block(arena, 64);
    auto const       after  = make_block(arena, 64);
    auto const       before = numbers_of(arena.core());
    give_back(arena, block);
    BOOST_TEST(make_block(arena, 64, 16, owner::library(4)).payload == block.payload);
    BOOST_TEST(arena.core().check() == "");
    BOOST_TEST(numbers_of(arena.core()) == before);
    BOOST_TEST(arena.is_filled(after));
}

BOOST_AUTO_TEST_CASE(growth_is_exactly_what_the_request_lacks)
{
    for (std::uint64_t const alignment : {16u, 64u, 4096u})
        for (std::uint64_t const size : {1u, 5000u, 20'000u})
            for (bool const last_is_free : {false, true})
            {
                heap_arena const arena;
                auto             core   = arena.core();
                auto const       filler = make_block(arena, numbers_of(core).capacity - 16 - (last_is_free ? 800 : 0));
                if (core.allocate(size, alignment, survivor))
                    continue;
                auto const growth = core.needed_growth(size, alignment);
                BOOST_TEST_REQUIRE(growth.has_value());
                BOOST_TEST_REQUIRE(core.extend(core.end() + *growth).has_value());
                BOOST_TEST(core.check() == "");
                auto const block = make_block(arena, size, alignment);
                BOOST_TEST(core.check() == "");
                BOOST_TEST(arena.is_filled(filler));
                give_back(arena, filler);
                give_back(arena, block);
                BOOST_TEST(settled(core).used_bytes == 0u);
            }
}

BOOST_AUTO_TEST_CASE(growth_that_cannot_be_is_refused)
{
    heap_arena const arena;
    auto             core = arena.core();
    for (auto const end :
         {core.end(), core.end() + 16, core.end() + 40, core.end() - 64, arena.limit() + 16, ~std::uint64_t{15}})
        BOOST_TEST((core.extend(end).error() == errc::invalid_argument));
    BOOST_TEST(core.extend(core.end() + 32).has_value());
    BOOST_TEST(core.extend(arena.limit()).has_value());
    BOOST_TEST(core.check() == "");
}

BOOST_AUTO_TEST_CASE(all_blocks_of_an_owner_go_with_it_and_no_others)
{
    heap_arena const         arena(256 << 10, 256 << 10);
    auto                     core = arena.core();
    std::vector<known_block> kept;
    for (unsigned i = 0; i != 60; ++i)
    {
        kept.push_back(make_block(arena, 10 * i, 16, owner::object(object_id::in_heap(2), i)));
        make_block(arena, 7 * i, 16, owner::object(object_id::in_heap(1), i % 2));
        make_block(arena, 5 * i, 16, victim);
    }
    auto const gone = core.reclaim(survivor, [](heap_block const& block) noexcept {
        return block.tag.is_in_use() &&
               (block.tag.who() == victim || block.tag.who().same_index(owner::object(object_id::in_heap(1), 0)));
    });
    BOOST_TEST_REQUIRE(gone.has_value());
    BOOST_TEST(gone->blocks == 120u);
    BOOST_TEST(settled(core).used_blocks == 60u);
    unsigned visited = 0;
    BOOST_TEST(
        core.for_each_block([&](heap_block const& block) { visited += block.tag.is_in_use() ? 1 : 0; }).has_value());
    BOOST_TEST(visited == 60u);
    for (auto const& block : kept)
        give_back(arena, block);
    BOOST_TEST(settled(core).used_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(a_transaction_that_is_not_committed_leaves_no_trace)
{
    heap_arena const arena;
    auto&            word  = *new (arena.base() + 12000) atomic<std::uint64_t>(7);
    auto&            other = *new (arena.base() + 12008) atomic<std::uint64_t>(8);
    {
        auto changes = arena.core().begin_transaction();
        changes.write(word, 1);
        changes.write(other, 2);
        changes.write(word, 3);
        BOOST_TEST((arena.core().allocate(1, 1, survivor).error() == errc::corrupted)); // one at a time
    }
    BOOST_TEST(word == 7u);
    BOOST_TEST(other == 8u);
    {
        auto changes = arena.core().begin_transaction();
        changes.write(word, 1);
        changes.commit();
    }
    BOOST_TEST(word == 1u);
    BOOST_TEST(arena.core().check() == "");
}

BOOST_AUTO_TEST_CASE(an_impossible_undo_log_is_refused_and_changes_nothing)
{
    heap_arena const arena;
    auto&            log     = arena.header().undo;
    auto const       refused = [&](std::uint64_t count, std::uint64_t offset) {
        log.count             = count;
        log.entries[0].offset = offset;
        auto const image      = arena.copy();
        auto const done       = arena.core().recover(arena.limit());
        return !done && done.error() == errc::corrupted && image == arena.copy();
    };
    BOOST_TEST(refused(undo_log::capacity + 1, 4096));
    BOOST_TEST(refused(~0ull, 4096));
    BOOST_TEST(refused(1, 4097));
    BOOST_TEST(refused(1, arena.limit()));
    BOOST_TEST(refused(1, ~7ull));
    BOOST_TEST(refused(1, 1ull << 50));
}
