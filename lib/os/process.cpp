#include "os/process.hpp"

#include <chrono>
#include <ctime>
#include <random>

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

namespace atrium::os {

std::uint32_t process_id() noexcept
{
    return static_cast<std::uint32_t>(::getpid());
}

pid_namespace own_pid_namespace() noexcept
{
    struct stat s = {};
    if (::stat("/proc/self/ns/pid", &s) != 0)
        return {};
    return {s.st_dev, s.st_ino};
}

std::uint32_t effective_user() noexcept
{
    return ::geteuid();
}

std::string program_name()
{
    std::array<char, 17> name = {};
    ::prctl(PR_GET_NAME, name.data());
    return name.data();
}

std::array<std::uint64_t, 2> random_id()
{
    std::array<std::uint64_t, 2> id = {};
    if (::getrandom(id.data(), sizeof(id), 0) != static_cast<ssize_t>(sizeof(id)))
    {
        std::random_device source; // interrupted or refused: the library's own way to the same bits
        for (std::uint64_t& word : id)
            word = (std::uint64_t{source()} << 32) | source();
    }
    return id;
}

std::uint64_t wall_clock_nanoseconds() noexcept
{
    auto const since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

std::uint64_t coarse_nanoseconds() noexcept
{
    timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint32_t current_processor() noexcept
{
    // Served from the thread's rseq area where the C library registered one: no system call.
    int const processor = ::sched_getcpu();
    return processor < 0 ? 0 : static_cast<std::uint32_t>(processor);
}

void yield() noexcept
{
    ::sched_yield();
}

} // namespace atrium::os
