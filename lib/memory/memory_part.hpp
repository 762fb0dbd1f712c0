/// \file
/// The memory part's hooks in the life of a segment.
#pragma once

#include "segment/part.hpp"

namespace atrium::detail {

/// Heap and directory.
[[nodiscard]] part memory_part() noexcept;

} // namespace atrium::detail
