/// \file
/// What a thread of this process has to change counts with.
#pragma once

#include "memory/control_word.hpp"
#include "memory/kept_blocks.hpp"
#include "memory/place_hints.hpp"
#include "memory/undo_log.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/error.hpp>
#include <atrium/memory/detail/object_layout.hpp>
#include <atrium/segment/lane.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace atrium::detail {

struct memory_state;
struct local_reference;

/// Places kept by a lane, so that most of its claims touch nothing shared.
template <std::size_t Room> struct kept_places
{
    std::array<std::uint32_t, Room> places{};
    std::size_t                     count  = 0;
    std::uint64_t                   cursor = 0;
    bool                            noted  = false; ///< others know that this lane keeps places

    [[nodiscard]] std::span<std::uint32_t> room(std::size_t limit) noexcept
    {
        return std::span(places).first(limit).subspan(count < limit ? count : limit);
    }

    /// Takes what it has room for from a table whose first place is the number `first` of all; none is kept before.
    void take(place_hints const& hints, std::uint32_t lane, std::uint64_t first) noexcept
    {
        hints.set_keeping(lane, true);
        count = hints.take(cursor, places);
        if (count == 0)
            hints.set_keeping(lane, false);
        for (std::size_t n = 0; n < count; ++n)
            places[n] = static_cast<std::uint32_t>(first + places[n]);
    }

    /// Says that the lane keeps places of the table: before one is free, since who dies in between has kept it.
    static void announce(place_hints const& hints, std::uint32_t lane) noexcept
    {
        if (!hints.is_keeping(lane))
            hints.set_keeping(lane, true);
    }

    /// Keeps a free place of the table, or lets others have it.
    void add(place_hints const& hints, std::uint64_t first, std::uint64_t place) noexcept
    {
        if (count < places.size())
            places[count++] = static_cast<std::uint32_t>(first + place);
        else
            hints.set(place);
    }
};

/// The cell of a change, as its record names it; all are offsets.
struct cell_place
{
    std::uint64_t cell    = 0;
    std::uint64_t holder  = 0; ///< of a segment_cell: whose it becomes, or was
    std::uint64_t pointee = 0; ///< attach and move: what a `segment_ptr` that holds the cell points at
    std::uint64_t source  = 0; ///< move: the holder that loses the reference
};

/// One lane, as far as this process uses it. Process-local; belongs to the thread that has the lane.
///
/// A count changes in five steps, each found by a recoverer in the state in which a death left it: note whose era is
/// overwritten, record what is to be done, swing, write the cell, close the record (lib/memory/DESIGN.md).
struct alignas(64) lane_state
{
    lane_row*              row   = nullptr; ///< null while no thread of this process has the lane
    atomic<std::uint64_t>* noted = nullptr; ///< this lane's row of the table of eras
    std::uint32_t          index = 0;
    std::uint32_t          lanes = 0; ///< of the segment
    std::uint64_t          era   = 0; ///< that of `row`, which nobody else writes

    local_reference* free_references = nullptr;
    std::size_t      free_count      = 0;
    kept_places<16>  cells;   ///< of the table of segment cells
    kept_places<16>  records; ///< of the table of heap objects
    kept_blocks      blocks;  ///< of these

    /// Step 1. Whoever overwrites a mark notes it before: else nobody could tell that the swing had happened.
    void note(swing_mark overwritten) const noexcept
    {
        if (overwritten.lane() == index || overwritten.lane() >= lanes)
            return; // no lane, or one that there cannot be
        atomic<std::uint64_t>& known = noted[overwritten.lane()];
        if (known.load(std::memory_order_relaxed) >= overwritten.era())
            return; // a maximum: an older swing may be overwritten later, on another object
        // Relaxed: the swing that follows is a full barrier, N1; pairs with the acquire N1 of who closes records.
        known.store(overwritten.era(), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("reference.noted");
    }

    /// Step 2. Only the words that the kind needs are written.
    void open_record(record_kind kind, object_id object, cell_place const& at) const noexcept
    {
        lane_row& to = *row;
        write(to, record_object, object.word());
        write(to, record_cell, at.cell);
        if (kind > record_kind::detach_process)
        {
            write(to, record_holder, at.holder);
            write(to, record_pointee, at.pointee);
            write(to, record_source, at.source);
        }
        count_record(to, kind);
    }

    /// Step 2 of a push or take: without what the ring itself says.
    void open_ring_record(record_kind kind, object_id object, std::uint64_t cell, std::uint64_t ring,
                          std::uint64_t position) const noexcept
    {
        lane_row& to = *row;
        write(to, record_object, object.word());
        write(to, record_cell, cell);
        write(to, record_holder, ring);
        write(to, record_source, position);
        count_record(to, kind);
    }

    /// The mark of a swing by this lane now.
    [[nodiscard]] swing_mark mark() const noexcept { return {index, era}; }

    /// Step 5, and after every other swing as well: no two swings have one mark.
    void next_era() noexcept
    {
        compiler_barrier(); // what was recorded is done
        // Release N2, pairs with the acquire of the lane by its next thread.
        row->era.store(++era, std::memory_order_release);
        ATRIUM_CRASH_POINT("reference.closed");
    }

private:
    void count_record(lane_row& to, record_kind kind) const noexcept
    {
        compiler_barrier(); // whole before it counts
        write(to, record_open, static_cast<std::uint64_t>(kind) | era << record_kind_bits);
        compiler_barrier(); // and counts before anything is changed
    }

    static void write(lane_row& to, record_word word, std::uint64_t value) noexcept
    {
        // Relaxed: read after this process's death only, which leaves a prefix of its stores.
        to.record[word].store(value, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("reference.record.written");
    }
};

/// Gets memory for a lane's row of the table of eras, and makes the lane ready to be used by this process, unless it is.
[[nodiscard]] error_code prepare_lane(memory_state& memory, std::uint32_t index) noexcept;

/// Whether the lane is in the middle of what its record says, or was when its user died.
[[nodiscard]] inline bool has_open_record(lane_row const& row) noexcept
{
    // Acquire N2: whoever closed the record, or gave the lane back, has written what it says.
    std::uint64_t const era = row.era.load(std::memory_order_acquire);
    return row.record[record_open].load(std::memory_order_relaxed) >> record_kind_bits == era;
}

/// The largest era of a lane that anybody noted.
[[nodiscard]] std::uint64_t noted_era(memory_state const& memory, std::uint32_t of_lane) noexcept;

} // namespace atrium::detail
