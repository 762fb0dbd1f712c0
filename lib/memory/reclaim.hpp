/// \file
/// Giving back all that belongs to owners that are going.
#pragma once

#include "memory/memory_state.hpp"
#include "memory/ring_recovery.hpp"
#include "memory/segment_cells.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace atrium::detail {

/// Blocks that are to be freed, and the bytes of which references are given up before.
///
/// Which blocks go is asked once. Owners come to an end at any time, without the mutex: asked again, one whose references
/// were left alone might go as well. A block of the list stays what it is, since nobody lives who could change it.
class going_blocks
{
public:
    /// Notes all blocks for which `goes(heap_block const&)` is true. The heap mutex is held from here on, and nothing
    /// was merged yet that was given back meanwhile: who had left by now had given back all its blocks.
    /// \par Errors  `corrupted`
    template <class Goes> [[nodiscard]] result<> find(memory_state const& memory, Goes const& goes)
    {
        return memory.core.for_each_block([&](heap_block const& block) {
            if (block.tag.is_free() || !goes(block))
                return;
            blocks_.push_back({block.payload, block.payload + block.payload_size});
            if (block.tag.is_in_use() && block.tag.who().is_ring())
                rings_.push_back(block.payload);
        });
    }

    /// Gives up the references in these blocks, and in `more`. Objects that were referred to last become pending.
    /// \returns how many references
    std::size_t release_references(memory_state& memory, std::vector<byte_range> more = {}) const
    {
        std::size_t count = 0;
        for (std::uint64_t const ring : rings_)
            count += ring_recovery(memory, ring).drain();
        if (!has_cells(memory))
            return count;
        more.insert(more.end(), blocks_.begin(), blocks_.end());
        return count + release_cells_in(memory, std::move(more));
    }

    /// Frees the blocks.
    [[nodiscard]] result<reclaimed> free(memory_state& memory) const
    {
        return memory.core.reclaim(owner_of(memory.in->self()), [&](heap_block const& block) noexcept {
            auto const found = std::lower_bound(blocks_.begin(), blocks_.end(), block.payload,
                                                [](byte_range const& a, std::uint64_t at) { return a.begin < at; });
            return found != blocks_.end() && found->begin == block.payload;
        });
    }

private:
    std::vector<byte_range>    blocks_; // by rising addresses
    std::vector<std::uint64_t> rings_;  // among them
};

/// Frees every block for which `goes(owner)` is true, and what the dead left half-freed; before that, gives up the
/// references that lie in them, and in `more`. The heap mutex is held.
/// \par If a process dies  The owners' blocks are there until their references are gone; whoever reclaims next goes on.
template <class Goes>
[[nodiscard]] result<reclaimed> reclaim_blocks(memory_state& memory, Goes const& goes, byte_range more = {})
{
    going_blocks going;
    auto const   found = going.find(memory, [&](heap_block const& block) {
        return block.tag.is_in_use() ? goes(block.tag.who()) : memory.in->has_left(participant_of(block.tag.who()));
    });
    if (!found)
        return found.error();
    going.release_references(memory, more.end != 0 ? std::vector{more} : std::vector<byte_range>());
    return going.free(memory);
}

} // namespace atrium::detail
