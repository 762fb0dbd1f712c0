/// \file
/// How a segment is joined, or looked at; the steps are in DESIGN.md.
#pragma once

#include "segment/attaching.hpp"

#include <atrium/base/result.hpp>
#include <atrium/segment/segment.hpp>

#include <string>

namespace atrium::detail {

[[nodiscard]] result<opened> open(std::string const& file_name, segment_options const& options);
[[nodiscard]] result<opened> open_for_reading(std::string const& file_name, segment_options const& options);

/// Makes every opening of this thread a participant of its own, as another process would be. For tests.
class unshared_opening
{
public:
    unshared_opening() noexcept;
    ~unshared_opening();
    unshared_opening(unshared_opening const&)            = delete;
    unshared_opening& operator=(unshared_opening const&) = delete;

    [[nodiscard]] static bool active() noexcept;
};

} // namespace atrium::detail
