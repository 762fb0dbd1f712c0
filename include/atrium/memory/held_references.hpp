/// \file
/// Who refers to counted objects, for people and tools.
#pragma once

#include <atrium/segment/participant.hpp>

#include <cstdint>
#include <vector>

namespace atrium {

/// References of one process; copies of one handle count as one.
struct participant_references
{
    participant_id by;
    std::uint64_t  count = 0;
};

/// References to the elements of a pool, or to the objects of a heap.
struct held_references
{
    std::vector<participant_references> participants;   ///< those that have some, the dead not yet recovered included
    std::uint64_t                       in_segment = 0; ///< of `segment_ptr`s
};

} // namespace atrium
