/// \file
/// Threads' places in a segment.
#pragma once

#include "segment/part.hpp"

#include <atrium/segment/attachment.hpp>

#include <cstddef>

namespace atrium::detail {

/// Gives all lanes of this participant back; it is leaving.
void release_lanes_of(attachment& leaving) noexcept;

/// Gives the lanes of the dead back. \returns how many
[[nodiscard]] std::size_t release_dead_lanes(attachment& in, dead_set const& dead) noexcept;

} // namespace atrium::detail
