#include <atrium/sync/doorbell.hpp>

#include "os/fork.hpp"
#include "os/futex.hpp"
#include "os/process.hpp"
#include "sync/futex_word.hpp"
#include "sync/spin.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>
#include <climits>

namespace atrium {

namespace {

constexpr std::uint64_t all_flags = 3;
constexpr std::uint64_t one_ring  = 4;

// Raised by those who sleep with that ticket.
constexpr std::uint64_t flag_of(doorbell::ticket seen) noexcept
{
    return seen % 2 == 0 ? 1 : 2;
}

using clock = std::chrono::steady_clock;

constexpr doorbell::ticket probe_every = 16; // rings

} // namespace

void doorbell::ring() noexcept
{
    processor_.store(os::current_processor(), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("doorbell.ring.before");
    // Release B1, pairs with the acquires B1 in look() and rung_since(): what the ring tells of is visible.
    std::uint64_t const before = word_.fetch_add(one_ring, std::memory_order_release);
    ATRIUM_CRASH_POINT("doorbell.ring.counted");
    if ((before & all_flags) == 0)
        return;
    os::futex_wake(detail::low_half(word_), INT_MAX);
    ATRIUM_CRASH_POINT("doorbell.ring.woken");
    // Only now: were this process stopped before, the next to ring would find the flag. While the count is the same, nobody
    // can have raised it since, for those who look now have the other one; later than that it stays to the next.
    std::uint64_t const flag = flag_of(before / one_ring);
    std::uint64_t       word = word_.load(std::memory_order_relaxed);
    while (word / one_ring == before / one_ring + 1 && (word & flag) != 0 &&
           !word_.compare_exchange_weak(word, word & ~flag, std::memory_order_relaxed))
    {}
    ATRIUM_CRASH_POINT("doorbell.ring.flag_taken_down");
}

bool doorbell::rung_since(ticket seen) const noexcept
{
    return look() != seen;
}

result<> doorbell::wait(ticket seen, deadline until, doorbell_wait const& how) noexcept
{
    attachment* const in = attachment::containing(this); // first of all: in a forked child the bell is not there
    if (in == nullptr)
        return os::is_forked_child() ? errc::forked : errc::invalid_argument;
    if (rung_since(seen))
        return {};
    if (error_code const error = in->usable())
        return error;
    if (how.policy.sleeps)
    {
        // No spin outlasts the detection time: from then on somebody must look after the dead.
        bool const too_long = how.policy.spin > in->detection_time();
        if (spin(seen, too_long ? until.earlier(in->detection_time()) : until, how.policy))
            return {};
        if (error_code const error = sleep(*in, seen, until, how.peer, clock::now()))
            return error;
        return {};
    }
    while (!spin(seen, until.earlier(in->detection_time()), how.policy))
    {
        if (how.peer && in->ask(how.peer) == liveness::dead && !rung_since(seen))
            return errc::peer_dead;
        in->tend_if_due(clock::now()); // also where it waits in short pieces
        if (until.passed())
            return errc::timed_out;
    }
    return {};
}

bool doorbell::spin(ticket seen, deadline until, wait_policy const& policy) noexcept
{
    // Who rings where we would spin could not run: then sleep, or at least make room.
    bool const beside = processor_.load(std::memory_order_relaxed) == os::current_processor();
    return detail::spin([&] { return rung_since(seen); }, until, policy,
                        {.beside = beside, .probes = seen % probe_every == 0}, spin_pays_);
}

error_code doorbell::sleep(attachment& in, ticket seen, deadline until, participant_id peer,
                           clock::time_point now) noexcept
{
    auto ask_after = now + in.detection_time();
    for (;; now = clock::now())
    {
        in.tend_if_due(now);
        bool const over   = now >= until.time();
        bool const is_due = now >= ask_after;
        if (is_due)
            ask_after = now + in.detection_time();
        if (peer && (over || is_due) && in.ask(peer) == liveness::dead) // whoever waits in short pieces finds out too
            return rung_since(seen) ? error_code() : make_error_code(errc::peer_dead);
        std::uint64_t word = word_.load(std::memory_order_acquire); // B1
        if (word / one_ring != seen)
            return {};
        if (over)
            return errc::timed_out;
        ATRIUM_CRASH_POINT("doorbell.wait.before_flag");
        std::uint64_t const raised = word | flag_of(seen);
        if (word != raised && !word_.compare_exchange_weak(word, raised, std::memory_order_relaxed))
            continue;
        ATRIUM_CRASH_POINT("doorbell.wait.before_sleep");
        if (os::futex_wait(detail::low_half(word_), static_cast<std::uint32_t>(raised), until.earlier(ask_after)) &&
            rung_since(seen))
            return {};
        ATRIUM_CRASH_POINT("doorbell.wait.woken");
    }
}

} // namespace atrium
