/// \file
/// How a wait spends its time before it sleeps.
#pragma once

#include "os/process.hpp"

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

namespace atrium::detail {

/// What a spin knows of those it waits for.
struct spin_against
{
    bool beside = false; ///< They ran on this thread's processor lately: where it spins they cannot run.
    bool probes = true;  ///< Now and then the full length is spun, where that has not paid lately.
};

/// How long who waits spins, at most; 0: not at all.
/// \param pays  as for spin()
[[nodiscard]] inline std::chrono::nanoseconds spin_length(wait_policy const& policy, spin_against const& peer,
                                                          atomic<std::uint32_t> const& pays) noexcept
{
    if (!policy.sleeps)
        return std::chrono::hours(1);
    if (peer.beside)
        return {};
    if (policy.adaptive)
    {
        auto const lately = std::chrono::nanoseconds(pays.load(std::memory_order_relaxed));
        // Twice what it took lately. Where sleeping was better, still the full length at times: two sides that have
        // both gone to sleep answer late, and would never find out that they need not.
        if (lately.count() != 0 && lately * 2 <= policy.spin)
            return lately * 2;
        if (lately.count() != 0 && !peer.probes)
            return {};
    }
    return policy.spin;
}

/// Spins, then yields, as the policy says, until `ready()`.
/// \param pays  Nanoseconds after which spinning paid lately, 0: not known. Only advice: any value is right.
/// \returns what `ready()` said last
template <class Ready>
[[nodiscard]] bool spin(Ready const& ready, deadline until, wait_policy const& policy, spin_against const& peer,
                        atomic<std::uint32_t>& pays) noexcept
{
    using clock        = std::chrono::steady_clock;
    auto const longest = spin_length(policy, peer, pays);
    if (longest.count() <= 0 && policy.yields == 0)
        return false;

    auto const started = clock::now();
    auto const end =
        std::min(started + std::min<std::chrono::nanoseconds>(longest, std::chrono::hours(1)), until.time());
    bool       done = false;
    auto const look = [&] { // a few times; nothing stands between what came and the return
        for (int turn = 0; turn < 16 && !done; ++turn)
        {
            if (turn % 4 == 0)
                peer.beside ? os::yield() : os::relax();
            done = ready();
        }
        return done;
    };
    auto       now     = started;
    auto const gathers = peer.beside ? started : std::min(started + policy.gather, end);
    for (; now < gathers; now = clock::now())
        os::relax();
    for (; now < end && !look(); now = clock::now())
    {}
    for (unsigned turn = 0; turn < policy.yields && !done && !until.passed(); ++turn)
    {
        os::yield();
        done = ready();
    }
    if (policy.adaptive)
    {
        auto const took = std::chrono::nanoseconds(clock::now() - started).count();
        auto const note = done ? std::clamp<std::int64_t>(took, 1, INT_MAX) : std::int64_t{INT_MAX};
        pays.store(static_cast<std::uint32_t>(note), std::memory_order_relaxed);
    }
    return done;
}

} // namespace atrium::detail
