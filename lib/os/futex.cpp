#include "os/futex.hpp"

#include <cerrno>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace atrium::os {

static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "the kernel compares 32 bits");

bool futex_wait(std::atomic<std::uint32_t> const& word, std::uint32_t expected, deadline until) noexcept
{
    timespec  time    = {};
    timespec* timeout = nullptr;
    if (!until.is_endless())
    {
        // The steady clock is CLOCK_MONOTONIC, which FUTEX_WAIT_BITSET takes as an absolute time.
        auto const since = until.time().time_since_epoch();
        auto const whole = std::chrono::duration_cast<std::chrono::seconds>(since);
        time.tv_sec      = whole.count();
        time.tv_nsec     = std::chrono::nanoseconds(since - whole).count();
        timeout          = &time;
    }
    // Not FUTEX_PRIVATE: the sleepers are in other processes.
    auto const result =
        ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, timeout, nullptr, FUTEX_BITSET_MATCH_ANY);
    return result == 0 || errno != ETIMEDOUT;
}

bool futex_wake(std::atomic<std::uint32_t>& word, int count) noexcept
{
    return ::syscall(SYS_futex, &word, FUTEX_WAKE, count, nullptr, nullptr, 0) > 0;
}

} // namespace atrium::os
