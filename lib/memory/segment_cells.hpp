/// \file
/// The cells of references that lie in the segment.
#pragma once

#include "memory/memory_state.hpp"

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_layout.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace atrium::detail {

/// Whether the segment has had references in it at all.
[[nodiscard]] bool has_cells(memory_state const& memory) noexcept;

/// A free cell, reserved for this lane of this process.
/// \par Errors  `out_of_memory`, `timed_out`
[[nodiscard]] result<segment_cell*> reserve_cell(memory_state& memory, std::chrono::nanoseconds patience);

/// A cell of the table, which refers to nothing, and which nobody holds any more, is free.
void free_cell(memory_state& memory, lane_state& lane, segment_cell& cell) noexcept;

/// The cell at an offset.
/// \par Errors  `corrupted`: there can be none
[[nodiscard]] result<segment_cell*> cell_at(memory_state& memory, std::uint64_t offset) noexcept;

/// Lets others have the cells that the lane keeps.
void end_cell_lane(memory_state& memory, lane_state& lane) noexcept;

/// Bytes of the segment, by offset.
struct byte_range
{
    std::uint64_t begin = 0;
    std::uint64_t end   = 0;
};

/// Gives up the reference of a cell whose holder is gone; the cell is free. If it was the last, the object is pending.
void release_cell(memory_state& memory, segment_cell& cell) noexcept;

/// Gives up all references whose holder lies in one of the ranges, which are on their way to be free. Objects that were
/// referred to last become pending. No destructor runs.
/// \returns how many references
std::size_t release_cells_in(memory_state& memory, std::vector<byte_range> ranges);

/// Gives up the references in memory that nobody else looks at and no object lies in: what somebody left there who died
/// between making a reference in a container and counting it.
void release_cells_at(memory_state& memory, std::byte const* at, std::size_t size) noexcept;

/// Gives up what dead lanes had reserved, and what lay in ordinary memory of dead processes; and gives the free cells new
/// hints where dead lanes kept some.
void release_dead_cells(memory_state& memory, std::function<bool(std::uint32_t lane)> const& is_dead);

/// Calls `visit(segment_cell&, offset)` for every cell.
template <class Visit> void for_each_segment_cell(memory_state& memory, Visit visit);

/// All chunks up to the first that is not there, or cannot be where it says. What was returned stays valid.
[[nodiscard]] std::span<cell_chunk const> cell_chunks_of(memory_state& memory) noexcept;

template <class Visit> void for_each_segment_cell(memory_state& memory, Visit visit)
{
    for (cell_chunk const& chunk : cell_chunks_of(memory))
    {
        for (std::uint64_t n = 0; n < chunk.count; ++n)
            visit(chunk.cells[n], memory.in->offset_of(&chunk.cells[n]));
    }
}

} // namespace atrium::detail
