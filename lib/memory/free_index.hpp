/// \file
/// The free lists of the heap and the bitmaps that find one in constant time.
#pragma once

#include "memory/heap_space.hpp"
#include "memory/size_class.hpp"
#include "memory/undo_log.hpp"

#include <bit>
#include <cstdint>

namespace atrium::detail {

/// An offset at which there is never a block.
inline constexpr std::uint64_t no_block = ~std::uint64_t{0};

/// Whether that can be a free block.
[[nodiscard]] inline bool is_free_block(heap_space const& space, std::uint64_t block) noexcept
{
    return space.can_be_block(block) && space.tag(block).is_free();
}

/// The free lists, within one transaction. Functions that change them return false where they meet something that
/// cannot be; the caller then gives the transaction up, which puts everything back.
///
/// Invariants: every free block is in the list of its size and in no other; bit c of `columns[r]` is set exactly if
/// `first[r][c]` is not 0, bit r of `rows` exactly if `columns[r]` is not 0.
class free_index
{
public:
    // The most writes that each function records.
    static constexpr unsigned writes_per_insert_fresh = 3; ///< First; link of what was first, or column and row.
    static constexpr unsigned writes_per_insert       = 5; ///< The same; tag, link.
    static constexpr unsigned writes_per_remove       = 3; ///< Successor and predecessor; or first, column, row.

    free_index(heap_space const& space, transaction& changes) noexcept : space_(space), changes_(changes) {}

    /// Puts a block that was none before first in its list: its header lies in dead memory and need not be recorded.
    [[nodiscard]] bool insert_fresh(std::uint64_t block, std::uint64_t size) noexcept
    {
        std::uint64_t next = 0;
        if (!make_first(block, class_of(size), next))
            return false;
        store_header(block, next, 0);
        return true;
    }

    /// The same for a block whose header and link must come back if the transaction does not happen.
    [[nodiscard]] bool insert(std::uint64_t block, std::uint64_t size) noexcept
    {
        std::uint64_t next = 0;
        if (!make_first(block, class_of(size), next))
            return false;
        changes_.write(space_.block(block).tag, block_tag::free(next).word());
        changes_.write(space_.link(block), 0);
        return true;
    }

    /// Takes a block out of its list. Its tag still says that it is free, which the caller changes.
    [[nodiscard]] bool remove(std::uint64_t block, std::uint64_t size) noexcept
    {
        auto const next     = space_.tag(block).next_offset();
        auto const previous = space_.link(block).load(std::memory_order_relaxed);
        if (next != 0 && !link_back(next, block, previous))
            return false;
        return previous == 0 ? drop_first(block, class_of(size), next) : link_on(previous, block, next);
    }

    /// Puts a block that was none before in the place that `block` has in the list of `size`.
    [[nodiscard]] bool replace_by_fresh(std::uint64_t block, std::uint64_t size, std::uint64_t fresh) noexcept
    {
        auto const next     = space_.tag(block).next_offset();
        auto const previous = space_.link(block).load(std::memory_order_relaxed);
        if (next != 0 && !link_back(next, block, fresh))
            return false;
        if (!(previous == 0 ? swap_first(block, class_of(size), fresh) : link_on(previous, block, fresh)))
            return false;
        store_header(fresh, next, previous);
        return true;
    }

private:
    void store_header(std::uint64_t fresh, std::uint64_t next, std::uint64_t previous) noexcept
    {
        space_.block(fresh).tag.store(block_tag::free(next).word(), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.fresh.tag");
        space_.link(fresh).store(previous, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.fresh.link");
    }

    bool link_back(std::uint64_t next, std::uint64_t block, std::uint64_t previous) noexcept
    {
        if (!is_free_block(space_, next) || space_.link(next).load(std::memory_order_relaxed) != block)
            return false;
        changes_.write(space_.link(next), previous);
        return true;
    }

    bool link_on(std::uint64_t previous, std::uint64_t block, std::uint64_t next) noexcept
    {
        if (!is_free_block(space_, previous) || space_.tag(previous).next_offset() != block)
            return false;
        changes_.write(space_.block(previous).tag, block_tag::free(next).word());
        return true;
    }

    bool make_first(std::uint64_t block, size_class list, std::uint64_t& next) noexcept
    {
        heap_header& header = space_.header();
        auto&        first  = header.first[list.row][list.column];
        next                = first.load(std::memory_order_relaxed);
        if (next == 0)
            mark(header, list);
        else if (is_free_block(space_, next))
            changes_.write(space_.link(next), block);
        else
            return false;
        changes_.write(first, block);
        return true;
    }

    void mark(heap_header& header, size_class list) noexcept
    {
        auto const columns = header.columns[list.row].load(std::memory_order_relaxed);
        changes_.write(header.columns[list.row], columns | std::uint64_t{1} << list.column);
        if (columns == 0)
            changes_.write(header.rows, header.rows.load(std::memory_order_relaxed) | std::uint64_t{1} << list.row);
    }

    bool swap_first(std::uint64_t block, size_class list, std::uint64_t other) noexcept
    {
        auto& first = space_.header().first[list.row][list.column];
        if (first.load(std::memory_order_relaxed) != block)
            return false;
        changes_.write(first, other);
        return true;
    }

    bool drop_first(std::uint64_t block, size_class list, std::uint64_t next) noexcept
    {
        if (!swap_first(block, list, next))
            return false;
        if (next != 0)
            return true;
        heap_header& header = space_.header();
        auto const   columns =
            header.columns[list.row].load(std::memory_order_relaxed) & ~(std::uint64_t{1} << list.column);
        changes_.write(header.columns[list.row], columns);
        if (columns == 0)
            changes_.write(header.rows, header.rows.load(std::memory_order_relaxed) & ~(std::uint64_t{1} << list.row));
        return true;
    }

    heap_space const& space_;
    transaction&      changes_;
};

/// The first block of the first list from `from` on that has one; 0 if there is none.
/// Where bitmaps and lists contradict each other, something for which `is_free_block` is false.
[[nodiscard]] inline std::uint64_t first_from(heap_header const& header, size_class from) noexcept
{
    if (from.row >= heap_header::row_count)
        return 0;
    auto columns = header.columns[from.row].load(std::memory_order_relaxed) & ~std::uint64_t{0} << from.column;
    if (columns == 0)
    {
        // Shifted twice, since from.row + 1 could be the width; there are fewer rows than bits.
        auto const rows = header.rows.load(std::memory_order_relaxed) & ~std::uint64_t{0} << from.row << 1;
        if (rows == 0)
            return 0;
        from.row = static_cast<std::uint64_t>(std::countr_zero(rows));
        if (from.row >= heap_header::row_count)
            return no_block;
        columns = header.columns[from.row].load(std::memory_order_relaxed);
    }
    from.column = static_cast<std::uint64_t>(std::countr_zero(columns));
    if (from.column >= heap_header::column_count)
        return no_block;
    auto const block = header.first[from.row][from.column].load(std::memory_order_relaxed);
    return block == 0 ? no_block : block;
}

} // namespace atrium::detail
