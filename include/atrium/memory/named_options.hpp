/// \file
/// What is chosen when a named object is made or opened.
#pragma once

#include <chrono>
#include <cstdint>

namespace atrium {

/// What the constructor of a named object chooses.
struct named_options
{
    bool                      keep = false; ///< Stays after its last handle, until somebody calls `set_keep(false)`.
    std::uint32_t             holders_limit = 0; ///< Processes that may hold it at a time; 0: no limit.
    std::chrono::milliseconds patience{10'000};  ///< How long to wait for others who construct or destroy it.
};

} // namespace atrium
