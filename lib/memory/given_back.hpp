/// \file
/// The blocks given back without the mutex: a lock-free stack, and the chain its holder has taken from it.
#pragma once

#include "memory/block_change.hpp"

namespace atrium::detail {

/// The first block of the chain, 0 if nothing was given back; takes the stack over if the chain is used up.
/// Only the holder of the mutex takes, and only while the chain is empty.
[[nodiscard]] inline std::uint64_t first_given_back(heap_header& header) noexcept
{
    if (auto const block = header.draining.load(std::memory_order_relaxed); block != 0)
        return block;
    // Acquire G1, pairs with the release G1 in push_free: the link of every block pushed so far is there, since
    // all pushes change this word by read-modify-write.
    auto block = header.pushed.load(std::memory_order_acquire);
    while (block != 0)
    {
        // Noted first: the successor of a holder that dies here finds the block on the stack (and forgets the note)
        // or does not (and has the chain).
        header.draining.store(block, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.drain.noted");
        compiler_barrier();
        // Acquire G1. It fails only if somebody has pushed meanwhile.
        if (header.pushed.compare_exchange_strong(block, 0, std::memory_order_acquire, std::memory_order_acquire))
        {
            ATRIUM_CRASH_POINT("heap.drain.taken");
            return block;
        }
    }
    return 0;
}

/// What a block of the chain says of itself.
struct chained_block
{
    std::uint64_t size;
    std::uint64_t next;
};

/// Reads and checks a block of the chain.
[[nodiscard]] inline bool read_chained(heap_space const& space, std::uint64_t block, chained_block& found) noexcept
{
    if (!space.can_be_block(block) || !space.tag(block).is_freeing())
        return false;
    found.size = space.size(block);
    found.next = space.link(block).load(std::memory_order_relaxed);
    return space.can_be_size(block, found.size) && (found.next == 0 || space.can_be_block(found.next));
}

/// Merges the first block of the chain into the free memory, in one transaction. Gives the free block it is in.
[[nodiscard]] bool merge_chained(heap_space const& space, std::uint64_t block, chained_block const& chained,
                                 std::uint64_t& start, std::uint64_t& size) noexcept;

/// Gives the first block of the chain a new owner as it is, in one transaction.
inline void reuse_chained(heap_space const& space, std::uint64_t block, chained_block const& chained, owner of) noexcept
{
    transaction changes(space.base(), space.header().undo);
    changes.write(space.header().draining, chained.next);
    changes.write(space.block(block).tag, block_tag::in_use(of).word());
    changes.commit();
}

} // namespace atrium::detail
