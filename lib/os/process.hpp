/// \file
/// This process, its threads and the processors they run on.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace atrium::os {

/// Which pid namespace pids are meant in: device and inode of /proc/self/ns/pid; zeros where it cannot be told.
struct pid_namespace
{
    std::uint64_t device = 0;
    std::uint64_t inode  = 0;
};

[[nodiscard]] std::uint32_t process_id() noexcept;
[[nodiscard]] pid_namespace own_pid_namespace() noexcept;
[[nodiscard]] std::uint32_t effective_user() noexcept;

/// The program's name as the kernel has it, at most 15 characters.
[[nodiscard]] std::string program_name();

/// 128 random bits from the kernel.
[[nodiscard]] std::array<std::uint64_t, 2> random_id();

/// Nanoseconds since the epoch, for people to read; no wait depends on it.
[[nodiscard]] std::uint64_t wall_clock_nanoseconds() noexcept;

/// Nanoseconds of the steady clock, as of its last tick: cheap, and a few milliseconds behind.
[[nodiscard]] std::uint64_t coarse_nanoseconds() noexcept;

/// The processor this thread runs on at the moment.
[[nodiscard]] std::uint32_t current_processor() noexcept;

/// Tells the processor that this is a spin loop.
inline void relax() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield" ::: "memory");
#endif
}

/// Lets another thread run.
void yield() noexcept;

/// Fetches a line that will be read soon. Any address will do.
inline void expect_read(void const* line) noexcept
{
    __builtin_prefetch(line, 0);
}

/// Fetches a line that will be written soon, away from whoever has it.
inline void expect_write(void const* line) noexcept
{
    __builtin_prefetch(line, 1);
}

} // namespace atrium::os
