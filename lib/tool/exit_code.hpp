/// \file
/// What the tool's exit status means.
#pragma once

namespace atrium::tool {

/// Told to users by `--help`.
enum class exit_code : int
{
    done      = 0,
    attention = 1, ///< done, and there is something that somebody should look at
    usage     = 2, ///< the command line was not understood
    not_found = 3, ///< no such segment
    failed    = 4, ///< it could not be done
};

} // namespace atrium::tool
