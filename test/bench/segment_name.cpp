#include "segment_name.hpp"

#include <unistd.h>

namespace atrium::bench {

namespace {

/// Taken before any child is made.
auto const program = std::to_string(getpid());

} // namespace

std::string segment_name(std::string_view purpose)
{
    return std::string(purpose) + "." + program;
}

segment_options bench_options()
{
    segment_options options;
    options.domain = "atrium_bench";
    return options;
}

} // namespace atrium::bench
