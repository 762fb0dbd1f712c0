#include "futex_pair.hpp"

#include "process.hpp"

#include <atomic>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>

namespace atrium::bench {

namespace {

/// Each side sleeps on its own word, and the other side counts it up.
struct words
{
    alignas(64) std::atomic<std::uint32_t> there{0}; // written by the asker
    alignas(64) std::atomic<std::uint32_t> back{0};  // written by the answerer
};
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

constexpr std::uint32_t stop = UINT_MAX;

void wake(std::atomic<std::uint32_t>& word, std::uint32_t value)
{
    // Release F1, pairs with the acquire F1 in wait_past.
    word.store(value, std::memory_order_release);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

/// Sleeps until the word is no longer `old`; gives what it is. A wait that is cut short or times out is repeated.
std::uint32_t wait_past(std::atomic<std::uint32_t>& word, std::uint32_t old, sleep how, timespec const& until)
{
    for (;;)
    {
        auto const seen = word.load(std::memory_order_acquire); // F1
        if (seen != old)
            return seen;
        if (how == sleep::timed)
            syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, old, &until, nullptr, FUTEX_BITSET_MATCH_ANY);
        else
            syscall(SYS_futex, &word, FUTEX_WAIT, old, nullptr, nullptr, 0);
    }
}

/// The time a timed wait is given: later than any round can end, and computed once, so that no wait reads the clock.
timespec far_ahead()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    now.tv_sec += 1000;
    return now;
}

void answer(words& w, sleep how)
{
    auto const until = far_ahead();
    for (std::uint32_t last = 0;;)
    {
        auto const seen = wait_past(w.there, last, how, until);
        if (seen == stop)
            return;
        last = seen;
        wake(w.back, seen);
    }
}

constexpr auto endless_one_core = "limit.futex_round_trip_one_core";

registered const here{
    {.name    = endless_one_core,
     .unit    = "us",
     .about   = "two processes asleep on one core wake each other, no timeout",
     .prepare = [] { return futex_ping_pong(sleep::endless, cores().first); }},
    {.name     = "limit.timed_futex_round_trip_one_core",
     .unit     = "us",
     .about    = "two processes asleep on one core wake each other, absolute timeout",
     .baseline = endless_one_core,
     .prepare  = [] { return futex_ping_pong(sleep::timed, cores().first); }},
    {.name     = "limit.futex_round_trip_two_cores",
     .unit     = "us",
     .about    = "two processes asleep on two cores wake each other, no timeout",
     .baseline = endless_one_core,
     .cores    = 2,
     .prepare  = [] { return futex_ping_pong(sleep::endless, cores().second); }},
};

} // namespace

probe futex_ping_pong(sleep how, int core)
{
    return [=, shared = std::make_shared<shared_object<words>>()](nanoseconds budget) {
        auto& w = **shared;
        w.there.store(0, std::memory_order_relaxed); // before the child exists, like the next
        w.back.store(0, std::memory_order_relaxed);
        child         peer(core, [&] { answer(w, how); });
        auto const    until = far_ahead();
        std::uint32_t next  = 1;
        auto          taken = time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n, ++next)
            {
                wake(w.there, next);
                wait_past(w.back, next - 1, how, until);
            }
        });
        wake(w.there, stop);
        peer.wait();
        return scaled(std::move(taken), 1e-3);
    };
}

} // namespace atrium::bench
