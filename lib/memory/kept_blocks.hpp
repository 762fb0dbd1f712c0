/// \file
/// Blocks that a lane keeps for the next objects of their size.
#pragma once

#include <atrium/memory/detail/owner.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace atrium::detail {

struct memory_state;

/// A few small blocks of heap objects that this lane's threads have destroyed: the next object of the same size needs
/// neither the heap's mutex nor its lists. Process-local; belongs to the user of the lane.
/// \par If a process dies  The blocks are its own, as all that it has allocated for itself, and go with it. A block
/// changes owners in one step.
class kept_blocks
{
public:
    /// Bytes of the largest that is kept.
    static constexpr std::uint64_t largest = 512;

    /// The number of a block of at least that size, and not much more.
    [[nodiscard]] std::optional<std::size_t> find(std::uint64_t size, std::uint64_t alignment) const noexcept;

    /// Gives the block of that number to another owner.
    /// \returns its offset; 0 where it was not our own
    [[nodiscard]] std::uint64_t take(memory_state const& memory, std::size_t number, owner to) noexcept;

    /// Keeps a block of `from`, or frees it.
    /// \returns false where it is not a block of that owner
    bool keep_or_free(memory_state& memory, std::uint64_t offset, owner from) noexcept;

    /// Frees all.
    void free_all(memory_state const& memory) noexcept;

private:
    struct block
    {
        std::uint64_t offset = 0;
        std::uint64_t size   = 0; ///< of the payload
    };

    std::array<block, 16> blocks_;
    std::size_t           count_ = 0;
};

} // namespace atrium::detail
