/// \file
/// The bytes of the heap in the segment: header, undo log, block header. Layout version 1.
#pragma once

#include <atrium/base/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace atrium::detail {

/// One recorded word: where it is and what it held before the write. Written by the holder of the heap mutex only.
struct undo_entry
{
    atomic<std::uint64_t> offset{0}; ///< From the base of the segment.
    atomic<std::uint64_t> old_value{0};
};

/// What a transaction has overwritten. Written by the holder of the heap mutex only.
///
/// Invariant: `entries[0, count)` are complete. `count` is 0 exactly when no transaction is open.
struct alignas(64) undo_log
{
    static constexpr std::size_t capacity = 64;

    atomic<std::uint64_t> count{0};
    std::uint64_t         reserved = 0;
    undo_entry            entries[capacity];
};

/// The two words before every payload.
///
/// A block is the header and what follows up to the next header. A free block also has the offset of its predecessor
/// in its free list in the first word after the header (0: it is the first), and its size again in its last word. A
/// block that is being freed has the next block of the chain in the first word after the header.
struct block_header
{
    /// Bytes of the block with its header, a multiple of 16, and in bit 0 whether the block before it is free. Written
    /// by the holder of the heap mutex only.
    atomic<std::uint64_t> size_and_flags;

    /// See `block_tag`. From `in_use` to `freeing` by anyone with a compare-and-swap; all else by the holder of the
    /// heap mutex.
    atomic<std::uint64_t> tag;
};

/// What the heap keeps about itself. Unless said otherwise, written by the holder of the heap mutex only, inside a
/// transaction. All offsets count from the base of the segment; 0 is none.
struct alignas(64) heap_header
{
    static constexpr std::size_t row_count    = 40;
    static constexpr std::size_t column_count = 32;

    atomic<std::uint64_t> begin{0};       ///< The first block. Written once, when the heap is made.
    atomic<std::uint64_t> end{0};         ///< Behind the sentinel, which is the last block; only grows.
    atomic<std::uint64_t> used_bytes{0};  ///< Sum of the sizes of all blocks that are not free, without the sentinel.
    atomic<std::uint64_t> used_blocks{0}; ///< Number of them.
    atomic<std::uint64_t> draining{0};    ///< First block of the chain taken from `pushed`. Also written outside.
    atomic<std::uint64_t> rows{0};        ///< Bit r: some bit of `columns[r]` is set.

    /// Stack of the blocks given back. Pushed on by anyone; emptied by the holder of the heap mutex.
    alignas(64) atomic<std::uint64_t> pushed{0};

    undo_log              undo;
    atomic<std::uint64_t> columns[row_count]{};             ///< Bit c: `first[r][c]` is not 0.
    atomic<std::uint64_t> first[row_count][column_count]{}; ///< First block of each free list.
};

static_assert(atomic<std::uint64_t>::is_always_lock_free && sizeof(atomic<std::uint64_t>) == 8);
static_assert(std::is_standard_layout_v<undo_entry> && sizeof(undo_entry) == 16);
static_assert(offsetof(undo_entry, offset) == 0 && offsetof(undo_entry, old_value) == 8);
static_assert(std::is_standard_layout_v<undo_log> && sizeof(undo_log) == 1088 && alignof(undo_log) == 64);
static_assert(offsetof(undo_log, count) == 0 && offsetof(undo_log, entries) == 16);
static_assert(std::is_standard_layout_v<block_header> && sizeof(block_header) == 16);
static_assert(offsetof(block_header, size_and_flags) == 0 && offsetof(block_header, tag) == 8);
static_assert(std::is_standard_layout_v<heap_header> && sizeof(heap_header) == 11776 && alignof(heap_header) == 64);
static_assert(offsetof(heap_header, begin) == 0 && offsetof(heap_header, end) == 8);
static_assert(offsetof(heap_header, used_bytes) == 16 && offsetof(heap_header, used_blocks) == 24);
static_assert(offsetof(heap_header, draining) == 32 && offsetof(heap_header, rows) == 40);
static_assert(offsetof(heap_header, pushed) == 64 && offsetof(heap_header, undo) == 128);
static_assert(offsetof(heap_header, columns) == 1216 && offsetof(heap_header, first) == 1536);

} // namespace atrium::detail
