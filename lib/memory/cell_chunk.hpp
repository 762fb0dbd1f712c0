/// \file
/// A process's view of a chunk of the table of segment cells.
#pragma once

#include "memory/place_hints.hpp"

#include <atrium/memory/detail/object_layout.hpp>

#include <cstdint>

namespace atrium::detail {

/// Some cells that lie together, and the hints for them. Chunks stay where they are.
struct cell_chunk
{
    segment_cell* cells = nullptr;
    std::uint64_t count = 0;
    std::uint64_t first = 0; ///< index of the first cell among those of all chunks
    place_hints   hints;

    [[nodiscard]] bool contains(segment_cell const* cell) const noexcept
    {
        return cell >= cells && cell < cells + count;
    }
};

} // namespace atrium::detail
