/// \file
/// What waiting for a pipe costs: while nothing comes, and while nobody makes room.
#include <atrium/memory/make_shared.hpp>
#include <atrium/pipe/router.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <chrono>
#include <cstdint>
#include <ctime>
#include <stdexcept>

namespace atrium::bench {

namespace {

double processor_seconds()
{
    timespec spent = {};
    check(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), "clock_gettime");
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

/// The share of a processor, in percent, that a process takes in that wait.
template <class Wait> round share_of(Wait const& wait)
{
    double const                        before  = processor_seconds();
    auto const                          started = std::chrono::steady_clock::now();
    bool const                          ended   = wait();
    std::chrono::duration<double> const took    = std::chrono::steady_clock::now() - started;
    used(ended);
    return {.values = {(processor_seconds() - before) / took.count() * 100}, .repetitions = 1};
}

round receives(nanoseconds budget)
{
    segment const         in(create_only, segment_name("idle"), bench_options());
    router<std::uint64_t> numbers(create_only, in, "numbers");
    auto                  pipe = numbers.subscribe();
    return share_of([&] { return pipe.receive(budget).has_value(); });
}

round sends(nanoseconds budget)
{
    segment const         in(create_only, segment_name("idle"), bench_options());
    router<std::uint64_t> numbers(create_only, in, "numbers");
    auto const            full = numbers.subscribe({.capacity = 1});
    auto const            one  = make_shared<std::uint64_t>(in, 1u).value();
    if (numbers.send(one, no_deadline).value().delivered() != 1)
        throw std::runtime_error("the pipe takes nothing");
    return share_of([&] { return numbers.send(one, budget)->delivered() != 0; });
}

registered const here{
    {.name    = "pipe.idle",
     .unit    = "%",
     .about   = "of a core, while a process waits for a pipe and nothing comes; at most 0.1",
     .prepare = []() -> probe { return receives; }},
    {.name    = "pipe.idle_sender",
     .unit    = "%",
     .about   = "the same while a process waits for room; at most 0.1",
     .prepare = []() -> probe { return sends; }},
};

} // namespace

} // namespace atrium::bench
