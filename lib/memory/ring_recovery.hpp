/// \file
/// What recovery does about rings of references.
#pragma once

#include "memory/memory_state.hpp"

#include <atrium/memory/detail/object_layout.hpp>
#include <atrium/memory/detail/reference_ring.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

/// A ring as recovery meets it. It is found by its offset in records, of which nothing is believed.
class ring_recovery
{
public:
    /// The ring at that offset, if there is one.
    ring_recovery(memory_state& memory, std::uint64_t offset) noexcept : memory_(memory)
    {
        if (auto const found = reference_ring::attach(*memory.in, offset))
            ring_ = *found;
    }

    /// Whether a dead sender had filled the slot that its record names.
    [[nodiscard]] bool was_pushed(std::uint64_t position) const noexcept { return ring_ && ring_.is_filled(position); }

    /// Whether the ring's head bears that mark: the lane took the reference, and nobody has taken the next since.
    [[nodiscard]] bool was_taken(swing_mark by) const noexcept
    {
        return ring_ && ring_.header().head.mark.load(std::memory_order_acquire) == by.word(); // Q2
    }

    /// The slot is filled, and the tail is behind it.
    void finish_push(std::uint64_t position, object_id id, std::uint64_t pointee) const noexcept;

    /// The head is behind the position.
    void finish_drain(std::uint64_t position) const noexcept;

    /// Gives up all references of a ring that nobody uses and that is about to be freed. Objects that were referred to
    /// last become pending.
    /// \returns how many
    std::size_t drain() const noexcept;

private:
    memory_state&  memory_;
    reference_ring ring_;
};

} // namespace atrium::detail
