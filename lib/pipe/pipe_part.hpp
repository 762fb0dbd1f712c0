/// \file
/// The pipe part's hooks in the life of a segment.
#pragma once

#include "segment/part.hpp"

namespace atrium::detail {

/// Routers and pipes.
[[nodiscard]] part pipe_part() noexcept;

} // namespace atrium::detail
