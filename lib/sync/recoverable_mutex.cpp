#include <atrium/sync/recoverable_mutex.hpp>

#include "os/fork.hpp"
#include "os/futex.hpp"
#include "os/process.hpp"
#include "sync/futex_word.hpp"

#include <chrono>
#include <utility>

namespace atrium {

namespace {

using clock = std::chrono::steady_clock;

constexpr int spins = 100; // an owner at work on another processor is done in about that time

result<attachment*> attachment_of(recoverable_mutex const& mutex)
{
    attachment* const in = attachment::containing(&mutex);
    if (in == nullptr)
        return os::is_forked_child() ? errc::forked : errc::invalid_argument;
    if (error_code const error = in->usable())
        return error;
    return in;
}

} // namespace

result<recoverable_lock> recoverable_mutex::lock(deadline until)
{
    auto const in = attachment_of(*this);
    if (!in)
        return in.error();
    auto const outcome = acquire(**in, until, true);
    if (!outcome)
        return outcome.error();
    return recoverable_lock(*this, *outcome);
}

result<recoverable_lock> recoverable_mutex::try_lock()
{
    return lock(deadline(clock::time_point::min()));
}

// A loaded word is one of:
//   nobody                free: we take it, and leave the flag up, or raise it if we have slept: others may still sleep
//   owner lives           we raise the flag and sleep, for the detection time at most, then ask again
//   owner is gone or dead we take it from the dead; nobody else can: the compare-and-swap names the dead owner
result<lock_outcome> recoverable_mutex::acquire_slowly(attachment& in, deadline until, bool recovers)
{
    std::uint64_t const mine      = in.self().word() << 1;
    std::uint64_t       slept     = 0;
    auto                ask_after = clock::now() + in.detection_time();
    bool                recovered = false;
    for (int turn = 0;; ++turn)
    {
        std::uint64_t        word  = word_.load(std::memory_order_relaxed);
        participant_id const owner = participant_id::from_word(word >> 1);
        auto const           now   = turn < spins ? clock::time_point::min() : clock::now();
        if (!owner)
        {
            if (word_.compare_exchange_weak(word, mine | word | slept, std::memory_order_acquire, // M1
                                            std::memory_order_relaxed))
            {
                ATRIUM_CRASH_POINT("mutex.acquired_slowly");
                return lock_outcome::acquired;
            }
            continue;
        }
        bool const over = turn < spins ? until.time() == clock::time_point::min() : now >= until.time();
        bool const left = in.has_left(owner);
        // Also asked when the time is over: whoever tries in short pieces gets it too.
        if (left || ((over || now >= ask_after) && in.ask(owner) == liveness::dead))
        {
            if (recovers && !in.is_settled(owner) && !std::exchange(recovered, true))
            {
                // First the rest of what the dead had: records of half-done changes to what the mutex guards may be
                // open. No lock is held yet.
                if (auto const done = in.recover(until); !done && done.error() == errc::recovery_busy)
                    return done.error();
                continue;
            }
            if (word_.compare_exchange_strong(word, mine | sleeps_bit, std::memory_order_acquire, // M1
                                              std::memory_order_relaxed))
            {
                ATRIUM_CRASH_POINT("mutex.taken_from_dead");
                return lock_outcome::owner_died;
            }
            continue;
        }
        if (over)
            return errc::timed_out;
        if (turn < spins)
        {
            os::relax();
            continue;
        }
        if (now >= ask_after)
            ask_after = now + in.detection_time();
        ATRIUM_CRASH_POINT("mutex.wait.before_flag");
        if ((word & sleeps_bit) == 0 &&
            !word_.compare_exchange_weak(word, word | sleeps_bit, std::memory_order_relaxed))
            continue;
        slept = sleeps_bit;
        ATRIUM_CRASH_POINT("mutex.wait.before_sleep");
        os::futex_wait(detail::low_half(word_), static_cast<std::uint32_t>(word | sleeps_bit),
                       until.earlier(ask_after));
        ATRIUM_CRASH_POINT("mutex.wait.woken");
    }
}

void recoverable_mutex::wake() noexcept
{
    ATRIUM_CRASH_POINT("mutex.release.before_wake");
    if (os::futex_wake(detail::low_half(word_), 1))
        return; // which takes it with the flag up
    std::uint64_t free = sleeps_bit;
    word_.compare_exchange_strong(free, 0, std::memory_order_relaxed); // nobody sleeps any more
    ATRIUM_CRASH_POINT("mutex.release.flag_taken_down");
}

} // namespace atrium
