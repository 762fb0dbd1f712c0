/// \file
/// The pools of a segment, for people and tools.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/held_references.hpp>
#include <atrium/pool/pool_options.hpp>
#include <atrium/segment/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace atrium {

/// What becomes of a pool at the moment.
enum class pool_state
{
    live = 1,
    closing, ///< nobody has it open: it goes with its last element
};

/// One pool; each generation of a growing pool is one. Looked at without a lock: each number is true for itself.
struct pool_info
{
    std::string     name;
    std::string     type;       ///< of one object; readable, may be cut
    std::size_t     length = 1; ///< objects in an element; more than one in an array pool
    pool_state      state  = pool_state::live;
    pool_statistics statistics;
    std::uint64_t   bytes   = 0; ///< of all its memory
    std::uint32_t   holders = 0; ///< processes that have it open, the dead not yet recovered included
    bool            kept    = false;
    held_references references; ///< to its elements
};

/// All pools of a segment, which may be attached for reading only.
/// \par Errors  `flat_segment`, `corrupted`, `forked`
/// \par Complexity  Linear in the capacities, and in the most references that the segment ever had.
[[nodiscard]] result<std::vector<pool_info>> pools(segment const& in);

/// A word for a state.
[[nodiscard]] std::string_view to_string(pool_state state) noexcept;

} // namespace atrium
