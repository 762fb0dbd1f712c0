/// \file
/// Forbids system calls, so that one that is made is seen.
#pragma once

#include "support/child.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace atrium::test {

/// Threads that there are already go on as they were.
template <std::size_t Size> void filter_system_calls(std::array<sock_filter, Size> filter)
{
    sock_fprog const program = {static_cast<unsigned short>(filter.size()), filter.data()};
    require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    require(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/// From now on the process is killed by any system call but write and exit_group.
inline void forbid_system_calls()
{
    // Not the strict mode: that forbids the clock, which makes no system call.
    filter_system_calls(std::array{
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    });
}

/// From now on the process is killed where it sleeps until a time of the wall clock: at a futex, or for no reason. How long
/// a sleep for a duration takes does not depend on a clock, whichever it names (the C library's do that), and a futex
/// without a timeout names one in vain.
inline void forbid_sleeping_by_the_wall_clock()
{
    constexpr auto argument = [](unsigned n) { // the low half: little endian
        return static_cast<unsigned>(offsetof(seccomp_data, args) + n * sizeof(std::uint64_t));
    };
    constexpr unsigned high = sizeof(std::uint32_t);
    filter_system_calls(std::array{
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 6),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(1)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FUTEX_CLOCK_REALTIME, 0, 9),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(3)), // the timeout
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 8),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(3) + high),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 6),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_nanosleep, 0, 4),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(0)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLOCK_REALTIME, 0, 2),
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument(1)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TIMER_ABSTIME, 1, 0),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    });
}

} // namespace atrium::test
