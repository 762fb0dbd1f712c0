/// \file
/// The tag word of a heap block: its state, and its owner or its successor in a free list.
#pragma once

#include <atrium/memory/detail/owner.hpp>

#include <cstdint>

namespace atrium::detail {

/// The states of a heap block; 0 is none of them, so that zeroed memory is no block.
enum class block_state : std::uint8_t
{
    free    = 1, ///< In a free list. Entered and left only by the holder of the heap mutex.
    in_use  = 2, ///< Belongs to its owner.
    freeing = 3, ///< Given back, and not yet merged into the free memory; bears the participant that gave it back.
};

/// The tag word of a block, taken apart; a small value.
///
/// Bits 63..62 are the state. The other 62 are the owner (`in_use`), the freeing participant (`freeing`), or in the
/// lowest 60 of them the offset of the next block of the same free list in units of 16 bytes, 0 for none (`free`).
class block_tag
{
public:
    [[nodiscard]] static constexpr block_tag free(std::uint64_t next_offset) noexcept
    {
        return block_tag(block_state::free, next_offset >> 4);
    }

    [[nodiscard]] static constexpr block_tag in_use(owner of) noexcept
    {
        return block_tag(block_state::in_use, of.packed());
    }

    [[nodiscard]] static constexpr block_tag freeing(owner participant) noexcept
    {
        BOOST_ASSERT(participant.is_participant());
        return block_tag(block_state::freeing, participant.packed());
    }

    /// Any word read from shared memory; its state may be none of the three.
    explicit constexpr block_tag(std::uint64_t word) noexcept : word_(word) {}

    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr bool          is_free() const noexcept { return state() == block_state::free; }
    [[nodiscard]] constexpr bool          is_in_use() const noexcept { return state() == block_state::in_use; }
    [[nodiscard]] constexpr bool          is_freeing() const noexcept { return state() == block_state::freeing; }
    [[nodiscard]] constexpr bool          is_in_use(owner of) const noexcept { return *this == in_use(of); }
    [[nodiscard]] constexpr bool is_freeing(owner participant) const noexcept { return *this == freeing(participant); }

    [[nodiscard]] constexpr block_state state() const noexcept { return static_cast<block_state>(word_ >> 62); }

    /// The owner of a block in use, or the participant that is freeing it. Means nothing for a free block.
    [[nodiscard]] constexpr owner who() const noexcept { return *owner::unpack(word_ & low_bits); }

    /// The next block of a free block's list, 0 for none; not checked.
    [[nodiscard]] constexpr std::uint64_t next_offset() const noexcept { return word_ << 4 & ~std::uint64_t{15}; }

    friend constexpr bool operator==(block_tag, block_tag) noexcept = default;

private:
    static constexpr std::uint64_t low_bits = ~std::uint64_t{0} >> 2;

    constexpr block_tag(block_state state, std::uint64_t low) noexcept
        : word_(static_cast<std::uint64_t>(state) << 62 | low)
    {}

    std::uint64_t word_;
};

} // namespace atrium::detail
