/// \file
/// Where the program keeps the segments it measures.
#pragma once

#include <atrium/segment/segment.hpp>

#include <string>
#include <string_view>

namespace atrium::bench {

/// A segment of this run of the program, the same for it and its children; nobody else uses the name.
[[nodiscard]] std::string segment_name(std::string_view purpose);

/// The default settings, in a domain of the program's own.
[[nodiscard]] segment_options bench_options();

} // namespace atrium::bench
