/// \file
/// Changing a count together with the cell that causes it; the steps are in DESIGN.md.
#pragma once

#include "memory/lane_state.hpp"
#include "memory/object_table.hpp"

#include <atrium/base/error.hpp>
#include <atrium/memory/detail/object_layout.hpp>

#include <cstdint>
#include <optional>

namespace atrium::detail {

/// Makes a place without a mark of its own constructing, by this lane. No record: a death from here on leaves the word
/// as it is, and a recoverer finds it by the lane.
/// \returns false where it is not free, or somebody else was faster
[[nodiscard]] inline bool begin_construction(lane_state& lane, control_word& word) noexcept
{
    seen_word const seen = look_at(word);
    if (seen.value.state() != object_state::free)
        return false;
    lane.note(seen.mark);
    if (!swing(word, seen, seen.value.with(object_state::constructing, 0), lane.mark()))
        return false;
    ATRIUM_CRASH_POINT("object.claimed");
    lane.next_era();
    return true;
}

/// Counts one more, then calls `write_cell()`. `generation`, where given, must be the object's.
/// \returns `expired` where the object is not live or not that one, `too_many_references`
template <class WriteCell>
[[nodiscard]] error_code attach(lane_state& lane, record_kind kind, control_word& word, object_id id,
                                std::optional<std::uint64_t> generation, cell_place const& at,
                                WriteCell write_cell) noexcept
{
    bool recorded = false;
    for (;;)
    {
        seen_word const seen = look_at(word);
        error_code      error;
        if (seen.value.state() != object_state::live || (generation && seen.value.generation() != *generation))
            error = errc::expired;
        else if (seen.value.count() == object_value::largest_count)
            error = errc::too_many_references;
        if (error)
        {
            if (recorded)
                lane.next_era(); // nothing was swung: the record is void
            return error;
        }
        if (!recorded)
            lane.open_record(kind, id, at);
        recorded = true;
        lane.note(seen.mark);
        if (swing(word, seen, seen.value.with(object_state::live, seen.value.count() + 1), lane.mark()))
            break;
    }
    ATRIUM_CRASH_POINT("reference.attached");
    write_cell();
    lane.next_era();
    return {};
}

/// Counts one less, then calls `write_cell()`. The last one leaves the object in the state `last`: dying by this lane,
/// or pending.
/// \returns true when it was the last
template <class WriteCell>
[[nodiscard]] bool detach(lane_state& lane, record_kind kind, control_word& word, object_id id, object_state last,
                          cell_place const& at, WriteCell write_cell) noexcept
{
    lane.open_record(kind, id, at);
    bool was_last = false;
    for (;;)
    {
        seen_word const seen = look_at(word);
        if (seen.value.state() != object_state::live || seen.value.count() == 0)
            break; // somebody has scribbled; the cell goes all the same
        was_last = seen.value.count() == 1;
        lane.note(seen.mark);
        if (swing(word, seen,
                  was_last ? seen.value.with(last, 0) : seen.value.with(object_state::live, seen.value.count() - 1),
                  lane.mark()))
            break;
        was_last = false;
    }
    ATRIUM_CRASH_POINT("reference.detached");
    write_cell();
    lane.next_era();
    return was_last;
}

/// Makes a pending object dying by this lane. `generation`, where given, must be the object's.
/// \returns false where somebody else was faster
[[nodiscard]] inline bool claim_pending(lane_state& lane, control_word& word,
                                        std::optional<std::uint64_t> generation) noexcept
{
    seen_word const seen = look_at(word);
    if (seen.value.state() != object_state::pending || (generation && seen.value.generation() != *generation))
        return false;
    lane.note(seen.mark);
    if (!swing(word, seen, seen.value.with(object_state::dying, 0), lane.mark()))
        return false;
    ATRIUM_CRASH_POINT("object.pending_claimed");
    lane.next_era();
    return true;
}

/// The object that this lane constructed is live, with one cell, which says so already.
inline void publish(control_word& word) noexcept
{
    // No swing: a constructing object is its lane's alone. Release O1: the object is whole.
    object_value const value(word.value.load(std::memory_order_relaxed));
    word.value.store(value.with(object_state::live, 1).word(), std::memory_order_release);
    ATRIUM_CRASH_POINT("object.live");
}

/// The place of an object that this lane has constructed or destroyed, or reclaims for a dead lane, is free.
inline void free_place(control_word& word) noexcept
{
    // No swing, as above. Release O1: whoever takes the place next comes after all that was done there.
    object_value const value(word.value.load(std::memory_order_relaxed));
    word.value.store(value.freed().word(), std::memory_order_release);
    ATRIUM_CRASH_POINT("object.freed");
}

/// The same for a lane that keeps nothing of the table, as when its process has the pool not open. Its flag says so to
/// whoever recovers, should it die with the place free and the hint not set; and a flag keeps a pool.
inline void free_as_visitor(object_table const& table, std::uint64_t index, std::uint32_t lane) noexcept
{
    std::uint32_t const visitor = table.visitor(lane);
    table.hints().set_keeping(visitor, true);
    free_place(table.word(index));
    table.hints().set(index);
    table.hints().set_keeping(visitor, false);
}

} // namespace atrium::detail
