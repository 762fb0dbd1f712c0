/// \file
/// The counted objects in a segment's heap, for people and tools.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/held_references.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdint>

namespace atrium {

/// What `make_shared` has made. Looked at without a lock: each number is true for itself.
struct counted_objects_info
{
    std::uint64_t   outstanding = 0; ///< objects there are, those under construction or destruction included
    std::uint64_t   pending     = 0; ///< of these: dropped, and left to a process that knows their type
    held_references references;
};

/// The counted objects in the heap of a segment, which may be attached for reading only. Those in pools are not among
/// them.
/// \par Errors  `flat_segment`, `corrupted`, `forked`
/// \par Complexity  Linear in the most objects and references that the segment ever had.
[[nodiscard]] result<counted_objects_info> counted_objects(segment const& in);

} // namespace atrium
