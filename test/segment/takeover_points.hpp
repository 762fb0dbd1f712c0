/// \file
/// Where a newcomer is while it takes the row of a dead one over.
#pragma once

#include "support/child.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace atrium::test {

/// In the row, which still says that the dead one is attached, as far as it is noted whose it was.
[[nodiscard]] inline bool is_before_its_row(std::string_view point)
{
    constexpr std::array<std::string_view, 5> points = {"segment.join.noted", "segment.join.byte_locked",
                                                        "segment.join.former_settled", "segment.join.incarnation_drawn",
                                                        "segment.row.field"};
    return std::find(points.begin(), points.end(), point) != points.end();
}

/// Nobody else can recover for the dead one, and the newcomer has not begun to.
[[nodiscard]] inline bool holds_the_row(std::string_view point)
{
    return (is_before_its_row(point) && point != "segment.join.noted") || point == "segment.row.after_state" ||
           point == "segment.open.joined";
}

/// Anywhere before its recovery for the dead one begins.
[[nodiscard]] inline bool is_joining(std::string_view point)
{
    return point.starts_with("segment.open.") || point.starts_with("segment.join.") ||
           point.starts_with("segment.row.");
}

} // namespace atrium::test
