/// \file
/// The untyped half of the allocator.
#pragma once

#include <atrium/memory/detail/owner.hpp>
#include <atrium/segment/attachment.hpp>

#include <boost/interprocess/offset_ptr.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

/// A heap and an owner in it: where blocks come from. May lie in the segment.
class block_source
{
public:
    /// This process's ordinary memory.
    block_source() = default;

    block_source(std::byte* base, owner of) noexcept : base_(base), owner_(of.packed()) {}

    /// A copy of one for ordinary memory that lies in a segment remembers that: containers allocate by copies as well.
    block_source(block_source const& other) noexcept
        : base_(other.base_), owner_(other.is_misplaced() ? misplaced : other.owner_)
    {}
    block_source& operator=(block_source const&) = default;

    /// Throws `system_error`.
    [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment) const;
    void                deallocate(void* block, std::size_t alignment) const noexcept;

    /// Gives up the references that lie in the `size` bytes at `at`, where there is no object any more, or none yet.
    void give_up_references(void const* at, std::size_t size) const noexcept;

    /// The owner. Checked, since the word may have been read from a broken segment.
    [[nodiscard]] owner of() const noexcept { return owner::unpack(owner_).value_or(owner::library(0)); }

    /// Where this process has the segment.
    [[nodiscard]] std::byte* base() const noexcept { return base_.get(); }

    /// A source for the member at `part` of the owner, whose blocks can be told from the owner's other ones, yet go with
    /// it. Throws `too_many_owners`, also where the part of a counted object does not lie in the first 512 KiB of the
    /// object itself; `invalid_argument` where the owner is a process, whose death would take what others may be using.
    [[nodiscard]] block_source sub_source(void const* part) const;

    /// Gives up all references that lie in the `size` bytes at `value` or in blocks of exactly this owner, and frees
    /// these blocks; in a counted object also those of guarded values within the value. Waits for the heap for ten
    /// seconds.
    /// \returns false where that could not be done
    [[nodiscard]] bool reclaim(void const* value, std::size_t size) const noexcept;

    friend bool operator==(block_source const& a, block_source const& b) noexcept
    {
        return a.base_ == b.base_ && (a.owner_ == b.owner_ || a.base_ == nullptr);
    }

private:
    static constexpr std::uint64_t misplaced = ~std::uint64_t{0}; // no owner

    /// One for ordinary memory that lies in a segment, or comes from such.
    [[nodiscard]] bool is_misplaced() const noexcept
    {
        return base_ == nullptr && (owner_ == misplaced || attachment::containing(this) != nullptr);
    }

    boost::interprocess::offset_ptr<std::byte> base_;
    std::uint64_t                              owner_ = 0;
};

/// This process's own source in a segment. Throws `flat_segment`, `forked`.
[[nodiscard]] block_source source_of(attachment& in);

} // namespace atrium::detail
