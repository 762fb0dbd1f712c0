/// \file
/// The shared bytes of routers and pipes. Layout version 1.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/memory/detail/reference_ring.hpp>
#include <atrium/segment/participant.hpp>
#include <atrium/sync/doorbell.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace atrium::detail {

/// The first word of the pipe part's structures in the directory.
enum class structure_kind : std::uint64_t
{
    router = 1,
    pipe   = 2,
};

/// What the place of a pipe in its router is; every transition stands in lib/pipe/DESIGN.md.
enum class slot_state : std::uint64_t
{
    free    = 0, ///< with a generation: nobody's
    claimed = 1, ///< with a participant, who makes it ready
    open    = 2, ///< with a generation: senders push
    shut    = 3, ///< with a generation: nobody pushes any more, receivers take what is left
    closing = 4, ///< with a participant, who drains it
};

/// State in bits 0 to 2; above them the generation or the participant.
inline constexpr unsigned slot_state_bits = 3;

[[nodiscard]] constexpr std::uint64_t slot_word(slot_state state, std::uint64_t generation) noexcept
{
    return generation << slot_state_bits | static_cast<std::uint64_t>(state);
}
[[nodiscard]] constexpr std::uint64_t slot_word(slot_state state, participant_id by) noexcept
{
    return slot_word(state, by.word());
}
[[nodiscard]] constexpr slot_state state_of(std::uint64_t word) noexcept
{
    return static_cast<slot_state>(word & ((1u << slot_state_bits) - 1));
}
[[nodiscard]] constexpr std::uint64_t generation_in(std::uint64_t word) noexcept
{
    return word >> slot_state_bits;
}
[[nodiscard]] constexpr participant_id participant_in(std::uint64_t word) noexcept
{
    return participant_id::from_word(word >> slot_state_bits);
}

/// What is said by who sleeps, or is about to, at a bell with that ticket; 0: nobody does.
[[nodiscard]] constexpr std::uint64_t waiting_with(doorbell::ticket seen) noexcept
{
    return seen + 1;
}

/// The place of a pipe. Stays where it is as long as the router, whoever has it: who comes too late touches a place, never
/// freed memory.
struct pipe_slot
{
    // Looked at by every send; hardly ever written.
    atomic<std::uint64_t> state{0};      ///< slot_word()
    atomic<std::uint64_t> waiting{0};    ///< waiting_with(): a receiver sleeps, or is about to
    atomic<std::uint64_t> generation{0}; ///< which pipe it is; written by who closes
    atomic<std::uint64_t> capacity{0};   ///< of each ring
    atomic<std::uint64_t> when_full{0};  ///< overflow
    atomic<std::uint64_t> owner{0};      ///< owner::packed() of the pipe's block in the directory
    atomic<std::uint64_t> block{0};      ///< offset of that
    atomic<std::uint64_t> lanes{0};      ///< offset of the table of its rings; made at the place's first use

    doorbell bell; ///< rung for receivers that wait

    // Written by receivers.
    atomic<std::uint64_t> joining{0}; ///< participant_id::word() of who still copies the history; 0: nobody
    atomic<std::uint64_t> spins{0};   ///< waits that began to spin
    atomic<std::uint64_t> sleeps{0};  ///< times that a receiver went to sleep
    std::uint64_t         reserved[5] = {};
};
static_assert(std::is_standard_layout_v<pipe_slot> && sizeof(pipe_slot) == 192 && offsetof(pipe_slot, bell) == 64);

/// One sender's ring in a pipe.
struct pipe_lane
{
    atomic<std::uint64_t> ring{0}; ///< ring_link(); written by the sender
    atomic<std::uint64_t> history_until{
        0}; ///< sequence of the last reference that came as history; written by who joins
};

/// Behind a table's ready bits, one for each sender, in whole lines.
[[nodiscard]] constexpr std::uint64_t ready_words(std::uint64_t senders) noexcept
{
    return (senders + 511) / 512 * 8;
}

/// A ring's offset, and the low bits of the generation of the pipe that it is for: what is for another is not looked at.
inline constexpr unsigned             link_generation_bits = 24;
[[nodiscard]] constexpr std::uint64_t ring_link(std::uint64_t offset, std::uint64_t generation) noexcept
{
    constexpr std::uint64_t mask = (std::uint64_t{1} << link_generation_bits) - 1;
    return offset / 64 << link_generation_bits | (generation & mask);
}
[[nodiscard]] constexpr std::uint64_t offset_in(std::uint64_t link) noexcept
{
    return (link >> link_generation_bits) * 64;
}

/// The words of a pipe's ring, beside those of every ring.
enum rare_word : std::size_t
{
    ring_sender_waits = 0, ///< waiting_with(): the sender waits for room; taken back by who takes, or by it
    ring_deaths       = 1, ///< deaths of senders that were noted, shifted; below: which participant's was the last
    ring_death_at     = 2, ///< the position behind what the last of them had pushed
    ring_deaths_told  = 3, ///< how many of them receivers have heard of
    ring_generation   = 4, ///< of the pipe that it is for
    ring_start        = 5, ///< the position at which it began to be for that pipe
    ring_begun        = 6, ///< the position at which the present user of the number began
};

/// In `ring_deaths`: below these are low bits of the participant's word.
inline constexpr unsigned          deaths_shift = 40;
[[nodiscard]] inline std::uint64_t deaths_noted(ring_header const& ring) noexcept
{
    return ring.rare[ring_deaths].load(std::memory_order_acquire) >> deaths_shift; // D1
}
enum sender_word : std::size_t
{
    ring_dropped   = 0, ///< references dropped to make room
    ring_refused   = 1, ///< references that found no room
    ring_dropping  = 2, ///< what `dropped` becomes by the drop that is under way, or was by the last one
    ring_drop_mark = 3, ///< by which swing that takes what is dropped
};

/// A death that no receiver has heard of yet.
[[nodiscard]] inline bool has_untold_death(ring_header const& ring) noexcept
{
    return deaths_noted(ring) != ring.rare[ring_deaths_told].load(std::memory_order_relaxed);
}

/// One sender of a router: a thread's lane, or an ordered sender.
struct sender_block
{
    atomic<std::uint64_t> user{0};     ///< participant_id::word(); 0: nobody sends
    atomic<std::uint64_t> sequence{0}; ///< of the last reference sent; written by the sender
    atomic<std::uint64_t> history{0};  ///< offset of the ring of the newest references; 0: none
    std::uint64_t         reserved[5] = {};

    /// Where the sender ran lately; written when that changes.
    alignas(64) atomic<std::uint64_t> processor{~std::uint64_t{0}};
    std::uint64_t reserved_too[7] = {};

    doorbell bell; ///< rung where there is room again
};
static_assert(sizeof(sender_block) == 192);

/// A router; the places of its pipes follow, then the offsets of its senders' blocks.
struct router_header
{
    atomic<std::uint64_t> kind{0};         ///< structure_kind::router
    atomic<std::uint64_t> owner{0};        ///< owner::packed() of this block
    atomic<std::uint64_t> pipes{0};        ///< places
    atomic<std::uint64_t> senders{0};      ///< offsets of blocks: one for each lane, then the ordered ones
    atomic<std::uint64_t> lane_senders{0}; ///< how many of them are for lanes
    atomic<std::uint64_t> history{0};      ///< references that each sender keeps
    atomic<std::uint64_t> closed{0};       ///< 1: for good
    atomic<std::uint64_t> names{0};        ///< the last number drawn for a pipe without a name

    alignas(64) atomic<std::uint64_t> changes{0}; ///< how often a pipe was opened, shut or closed
    std::uint64_t reserved[7] = {};

    doorbell changed; ///< rung after each
};
static_assert(sizeof(router_header) == 192);

/// What goes by the name of a pipe.
struct pipe_header
{
    atomic<std::uint64_t> kind{0};         ///< structure_kind::pipe
    atomic<std::uint64_t> owner{0};        ///< owner::packed() of this block
    atomic<std::uint64_t> router_owner{0}; ///< of the router's block
    atomic<std::uint64_t> router_block{0}; ///< offset of that
    atomic<std::uint64_t> slot{0};         ///< its place in the router
    atomic<std::uint64_t> generation{0};   ///< in that place
    std::uint64_t         reserved[2] = {};
};
static_assert(sizeof(pipe_header) == 64);

/// The fixed area of the part.
struct pipe_area
{
    std::uint64_t reserved[8] = {};
};

} // namespace atrium::detail
