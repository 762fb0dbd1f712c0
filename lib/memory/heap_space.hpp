/// \file
/// The heap's words by offset, and what may be believed of them.
#pragma once

#include "memory/size_class.hpp"

#include <atrium/memory/detail/block_tag.hpp>
#include <atrium/memory/detail/heap_layout.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

/// The memory of a heap as one operation sees it: bounds are read and checked once, everything else is checked
/// against them. A small value, good for one operation.
class heap_space
{
public:
    static constexpr std::uint64_t granule       = 16;
    static constexpr std::uint64_t header_size   = sizeof(block_header);
    static constexpr std::uint64_t minimum_block = 32; ///< Header, link, and the size at the end.
    static constexpr std::uint64_t prev_is_free  = 1;  ///< Flag in `block_header::size_and_flags`.

    heap_space(std::byte* base, heap_header* header) noexcept
        : base_(base),
          header_(header),
          begin_(header->begin.load(std::memory_order_relaxed)),
          sentinel_(header->end.load(std::memory_order_relaxed) - header_size)
    {}

    [[nodiscard]] std::byte*    base() const noexcept { return base_; }
    [[nodiscard]] heap_header&  header() const noexcept { return *header_; }
    [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }
    [[nodiscard]] std::uint64_t sentinel() const noexcept { return sentinel_; }

    /// Whether the bounds can be those of a heap that lies below `limit`.
    [[nodiscard]] bool has_sane_bounds(std::uint64_t limit) const noexcept
    {
        return begin_ != 0 && ((begin_ | sentinel_) & (granule - 1)) == 0 && limit >= header_size &&
               sentinel_ <= limit - header_size && begin_ < sentinel_ && sentinel_ < size_class_limit;
    }

    /// Whether the holder of the mutex may begin a change: the bounds are sane, and nothing is half-done.
    [[nodiscard]] bool can_change(std::uint64_t limit) const noexcept
    {
        return has_sane_bounds(limit) && header_->undo.count.load(std::memory_order_relaxed) == 0;
    }

    /// Whether a block could begin at that offset.
    [[nodiscard]] bool can_be_block(std::uint64_t offset) const noexcept
    {
        return (offset & (granule - 1)) == 0 && offset - begin_ < sentinel_ - begin_;
    }

    /// Whether a block at `offset`, which can be one, could have that size.
    [[nodiscard]] bool can_be_size(std::uint64_t offset, std::uint64_t size) const noexcept
    {
        return (size & (granule - 1)) == 0 && size >= minimum_block && size <= sentinel_ - offset;
    }

    /// Whether a block of that size ends where the heap ends.
    [[nodiscard]] bool is_last(std::uint64_t offset, std::uint64_t size) const noexcept
    {
        return offset + size == sentinel_;
    }

    [[nodiscard]] atomic<std::uint64_t>& word(std::uint64_t offset) const noexcept
    {
        return *reinterpret_cast<atomic<std::uint64_t>*>(base_ + offset);
    }

    [[nodiscard]] block_header& block(std::uint64_t offset) const noexcept
    {
        return *reinterpret_cast<block_header*>(base_ + offset);
    }

    // All loads are relaxed: under the mutex they see what its last holder left, and what is read without it is the
    // size of a block in use, which nobody changes, or the tag, which is decided by compare-and-swap.

    [[nodiscard]] std::uint64_t size_and_flags(std::uint64_t block_offset) const noexcept
    {
        return block(block_offset).size_and_flags.load(std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t size(std::uint64_t block_offset) const noexcept
    {
        return size_and_flags(block_offset) & ~prev_is_free;
    }

    [[nodiscard]] block_tag tag(std::uint64_t block_offset) const noexcept
    {
        return block_tag(block(block_offset).tag.load(std::memory_order_relaxed));
    }

    /// The first word after the header: predecessor in the free list, or next in a chain of blocks given back.
    [[nodiscard]] atomic<std::uint64_t>& link(std::uint64_t block_offset) const noexcept
    {
        return word(block_offset + header_size);
    }

    /// The last word of a free block that ends at `end`: its size.
    [[nodiscard]] atomic<std::uint64_t>& size_at_end(std::uint64_t end) const noexcept { return word(end - 8); }

private:
    std::byte*    base_;
    heap_header*  header_;
    std::uint64_t begin_;
    std::uint64_t sentinel_;
};

} // namespace atrium::detail
