/// \file
/// Places at which a test may kill or stop the process.
#pragma once

#include <atomic>

namespace atrium::detail {

/// What a test wants done at every crash point; null in programs that are no tests.
/// \par Thread safety  Set before the threads that meet crash points are started.
extern std::atomic<void (*)(char const* name) noexcept> crash_point_hook;

/// Calls the hook, where there is one, with the point's name (`"part.step"`).
void crash_point(char const* name) noexcept;

} // namespace atrium::detail

/// Stands between every two writes to shared memory of an operation. Nothing in ordinary builds.
#ifdef ATRIUM_CRASH_POINTS
#define ATRIUM_CRASH_POINT(name) ::atrium::detail::crash_point(name)
#else
#define ATRIUM_CRASH_POINT(name) static_cast<void>(0)
#endif
