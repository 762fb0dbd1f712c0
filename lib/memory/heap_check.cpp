#include "memory/free_index.hpp"
#include "memory/heap_core.hpp"

#include <algorithm>
#include <vector>

namespace atrium::detail {

namespace {

/// Compares everything with everything; stops at the first contradiction.
class checker
{
public:
    explicit checker(heap_space const& space) : space_(space) {}

    std::string run()
    {
        if (header().undo.count.load(std::memory_order_relaxed) != 0)
            complain("a transaction is open, its writes", header().undo.count.load(std::memory_order_relaxed));
        else if (walk_blocks() && walk_lists() && walk_chains())
            compare_counters();
        return error_;
    }

private:
    heap_header& header() const noexcept { return space_.header(); }

    bool complain(char const* what, std::uint64_t where)
    {
        error_ = std::string(what) + ": " + std::to_string(where);
        return false;
    }

    bool walk_blocks()
    {
        bool          previous_is_free = false;
        std::uint64_t block            = space_.begin();
        while (block != space_.sentinel())
        {
            auto const size = space_.size(block);
            if (!space_.can_be_size(block, size))
                return complain("impossible size of the block at", block);
            if (((space_.size_and_flags(block) & heap_space::prev_is_free) != 0) != previous_is_free)
                return complain("wrong flag about the block before", block);
            if (!look_at(block, size, previous_is_free))
                return false;
            previous_is_free = space_.tag(block).is_free();
            block += size;
        }
        if (space_.size_and_flags(block) != (previous_is_free ? heap_space::prev_is_free : 0))
            return complain("wrong first word of the sentinel at", block);
        return space_.tag(block).is_in_use(owner::library(0)) || complain("wrong tag of the sentinel at", block);
    }

    bool look_at(std::uint64_t block, std::uint64_t size, bool previous_is_free)
    {
        auto const tag = space_.tag(block);
        if (tag.is_in_use() || tag.is_freeing())
        {
            ++used_blocks_;
            used_bytes_ += size;
            return true;
        }
        if (!tag.is_free())
            return complain("no state in the tag of the block at", block);
        if (previous_is_free)
            return complain("two free blocks side by side, the second at", block);
        if (space_.size_at_end(block + size).load(std::memory_order_relaxed) != size)
            return complain("another size at the end of the free block at", block);
        free_.push_back(block);
        return true;
    }

    bool walk_lists()
    {
        std::size_t listed = 0;
        for (std::uint64_t row = 0; row != heap_header::row_count; ++row)
        {
            std::uint64_t columns = 0;
            for (std::uint64_t column = 0; column != heap_header::column_count; ++column)
            {
                if (header().first[row][column].load(std::memory_order_relaxed) != 0)
                    columns |= std::uint64_t{1} << column;
                if (!walk_list({row, column}, listed))
                    return false;
            }
            if (header().columns[row].load(std::memory_order_relaxed) != columns)
                return complain("wrong bitmap of the columns of row", row);
            if ((header().rows.load(std::memory_order_relaxed) >> row & 1) != (columns != 0 ? 1 : 0))
                return complain("wrong bitmap of the rows at row", row);
        }
        if (header().rows.load(std::memory_order_relaxed) >> heap_header::row_count != 0)
            return complain("more rows marked than there are", header().rows.load(std::memory_order_relaxed));
        return listed == free_.size() || complain("number of free blocks in no list", free_.size() - listed);
    }

    bool walk_list(size_class list, std::size_t& listed)
    {
        std::uint64_t previous = 0;
        auto          block    = header().first[list.row][list.column].load(std::memory_order_relaxed);
        while (block != 0)
        {
            if (!std::binary_search(free_.begin(), free_.end(), block))
                return complain("in a free list, but no free block", block);
            if (space_.link(block).load(std::memory_order_relaxed) != previous)
                return complain("wrong way back in the list from the free block at", block);
            if (class_of(space_.size(block)) != list)
                return complain("in the list of another size: the free block at", block);
            if (++listed > free_.size())
                return complain("a block is in a free list twice; met at", block);
            previous = block;
            block    = space_.tag(block).next_offset();
        }
        return true;
    }

    bool walk_chains()
    {
        // Acquire G1, as in first_given_back.
        return walk_chain(header().draining.load(std::memory_order_relaxed)) &&
               walk_chain(header().pushed.load(std::memory_order_acquire));
    }

    bool walk_chain(std::uint64_t block)
    {
        for (; block != 0; block = space_.link(block).load(std::memory_order_relaxed))
        {
            if (!space_.can_be_block(block) || !space_.tag(block).is_freeing())
                return complain("in a chain of blocks given back, but is none", block);
            if (++given_back_ > used_blocks_)
                return complain("a block was given back twice; met at", block);
        }
        return true;
    }

    void compare_counters()
    {
        if (header().used_bytes.load(std::memory_order_relaxed) != used_bytes_)
            complain("wrong number of used bytes; there are", used_bytes_);
        else if (header().used_blocks.load(std::memory_order_relaxed) != used_blocks_)
            complain("wrong number of used blocks; there are", used_blocks_);
    }

    heap_space const&          space_;
    std::vector<std::uint64_t> free_;
    std::uint64_t              used_bytes_  = 0;
    std::uint64_t              used_blocks_ = 0;
    std::uint64_t              given_back_  = 0;
    std::string                error_;
};

} // namespace

std::string heap_core::check() const
{
    heap_space const space(base_, header_);
    if (!space.has_sane_bounds(limit_))
        return "impossible bounds of the heap: " + std::to_string(space.begin()) + " to " +
               std::to_string(space.sentinel());
    return checker(space).run();
}

} // namespace atrium::detail
