/// \file
/// A mutex that survives the death of its owner.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstdint>
#include <utility>

namespace atrium {

class recoverable_mutex;

/// How a mutex was come by.
enum class lock_outcome
{
    acquired = 1,
    owner_died, ///< its owner died with it: what it guards may be half-changed
};

/// Holds a mutex; lets go at its end.
class recoverable_lock
{
public:
    recoverable_lock() = default;
    recoverable_lock(recoverable_mutex& mutex, lock_outcome outcome) noexcept : mutex_(&mutex), outcome_(outcome) {}
    recoverable_lock(recoverable_lock&& other) noexcept
        : mutex_(std::exchange(other.mutex_, nullptr)), outcome_(other.outcome_)
    {}
    recoverable_lock& operator=(recoverable_lock&& other) noexcept
    {
        if (this != &other)
        {
            unlock();
            mutex_   = std::exchange(other.mutex_, nullptr);
            outcome_ = other.outcome_;
        }
        return *this;
    }
    ~recoverable_lock() { unlock(); }

    /// True when the owner before died with the mutex: check what it guards before relying on it.
    [[nodiscard]] bool owner_died() const noexcept { return outcome_ == lock_outcome::owner_died; }

    /// False once it was unlocked or moved from, and in a forked child: the parent holds it.
    [[nodiscard]] bool holds() const noexcept { return mutex_ != nullptr && attachment::containing(mutex_) != nullptr; }

    void unlock() noexcept;

private:
    recoverable_mutex* mutex_   = nullptr;
    lock_outcome       outcome_ = lock_outcome::acquired;
};

/// A mutex between processes and threads, in a segment. Not recursive.
/// \par Thread safety  Safe, from any number of processes.
/// \par If a process dies  Whoever waits for it finds out after the detection time, becomes the owner, and is told that
/// the owner died; a stopped owner is waited for.
class recoverable_mutex
{
public:
    static constexpr bool is_shareable = true;

    recoverable_mutex()                                    = default;
    recoverable_mutex(recoverable_mutex const&)            = delete;
    recoverable_mutex& operator=(recoverable_mutex const&) = delete;

    /// Locks; what comes back unlocks.
    /// \par Errors  `timed_out`, `forked`, `read_only`, `invalid_argument` when the mutex lies in no segment of this
    /// process
    [[nodiscard]] result<recoverable_lock> lock(deadline until);

    /// Locks if it is free or its owner is dead; never waits.
    /// \par Errors  as lock(); `timed_out` when it
    /// is taken
    [[nodiscard]] result<recoverable_lock> try_lock();

    /// For the parts above, who know their attachment: lock without a guard. \param recovers  whoever takes it from the
    /// dead recovers for them first, which takes the heap's mutex and runs users' code
    [[nodiscard]] result<lock_outcome> acquire(attachment& in, deadline until, bool recovers = false)
    {
        std::uint64_t expected = 0;
        // Acquire M1, pairs with the release M1 in release(): what the mutex guards is as its last owner left it.
        if (word_.compare_exchange_strong(expected, in.self().word() << 1, std::memory_order_acquire,
                                          std::memory_order_relaxed))
        {
            ATRIUM_CRASH_POINT("mutex.acquired");
            return lock_outcome::acquired;
        }
        return acquire_slowly(in, until, recovers);
    }

    /// Lets go. The caller holds the mutex, which stays until this returns, whoever has it next.
    void release() noexcept
    {
        ATRIUM_CRASH_POINT("mutex.release.before");
        std::uint64_t before = word_.load(std::memory_order_relaxed); // others change nothing but the flag
        bool const    is_alone =
            (before & sleeps_bit) == 0 && word_.compare_exchange_strong(before, 0, std::memory_order_release, // M1
                                                                        std::memory_order_relaxed);
        if (!is_alone)
            word_.store(sleeps_bit, std::memory_order_release); // M1
        ATRIUM_CRASH_POINT("mutex.release.free");
        if (!is_alone)
            wake();
    }

    /// Who has it; nobody when it is free. For people to look at.
    [[nodiscard]] participant_id owner() const noexcept
    {
        return participant_id::from_word(word_.load(std::memory_order_relaxed) >> 1);
    }

private:
    static constexpr std::uint64_t sleeps_bit = 1;

    result<lock_outcome> acquire_slowly(attachment& in, deadline until, bool recovers);
    void                 wake() noexcept;

    atomic<std::uint64_t> word_{0}; ///< bit 0: somebody may sleep; above it: the owner's participant word, 0: free
};
static_assert(sizeof(recoverable_mutex) == 8);

inline void recoverable_lock::unlock() noexcept
{
    if (holds())
        mutex_->release();
    mutex_ = nullptr;
}

} // namespace atrium
