/// \file
/// How a segment comes into being; the steps are in DESIGN.md.
#pragma once

#include "segment/attaching.hpp"

#include <atrium/base/result.hpp>
#include <atrium/segment/segment.hpp>

#include <string>

namespace atrium::detail {

[[nodiscard]] result<opened> create(std::string const& file_name, segment_options const& options);
[[nodiscard]] result<opened> open_or_create_file(std::string const& file_name, segment_options const& options);

} // namespace atrium::detail
