/// \file
/// Taking a block out of the free memory and merging one into it.
#pragma once

#include "memory/free_index.hpp"

namespace atrium::detail {

/// What an allocation needs, in bytes of a whole block.
struct block_request
{
    std::uint64_t need;      ///< Header and payload, rounded up.
    std::uint64_t alignment; ///< Of the payload; at least 16.

    /// A free block of that size has room, wherever it begins.
    [[nodiscard]] std::uint64_t sure_size() const noexcept
    {
        // The payload may have to move by less than an alignment, and one more if that leaves 16 bytes in front.
        return alignment <= heap_space::granule ? need : need + alignment + heap_space::granule;
    }

    /// Whether a block in use could serve as it is, with nothing to cut off.
    [[nodiscard]] bool is_met_by(std::uint64_t block, std::uint64_t size) const noexcept
    {
        return size >= need && size - need < heap_space::minimum_block &&
               ((block + heap_space::header_size) & (alignment - 1)) == 0;
    }
};

/// Where in a free block an allocation goes: [front: stays free][the block][tail: stays free].
struct placement
{
    std::uint64_t front;
    std::uint64_t size; ///< 0: it does not fit.
    std::uint64_t tail;
};

/// Where the request goes in the free block [start, start + size).
///
/// In the last block of the heap as low as possible, so that what is free at the end stays whole and grows with the
/// heap. Elsewhere as high as possible: then the rest keeps its header and mostly its list, and most of what is
/// written lies in dead memory and needs no record.
[[nodiscard]] inline placement place(block_request const& wanted, std::uint64_t start, std::uint64_t size,
                                     bool is_last) noexcept
{
    constexpr placement nowhere{0, 0, 0};
    if (size < wanted.need)
        return nowhere;
    auto const    room    = size - wanted.need;
    auto const    payload = start + heap_space::header_size;
    std::uint64_t front   = 0;
    if (is_last)
    {
        front = (std::uint64_t{0} - payload) & (wanted.alignment - 1);
        if (front == heap_space::granule) // too little for a block
            front += wanted.alignment;
    }
    else
    {
        front = room - ((payload + room) & (wanted.alignment - 1));
        if (front == heap_space::granule)
            front -= wanted.alignment <= heap_space::granule ? heap_space::granule : wanted.alignment;
    }
    if (front > room) // or wrapped around
        return nowhere;
    auto const rest = room - front;
    if (rest < heap_space::minimum_block)
        return {front, wanted.need + rest, 0};
    return {front, wanted.need, rest};
}

/// The changes of blocks within one transaction. Functions return false where they meet something that cannot be;
/// the caller then gives the transaction up.
class block_change
{
public:
    // The most writes that each function records, by its parts; the proof is in DESIGN.md.
    static constexpr unsigned writes_per_resize = free_index::writes_per_remove + free_index::writes_per_insert + 1;
    static constexpr unsigned writes_per_carve  = writes_per_resize + free_index::writes_per_insert_fresh + 1 + 2;
    static constexpr unsigned writes_per_merge  = free_index::writes_per_remove + writes_per_resize + 1 + 2;
    static constexpr unsigned writes_per_transaction = writes_per_merge + 1; ///< With the step in the chain.
    static_assert(writes_per_carve <= writes_per_transaction && writes_per_transaction <= undo_log::capacity);

    block_change(heap_space const& space, transaction& changes) noexcept
        : space_(space), changes_(changes), index_(space, changes)
    {}

    /// Makes the placed part of a free block a block in use; gives its offset.
    [[nodiscard]] bool carve(std::uint64_t start, placement const& where, owner of, std::uint64_t& block) noexcept
    {
        auto const size = where.front + where.size + where.tail;
        auto const tag  = block_tag::in_use(of).word();
        block           = start + where.front;
        if (!(where.front == 0 ? take_front(start, size, where, tag) : cut_off(start, size, where, tag)))
            return false;
        if (where.tail != 0)
        {
            store_fresh(space_.block(block + where.size).size_and_flags, where.tail);
            changes_.write(space_.size_at_end(start + size), where.tail); // was that of the block that is cut
        }
        else if (!tell_next(start + size, false))
            return false;
        count(where.size, 1);
        return true;
    }

    /// Makes a block that is not free part of the free memory. Gives the free block it is in now.
    [[nodiscard]] bool merge(std::uint64_t block, std::uint64_t& start, std::uint64_t& size) noexcept
    {
        auto const word     = space_.size_and_flags(block);
        auto const own_size = word & ~heap_space::prev_is_free;
        if (!space_.can_be_size(block, own_size))
            return false;
        auto       end          = block + own_size;
        bool const next_is_free = space_.tag(end).is_free();
        if (next_is_free && !take_next(end))
            return false;
        start = block;
        bool const ok =
            (word & heap_space::prev_is_free) != 0 ? grow_previous(start, end) : insert(start, own_size, end);
        size = end - start;
        if (!ok || !(next_is_free || tell_next(end, true)))
            return false;
        if (next_is_free)
            changes_.write(space_.size_at_end(end), size); // must say the next block's size again if this is undone
        else
            store_fresh(space_.size_at_end(end), size);
        count(std::uint64_t{0} - own_size, std::uint64_t{0} - 1);
        return true;
    }

    /// The free block that ends at `end`, of which the flag behind it says that it exists.
    [[nodiscard]] bool find_previous(std::uint64_t end, std::uint64_t& start, std::uint64_t& size) const noexcept
    {
        size  = space_.size_at_end(end).load(std::memory_order_relaxed);
        start = end - size;
        return size >= heap_space::minimum_block && is_free_block(space_, start) && start < end &&
               space_.size_and_flags(start) == size;
    }

    /// Gives a free block another size, and puts it first in its new list if that is another one.
    [[nodiscard]] bool resize(std::uint64_t block, std::uint64_t old_size, std::uint64_t size) noexcept
    {
        if (class_of(old_size) != class_of(size) && !(index_.remove(block, old_size) && index_.insert(block, size)))
            return false;
        changes_.write(space_.block(block).size_and_flags, size);
        return true;
    }

    [[nodiscard]] free_index& index() noexcept { return index_; }

    /// A word in memory that is dead before the transaction and if it does not happen: no record.
    static void store_fresh(atomic<std::uint64_t>& word, std::uint64_t value) noexcept
    {
        word.store(value, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.fresh.word");
    }

private:
    bool take_front(std::uint64_t block, std::uint64_t size, placement const& where, std::uint64_t tag) noexcept
    {
        auto const tail      = block + where.size;
        bool const same_list = where.tail != 0 && class_of(where.tail) == class_of(size);
        if (!(same_list ? index_.replace_by_fresh(block, size, tail) : index_.remove(block, size)))
            return false;
        if (where.tail != 0 && !same_list && !index_.insert_fresh(tail, where.tail))
            return false;
        if (size != where.size)
            changes_.write(space_.block(block).size_and_flags, where.size);
        changes_.write(space_.block(block).tag, tag);
        return true;
    }

    bool cut_off(std::uint64_t start, std::uint64_t size, placement const& where, std::uint64_t tag) noexcept
    {
        auto const block = start + where.front;
        if (!resize(start, size, where.front))
            return false;
        store_fresh(space_.size_at_end(block), where.front);
        store_fresh(space_.block(block).size_and_flags, where.size | heap_space::prev_is_free);
        store_fresh(space_.block(block).tag, tag);
        return where.tail == 0 || index_.insert_fresh(block + where.size, where.tail);
    }

    bool tell_next(std::uint64_t next, bool previous_is_free) noexcept
    {
        auto const word = space_.size_and_flags(next);
        if (((word & heap_space::prev_is_free) != 0) == previous_is_free)
            return false;
        changes_.write(space_.block(next).size_and_flags, word ^ heap_space::prev_is_free);
        return true;
    }

    bool take_next(std::uint64_t& end) noexcept
    {
        auto const size = space_.size_and_flags(end); // with the flag set it is no size
        if (!space_.can_be_size(end, size) || !index_.remove(end, size))
            return false;
        end += size;
        return true;
    }

    bool grow_previous(std::uint64_t& start, std::uint64_t end) noexcept
    {
        std::uint64_t previous = 0;
        std::uint64_t size     = 0;
        if (!find_previous(start, previous, size) || !resize(previous, size, end - previous))
            return false;
        start = previous;
        return true;
    }

    bool insert(std::uint64_t block, std::uint64_t old_size, std::uint64_t end) noexcept
    {
        auto const size = end - block;
        if (!index_.insert(block, size))
            return false;
        if (size != old_size)
            changes_.write(space_.block(block).size_and_flags, size);
        return true;
    }

    void count(std::uint64_t bytes, std::uint64_t blocks) noexcept
    {
        heap_header& header = space_.header();
        changes_.write(header.used_bytes, header.used_bytes.load(std::memory_order_relaxed) + bytes);
        changes_.write(header.used_blocks, header.used_blocks.load(std::memory_order_relaxed) + blocks);
    }

    heap_space const& space_;
    transaction&      changes_;
    free_index        index_;
};

} // namespace atrium::detail
