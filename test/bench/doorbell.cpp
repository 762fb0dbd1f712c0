/// \file
/// Ringing and waiting between two processes: asleep on one core, spinning on two.
#include <atrium/sync/doorbell.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <memory>
#include <new>
#include <stdexcept>

namespace atrium::bench {

namespace {

/// What lies in the segment.
struct bells
{
    doorbell              there;
    doorbell              back;
    atomic<std::uint32_t> stop{0}; // written by the asker before its last ring
};

/// The start of a flat segment's memory.
void* memory_of(segment const& in)
{
    auto const memory = in.flat_memory().value();
    if (memory.size() < sizeof(bells) || reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(bells) != 0)
        throw std::runtime_error("the flat memory does not hold two doorbells");
    return memory.data();
}

segment_options flat_options()
{
    auto options = bench_options();
    options.flat = true;
    return options;
}

/// Later than any round can end, and computed once, as for the bare futex.
deadline far_ahead()
{
    return std::chrono::seconds(1000);
}

void answer(std::string const& name, wait_policy policy, line const& ready)
{
    segment const opened(open_only, name, flat_options());
    auto&         b     = *static_cast<bells*>(memory_of(opened));
    auto const    until = far_ahead();
    auto          seen  = b.there.look();
    ready.childs().say();
    for (;;)
    {
        b.there.wait(seen, until, {.policy = policy}).value();
        seen = b.there.look();
        // Relaxed: written before the ring that look() has seen.
        if (b.stop.load(std::memory_order_relaxed) != 0)
            return;
        b.back.ring();
    }
}

/// Nanoseconds for a ring there and a ring back; the peer is pinned to `core`.
round round_trip(nanoseconds budget, wait_policy policy, int core)
{
    auto const    name = segment_name("doorbell");
    segment const made(create_only, name, flat_options());
    auto&         b = *new (memory_of(made)) bells;
    line          ready;
    child         peer(core, [&] { answer(name, policy, ready); });
    ready.parents().hear();
    auto const until = far_ahead();
    auto       taken = time_batches(budget, [&](std::uint64_t n) {
        for (; n != 0; --n)
        {
            auto const seen = b.back.look();
            b.there.ring();
            b.back.wait(seen, until, {.policy = policy}).value();
        }
    });
    b.stop.store(1, std::memory_order_relaxed); // the ring releases it
    b.there.ring();
    peer.wait();
    return taken;
}

round ring_unheard(nanoseconds budget)
{
    segment const made(create_only, segment_name("ring"), flat_options());
    auto&         b = *new (memory_of(made)) bells;
    return time_batches(budget, [&](std::uint64_t n) {
        for (; n != 0; --n)
            b.there.ring();
    });
}

/// A figure whose peer runs on the first core or on the second.
figure round_trip_figure(char const* name, char const* about, char const* baseline, wait_policy policy, int count)
{
    bool const in_microseconds = std::string(baseline).find("futex") != std::string::npos;
    return {.name     = name,
            .unit     = in_microseconds ? "us" : "ns",
            .about    = about,
            .baseline = baseline,
            .cores    = count,
            .prepare  = [=]() -> probe {
                return [=](nanoseconds budget) {
                    auto const core = count == 1 ? cores().first : cores().second;
                    return scaled(round_trip(budget, policy, core), in_microseconds ? 1e-3 : 1);
                };
            }};
}

registered const here{
    round_trip_figure("doorbell.round_trip_one_core",
                      "two processes asleep on one core ring each other; ratio at most 1.15, better 1.08",
                      "limit.timed_futex_round_trip_one_core", wait_policy::balanced(), 1),
    round_trip_figure("doorbell.round_trip_two_cores", "two processes on two cores ring each other, waiting by default",
                      "limit.atomic_ping_pong", wait_policy::balanced(), 2),
    round_trip_figure("doorbell.round_trip_two_cores_busy", "two processes on two cores ring each other, only spinning",
                      "limit.atomic_ping_pong", wait_policy::busy(), 2),
    round_trip_figure("doorbell.round_trip_two_cores_frugal",
                      "two processes on two cores ring each other, sleeping at once",
                      "limit.futex_round_trip_two_cores", wait_policy::frugal(), 2),
    {.name    = "doorbell.ring_unheard",
     .unit    = "ns",
     .about   = "a ring while nobody waits",
     .prepare = [] { return probe(ring_unheard); }},
};

} // namespace

} // namespace atrium::bench
