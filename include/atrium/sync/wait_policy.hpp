/// \file
/// How a wait spends its time before it sleeps.
#pragma once

#include <chrono>

namespace atrium {

/// Spin, then yield, then sleep. Sleeping costs the one who wakes a system call and the sleeper its wake-up; spinning
/// costs a processor. Against a peer that last ran on the waiter's own processor nobody spins, since it could not run: who may sleep
/// sleeps at once, who may not yields.
struct wait_policy
{
    std::chrono::nanoseconds spin{20'000};  ///< Longest time to spin; 0: not at all.
    unsigned                 yields = 0;    ///< How often to yield the processor after that.
    bool                     sleeps = true; ///< False: spins until the deadline, whatever `spin` is, and never sleeps.
    bool                     adaptive = true; ///< Spins as long as it paid lately, `spin` at most.

    /// Who spins looks again only after so long: several things come at once, and each look takes a cache line away from
    /// whoever writes it.
    std::chrono::nanoseconds gather{0};

    /// Never sleeps: lowest latency, and a processor each.
    [[nodiscard]] static constexpr wait_policy busy() noexcept
    {
        return {.spin = std::chrono::hours(1), .yields = 0, .sleeps = false, .adaptive = false};
    }

    /// Never sleeps, and looks less often: most references a second, each up to half a microsecond later.
    [[nodiscard]] static constexpr wait_policy streaming() noexcept
    {
        return {.spin     = std::chrono::hours(1),
                .yields   = 0,
                .sleeps   = false,
                .adaptive = false,
                .gather   = std::chrono::nanoseconds(500)};
    }

    /// For more busy processes than processors: makes room for others first, and sleeps when they have nothing to do either.
    [[nodiscard]] static constexpr wait_policy crowded() noexcept
    {
        return {.spin = std::chrono::nanoseconds(0), .yields = 100, .sleeps = true, .adaptive = false};
    }

    /// Spins for a moment while that pays; the default.
    [[nodiscard]] static constexpr wait_policy balanced() noexcept { return {}; }

    /// Sleeps at once.
    [[nodiscard]] static constexpr wait_policy frugal() noexcept
    {
        return {.spin = std::chrono::nanoseconds(0), .yields = 0, .sleeps = true, .adaptive = false};
    }
};

} // namespace atrium
