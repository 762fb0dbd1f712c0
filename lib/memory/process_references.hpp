/// \file
/// The cells of this process, and the references bound to them.
#pragma once

#include "memory/lane_use.hpp"
#include "memory/memory_state.hpp"

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>

#include <chrono>
#include <optional>

namespace atrium::detail {

/// An unused reference with an empty cell that the lane has at hand; null where it has none.
[[nodiscard]] inline local_reference* take_reference(lane_state& lane) noexcept
{
    local_reference* const first = lane.free_references;
    if (first == nullptr)
        return nullptr;
    lane.free_references = first->next;
    --lane.free_count;
    return first;
}

/// A reference taken refers to an object, with one use; its cell is not filled, and no home has counted it yet.
inline void bind_reference(local_reference& reference, control_word& word, object_id id, object_pool* pool,
                           std::byte* address, void (*destroy)(std::byte*) noexcept) noexcept
{
    reference.word    = &word;
    reference.object  = address;
    reference.id      = id;
    reference.pool    = pool;
    reference.destroy = destroy;
    reference.uses.store(1, std::memory_order_relaxed);
}

/// Lets the calling thread's lane have some at hand. May wait for the heap: no lane is held.
/// \par Errors  `out_of_memory`, `timed_out`, `corrupted`, `descriptor_lost`
[[nodiscard]] error_code reserve_references(memory_state& memory, deadline until);

/// How long anybody who makes a reference waits for the heap, unless told otherwise; as allocators have it.
inline constexpr std::chrono::seconds reference_patience{10};

/// Takes the calling thread's lane, with a reference at hand, and calls `use(lane, reference)`, which returns a result.
/// \par Errors  as `reserve_references`
template <class Use>
[[nodiscard]] auto with_reference(memory_state& memory, Use use, std::optional<deadline> until = std::nullopt)
{
    using outcome = decltype(use(std::declval<lane_use const&>(), std::declval<local_reference&>()));
    for (;;)
    {
        {
            lane_use const lane(memory);
            if (local_reference* const reference = take_reference(*lane))
                return use(lane, *reference);
        }
        if (error_code const error = reserve_references(memory, until.value_or(deadline(reference_patience))))
            return outcome(error);
    }
}

/// Makes a reference the first of a list of free ones.
inline void push(local_reference*& list, local_reference& reference) noexcept
{
    reference.next = list;
    list           = &reference;
}

/// Lets others of this process have some of those that the lane has at hand.
void share_some(memory_state& memory, lane_state& lane) noexcept;

/// Its cell is empty again.
inline void give_back_reference(memory_state& memory, lane_state& lane, local_reference& reference) noexcept
{
    constexpr std::size_t most_kept = 64;
    push(lane.free_references, reference);
    if (++lane.free_count > most_kept)
        share_some(memory, lane);
}

/// The lane ends: others of this process may have what it kept.
void share_references(memory_state& memory, lane_state& lane) noexcept;

/// Forgets all cells of this process; it leaves, and they are empty.
void forget_cells(memory_state& memory) noexcept;

/// Calls `visit(atomic<std::uint64_t>& cell)` for every cell of the participant in that row.
/// \par Errors  `corrupted`
template <class Visit>
[[nodiscard]] error_code for_each_cell(memory_state const& memory, std::uint32_t row, Visit&& visit)
{
    std::uint64_t left =
        memory.in->committed(); // bytes that the blocks can have together: a chain that has more is a ring
    // Acquire P1, pairs with the release P1 of who made the block: it is whole.
    for (auto at = memory.first_cells[row].load(std::memory_order_acquire); at != 0;)
    {
        if (at % alignof(process_cells) != 0 || !has_memory(memory, at, sizeof(process_cells)))
            return errc::corrupted;
        auto& block = *reinterpret_cast<process_cells*>(memory.in->base() + at);
        auto  count = block.count.load(std::memory_order_relaxed);
        if (count > left / sizeof(std::uint64_t))
            return errc::corrupted;
        std::uint64_t const size = sizeof(process_cells) + count * sizeof(std::uint64_t);
        if (size > left || !has_memory(memory, at, size))
            return errc::corrupted;
        left -= size;
        auto* const cells = reinterpret_cast<atomic<std::uint64_t>*>(&block + 1);
        for (std::uint64_t n = 0; n < count; ++n)
            visit(cells[n]);
        at = block.next.load(std::memory_order_relaxed);
    }
    return {};
}

} // namespace atrium::detail
