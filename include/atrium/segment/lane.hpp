/// \file
/// One thread's place in a segment, as the parts above use it. Programs have no use for it.
#pragma once

#include <atrium/base/atomic.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace atrium {

/// One thread's place: whose it is, its era, and the record of the operation that it is in. Lies in the segment, one
/// cache line. The first rows, one for each participant, are the participants' shared lanes, which nobody claims.
///
/// A record is open while the era in its last word is the lane's own: that word is written last, and `era` closes it.
/// What the words mean is the business of the part that writes records (memory).
struct lane_row
{
    alignas(64) atomic<std::uint64_t> owner{0}; ///< participant_id::word(); 0: free. Always 0 in shared lanes.
    atomic<std::uint64_t> era{1};               ///< never reset, also when the lane gets another thread
    atomic<std::uint64_t> record[6] = {};
};
static_assert(sizeof(lane_row) == 64 && offsetof(lane_row, record) == 16);

} // namespace atrium
