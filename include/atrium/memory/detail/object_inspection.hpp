/// \file
/// Pools, as they look to somebody who only looks.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_pool.hpp>
#include <atrium/memory/held_references.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace atrium::detail {

/// A pool in the directory.
struct inspected_pool
{
    std::string     name;
    std::string     type; ///< of the pool, readable; may be cut
    pool_counts     counts;
    std::uint64_t   bytes   = 0; ///< of the pool's memory
    std::uint32_t   holders = 0;
    bool            kept    = false;
    bool            closing = false;
    held_references references;
};

/// All pools. Takes no lock, and believes nothing: bytes that contradict themselves are an error.
/// \par Errors  `flat_segment`, `corrupted`, `forked`
[[nodiscard]] result<std::vector<inspected_pool>> inspect_pools(attachment& in);

} // namespace atrium::detail
