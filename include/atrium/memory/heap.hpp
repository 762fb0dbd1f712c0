/// \file
/// Raw blocks of a segment's memory.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace atrium {

/// What a segment's heap holds, in bytes with block headers.
struct heap_statistics
{
    std::uint64_t capacity    = 0; ///< of all blocks; grows with the segment
    std::uint64_t used_bytes  = 0;
    std::uint64_t free_bytes  = 0;
    std::uint64_t used_blocks = 0;
};

/// The heap of a segment, for blocks that belong to this process: they go when it leaves or dies. What shall stay is
/// made as a named object, or in a container of one.
/// \par Thread safety  Safe.
/// \par Lifetime  Keeps the segment.
/// \par If a process dies  Its half-done operation is undone by the next one to allocate, its blocks are reclaimed by
/// recovery.
class heap
{
public:
    /// \par Errors  throws `flat_segment`
    explicit heap(segment const& in);

    /// Gets a block of `size` bytes (0: the smallest there is); the segment grows where it must and may.
    /// \param alignment a power of two, 4096 at most
    /// \par Complexity  Constant, but for growth.
    /// \par Errors  `out_of_memory`, `too_large`, `invalid_argument`, `timed_out`, `forked`, `read_only`, `corrupted`
    [[nodiscard]] result<void*> allocate(std::size_t size, deadline until, std::size_t alignment = 16);

    /// Gives a block back. Lock-free: never waits, for nobody.
    /// \par Errors  `not_owned`: it is no block of this process in use; `forked`, `read_only`
    [[nodiscard]] result<> deallocate(void* block) noexcept;

    /// Exact: what was given back is counted as free; of counted objects that were dropped other threads may keep a few
    /// small blocks for their next ones. For a read-only segment each number is true for itself.
    /// \par Errors  `timed_out`, `corrupted`, `forked`
    [[nodiscard]] result<heap_statistics> statistics(deadline until) const;

    /// Compares everything in the heap with everything. \returns what is wrong; empty when all is well
    /// \par Complexity  Linear in the number of blocks; holds the heap meanwhile.
    [[nodiscard]] std::string check(deadline until) const;

private:
    std::shared_ptr<attachment> in_;
};

} // namespace atrium
