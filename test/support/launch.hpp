/// \file
/// What the starter of a child and the child's main() agree on; for test/support itself.
#pragma once

#include <atrium/base/deadline.hpp>

#include <algorithm>
#include <chrono>

namespace atrium::test::launch {

/// In the child's environment: it was started by a test, and the descriptors below are open.
inline constexpr char const* marker = "ATRIUM_TEST_CHILD";

/// In the child's environment: the size of its own /dev/shm, and whether it gets its own /proc.
inline constexpr char const* shm_size = "ATRIUM_TEST_SHM_SIZE";
inline constexpr char const* own_proc = "ATRIUM_TEST_OWN_PROC";

/// Descriptors that a child finds open besides standard input, output and error.
inline constexpr int lifeline = 3; ///< Hangs up when the test is gone.
inline constexpr int trace    = 4; ///< The page of crash points (crash_trace).

/// True in a child that a test has started; set by run_role().
inline bool by_test = false;

/// The time that poll() is given, at most a second, rounded up.
[[nodiscard]] inline int poll_time(deadline until) noexcept
{
    using std::chrono::milliseconds;
    auto const left = std::min<deadline::clock::duration>(until.remaining(), milliseconds(1000));
    return static_cast<int>(std::chrono::ceil<milliseconds>(left).count());
}

} // namespace atrium::test::launch
