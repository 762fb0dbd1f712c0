/// \file
/// Starts this program again; for test/support itself (tests: child.hpp).
#pragma once

#include "support/descriptor.hpp"
#include "support/role.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

namespace atrium::test {

/// A child and the test's ends of what connects them.
struct spawned
{
    pid_t      pid = -1;
    descriptor process;  ///< pidfd
    descriptor input;    ///< What is sent here it hears.
    descriptor output;   ///< What it says.
    descriptor errors;   ///< A file with what it wrote to standard error; none where it shares ours.
    descriptor lifeline; ///< Kills its process group when closed.
};

/// Starts `role` in a process group of its own, with `trace` and an environment of ours and `environment`.
[[nodiscard]] spawned spawn(std::string const& role, arguments const& given,
                            std::vector<std::string> const& environment, int trace);

} // namespace atrium::test
