/// \file
/// Sleeping on a word of shared memory.
#pragma once

#include <atrium/base/deadline.hpp>

#include <atomic>
#include <cstdint>

namespace atrium::os {

/// Sleeps while `word` holds `expected`, until woken or the deadline. May return early for no reason.
/// \returns false once the deadline has passed
bool futex_wait(std::atomic<std::uint32_t> const& word, std::uint32_t expected, deadline until) noexcept;

/// Wakes up to `count` sleepers on `word`, in all processes.
/// \returns whether it woke one
bool futex_wake(std::atomic<std::uint32_t>& word, int count) noexcept;

} // namespace atrium::os
