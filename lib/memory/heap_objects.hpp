/// \file
/// Counted objects that lie in blocks of the heap, one by one.
#pragma once

#include "memory/memory_state.hpp"
#include "memory/object_space.hpp"

namespace atrium::detail {

/// Frees a place in a table of heap objects that this lane had constructing or dying, and the block of the object.
void free_heap_object(memory_state& memory, lane_state& lane, object_table const& table, object_id id) noexcept;

/// The chunk with the record of an object that this process has found before.
[[nodiscard]] object_table const& known_chunk_of(memory_state const& memory, object_id id) noexcept;

/// Lets others have the places that the lane keeps.
void end_heap_lane(memory_state& memory, lane_state& lane) noexcept;

} // namespace atrium::detail
