/// \file
/// Counted objects in the heap of a segment.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/heap_object.hpp>
#include <atrium/memory/detail/object_construction.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/segment/segment.hpp>

#include <utility>

namespace atrium {

/// Constructs an object in the segment from `args`, with an allocator of its own where it takes one. What belongs
/// together in size and number is faster in a pool. Write `atrium::make_shared`, also after `using namespace atrium`:
/// without it, an argument of a type of `std` brings in `std::make_shared` as well.
/// \par Errors  `out_of_memory`, `timed_out` (when somebody who stands still has kept the heap for ten seconds), `forked`, `read_only`, `flat_segment`, `corrupted`; throws what the
/// constructor throws, and nothing is left then
/// \par If a process dies  In the constructor: the object and what it had allocated are reclaimed, and no destructor
/// runs.
template <shareable T, class... Args> [[nodiscard]] result<shared_ptr<T>> make_shared(segment const& in, Args&&... args)
{
    auto const claimed = detail::claim_heap_object(*in.attached(), detail::counted_type<T>());
    if (!claimed)
        return claimed.error();
    return detail::construct_claimed<T>(**claimed, std::forward<Args>(args)...);
}

} // namespace atrium
