/// \file
/// What a recovery did.
#pragma once

#include <atrium/segment/participant.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace atrium {

/// What one recovery did for the dead participants of a segment. All zero where nobody had died, but for what was given
/// back that had been lost at earlier deaths.
struct recovery_report
{
    std::vector<participant_id> dead;         ///< whose traces were removed
    std::size_t   operations_rolled_back = 0; ///< half-done operations of the heap and directory that were undone
    std::size_t   blocks_reclaimed       = 0; ///< heap blocks that went with their owners
    std::uint64_t bytes_reclaimed        = 0; ///< the bytes of these blocks
    std::size_t   lanes_released         = 0; ///< lanes of dead threads
    std::size_t   holds_released         = 0; ///< holds of named objects
    std::size_t   references_released    = 0; ///< counted references that they held
    std::size_t   objects_abandoned = 0; ///< objects cut off in their constructor or destructor, reclaimed as they were
    std::size_t   objects_destroyed = 0; ///< objects whose last holder was dead, destroyed by this process
    std::size_t   objects_pending   = 0; ///< the same, left to the next process that knows their type
    std::chrono::nanoseconds duration{0};
};

/// Hears of recoveries that this process did; called without a lock held, on the thread that did it.
using recovery_callback = std::function<void(recovery_report const&)>;

} // namespace atrium
