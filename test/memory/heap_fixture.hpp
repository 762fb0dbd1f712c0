/// \file
/// A heap in anonymous shared memory, for tests of the core alone.
#pragma once

#include "memory/heap_core.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <ostream>
#include <random>
#include <sys/mman.h>
#include <vector>

namespace atrium::test {

inline constexpr auto survivor = detail::owner::participant(1, 11);
inline constexpr auto victim   = detail::owner::participant(2, 22);

/// A block in use as the test knows it.
struct known_block
{
    std::uint64_t payload;
    std::uint64_t size;
    detail::owner of;
};

/// What must be the same before and after.
struct heap_numbers
{
    std::uint64_t capacity;
    std::uint64_t used_bytes;
    std::uint64_t used_blocks;

    friend bool          operator==(heap_numbers const&, heap_numbers const&) = default;
    friend std::ostream& operator<<(std::ostream& to, heap_numbers const& n)
    {
        return to << n.used_blocks << " blocks, " << n.used_bytes << " of " << n.capacity << " bytes";
    }
};

/// Memory that forked children share, with a heap in its first part; the rest is for growth.
class heap_arena
{
public:
    static constexpr std::uint64_t header_offset = 64;
    static constexpr std::uint64_t begin         = 12288;
    static constexpr std::uint64_t default_limit = 96 << 10;

    explicit heap_arena(std::uint64_t end = 48 << 10, std::uint64_t limit = default_limit)
        : limit_(limit),
          base_(
              static_cast<std::byte*>(mmap(nullptr, limit, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)))
    {
        if (base_ == MAP_FAILED)
            throw std::bad_alloc();
        BOOST_TEST_REQUIRE(detail::heap_core::format(base_, header_offset, begin, end).has_value());
    }

    ~heap_arena() { munmap(base_, limit_); }

    heap_arena(heap_arena const&)            = delete;
    heap_arena& operator=(heap_arena const&) = delete;

    [[nodiscard]] std::byte*           base() const { return base_; }
    [[nodiscard]] std::uint64_t        limit() const { return limit_; }
    [[nodiscard]] detail::heap_core    core() const { return *detail::heap_core::attach(base_, header_offset, limit_); }
    [[nodiscard]] detail::heap_header& header() const
    {
        return *reinterpret_cast<detail::heap_header*>(base_ + header_offset);
    }

    [[nodiscard]] std::vector<std::byte> copy() const { return {base_, base_ + limit_}; }
    void restore(std::vector<std::byte> const& image) const { std::memcpy(base_, image.data(), image.size()); }

    /// Fills the payload with what only this block has.
    void fill(known_block const& block) const { std::memset(base_ + block.payload, pattern(block), block.size); }

    [[nodiscard]] bool is_filled(known_block const& block) const
    {
        auto const* const first = base_ + block.payload;
        return std::all_of(first, first + block.size,
                           [value = pattern(block)](std::byte b) { return std::to_integer<int>(b) == value; });
    }

private:
    static int pattern(known_block const& block) { return static_cast<int>((block.payload / 16 * 37 + 1) & 255); }

    std::uint64_t limit_;
    std::byte*    base_;
};

inline heap_numbers numbers_of(detail::heap_core const& core)
{
    auto const now = core.statistics();
    BOOST_TEST_REQUIRE(now.has_value());
    BOOST_TEST(now->free_bytes + now->used_bytes == now->capacity);
    return {now->capacity, now->used_bytes, now->used_blocks};
}

/// Allocates, and fills the payload.
inline known_block make_block(heap_arena const& arena, std::uint64_t size, std::uint64_t alignment = 16,
                              detail::owner of = survivor)
{
    auto const payload = arena.core().allocate(size, alignment, of);
    BOOST_TEST_REQUIRE(payload.has_value());
    BOOST_TEST_REQUIRE(*payload % alignment == 0);
    known_block const block{*payload, size, of};
    arena.fill(block);
    return block;
}

inline void give_back(heap_arena const& arena, known_block const& block, detail::owner self = survivor)
{
    BOOST_TEST_REQUIRE(arena.is_filled(block));
    BOOST_TEST_REQUIRE(arena.core().push_free(block.payload, block.of, self).has_value());
}

/// Blocks of random sizes with random holes between them, some of them still on the stack or in the chain.
inline std::vector<known_block> make_random_heap(heap_arena const& arena, std::mt19937_64& random, unsigned blocks)
{
    std::vector<known_block> known;
    for (unsigned i = 0; i != 2 * blocks; ++i)
    {
        auto const size = random() % 4 == 0 ? random() % 1500 : random() % 100;
        known.push_back(make_block(arena, size, std::uint64_t{16} << random() % 3));
    }
    std::shuffle(known.begin(), known.end(), random);
    for (unsigned i = 0; i != blocks; ++i)
    {
        give_back(arena, known.back());
        known.pop_back();
        if (random() % 4 == 0)
            BOOST_TEST_REQUIRE(arena.core().drain(random() % 8).has_value());
    }
    return known;
}

} // namespace atrium::test
