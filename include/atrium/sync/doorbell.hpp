/// \file
/// Waiting for something to change, and telling those who wait.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/attachment.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium {

/// How a wait at a doorbell is done, and for whom.
struct doorbell_wait
{
    wait_policy    policy{};
    participant_id peer{}; ///< Ends the wait with `peer_dead` when this participant is gone; nobody: waits for anyone.
};

/// A wait/notify primitive that lies in the segment, in a named object or a flat segment's memory. Those who wait look
/// first, check what they wait for, and sleep only if nobody has rung since they looked:
/// \code
/// for (;;) {
///     auto const seen = bell.look();
///     if (queue_has_something()) break;
///     if (auto rung = bell.wait(seen, 1s); !rung) return rung.error();
/// }
/// \endcode
/// A ring makes a system call only when somebody sleeps, or has slept just before.
/// \par Thread safety  Safe, from any number of processes.
/// \par If a process dies  A sleeper leaves nothing but a flag, which costs the next rings a system call. A process
/// that dies while it rings may fail to wake the sleepers; they look again after the detection time.
class alignas(64) doorbell
{
public:
    /// How often it was rung, for comparing only.
    using ticket = std::uint64_t;

    static constexpr bool is_shareable = true;

    doorbell()                           = default;
    doorbell(doorbell const&)            = delete;
    doorbell& operator=(doorbell const&) = delete;

    /// The ticket to wait with. What was written before a ring that it counts is visible after this.
    [[nodiscard]] ticket look() const noexcept
    {
        // Acquire B1, pairs with the release B1 in ring().
        return word_.load(std::memory_order_acquire) >> 2;
    }

    /// Ends the waits of all who looked before.
    void ring() noexcept;

    /// The processor on which it was rung last; a number that no processor has where it never was.
    [[nodiscard]] std::uint32_t rung_on() const noexcept { return processor_.load(std::memory_order_relaxed); }

    /// Waits until it is rung after `seen` was taken. Spins and sleeps as the policy says; once per detection time it
    /// looks after dead participants and recovers for them.
    /// \par Errors  `timed_out`, `peer_dead`, `forked`, `invalid_argument` when the doorbell lies in no segment of this
    /// process
    [[nodiscard]] result<> wait(ticket seen, deadline until, doorbell_wait const& how = {}) noexcept;

    /// For the parts above, who know their attachment: sleeps at once. \param now  the time, or some moments before
    [[nodiscard]] error_code sleep(attachment& in, ticket seen, deadline until, participant_id peer,
                                   deadline::clock::time_point now) noexcept;

private:
    bool rung_since(ticket seen) const noexcept;
    bool spin(ticket seen, deadline until, wait_policy const& policy) noexcept;

    atomic<std::uint64_t> word_{0};        ///< bits 0, 1: somebody sleeps; above them: how often it was rung
    atomic<std::uint32_t> processor_{~0u}; ///< where the last one to ring ran
    atomic<std::uint32_t> spin_pays_{0};   ///< nanoseconds after which a ring came lately, 0: not known
};
static_assert(sizeof(doorbell) == 64 && atomic<std::uint64_t>::is_always_lock_free);

} // namespace atrium
