/// \file
/// What waiting for a pipe costs while nothing comes.
#include <atrium/pipe/router.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <chrono>
#include <cstdint>
#include <ctime>

namespace atrium::bench {

namespace {

double processor_seconds()
{
    timespec spent = {};
    check(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent), "clock_gettime");
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

/// The share of a processor, in percent, that a process takes which waits in `receive` from beginning to end.
round asleep(nanoseconds budget)
{
    segment const                 in(create_only, segment_name("idle"), bench_options());
    router<std::uint64_t>         numbers(create_only, in, "numbers");
    auto                          pipe    = numbers.subscribe();
    double const                  before  = processor_seconds();
    auto const                    started = std::chrono::steady_clock::now();
    auto const                    got     = pipe.receive(budget);
    std::chrono::duration<double> took    = std::chrono::steady_clock::now() - started;
    used(got.has_value());
    return {.values = {(processor_seconds() - before) / took.count() * 100}, .repetitions = 1};
}

registered const here{
    {.name    = "pipe.idle",
     .unit    = "%",
     .about   = "of a core, while a process waits for a pipe and nothing comes; at most 0.1",
     .prepare = []() -> probe { return asleep; }},
};

} // namespace

} // namespace atrium::bench
