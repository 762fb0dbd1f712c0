/// \file
/// Pools in a segment, beside std::make_shared: small and large, empty and nearly used up, from several processes; and
/// what they cost in memory.
#include <atrium/pool/growing_pool.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/pool/pools.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace atrium::bench {

namespace {

using steady = std::chrono::steady_clock;

struct object
{
    char bytes[64];
};

constexpr auto make_shared_name = "limit.make_shared_64B";

segment_options options_for_large_pools()
{
    auto options         = bench_options();
    options.maximum_size = 1u << 30;
    return options;
}

/// A pool, filled in part, with the free places everywhere.
struct filled_pool
{
    filled_pool(std::size_t capacity, std::size_t percent) : objects(create_only, in, "objects", {.capacity = capacity})
    {
        for (std::size_t n = 0; n != capacity; ++n)
            kept.push_back(objects.make().value());
        std::shuffle(kept.begin(), kept.end(), std::mt19937_64(1));
        kept.resize(percent == 0 ? 0 : std::min(capacity - 1, capacity * percent / 100));
    }

    segment                         in{create_only, segment_name("pool"), options_for_large_pools()};
    pool<object>                    objects;
    std::vector<shared_ptr<object>> kept{};
};

template <class Pool> round make_and_drop(Pool& from, nanoseconds budget)
{
    return time_batches(budget, [&](std::uint64_t n) {
        for (; n != 0; --n)
        {
            auto const made = from.make();
            used(made);
        }
    });
}

probe make_drop(std::size_t capacity, std::size_t percent)
{
    return [pool = std::make_shared<filled_pool>(capacity, percent)](nanoseconds budget) {
        return make_and_drop(pool->objects, budget);
    };
}

/// In a pool that has grown by itself.
probe growing_make_drop()
{
    auto const in      = std::make_shared<segment>(create_only, segment_name("growing"), options_for_large_pools());
    auto const objects = std::make_shared<growing_pool<object>>(create_only, *in, "objects", growing_pool_options{});
    std::vector<shared_ptr<object>> many(1000);
    for (auto& one : many)
        one = objects->make().value();
    if (objects->generation() == 0)
        throw std::runtime_error("the pool has not grown");
    return [in, objects](nanoseconds budget) { return make_and_drop(*objects, budget); };
}

/// What the processes of one round share.
struct race
{
    std::atomic<bool>                         go{false};
    std::atomic<bool>                         stop{false};
    std::array<std::atomic<std::uint64_t>, 4> done{};
};

/// Millions of makes and drops in a second, of so many processes together on one pool.
double rate_of(std::size_t processes, nanoseconds time)
{
    std::string const                   name = segment_name("together");
    segment const                       in(create_only, name, options_for_large_pools());
    pool<object> const                  objects(create_only, in, "objects", {.capacity = 10'000});
    shared_object<race>                 between;
    std::vector<std::unique_ptr<line>>  lines;
    std::vector<std::unique_ptr<child>> running;
    for (std::size_t n = 0; n != processes; ++n)
    {
        lines.push_back(std::make_unique<line>());
        running.push_back(std::make_unique<child>(n % 2 == 0 ? cores().first : cores().second, [&, n] {
            segment const opened(open_only, name, options_for_large_pools());
            pool<object>  own(open_only, opened, "objects");
            lines.back()->childs().say();
            while (!between->go.load())
                std::this_thread::yield();
            std::uint64_t count = 0;
            for (; !between->stop.load(std::memory_order_relaxed); ++count)
            {
                auto const made = own.make();
                used(made);
            }
            between->done[n].store(count);
        }));
        lines.back()->parents().hear();
    }
    auto const start = steady::now();
    between->go.store(true);
    std::this_thread::sleep_for(time);
    between->stop.store(true);
    auto const    taken = std::chrono::duration<double, std::micro>(steady::now() - start).count();
    std::uint64_t sum   = 0;
    for (std::size_t n = 0; n != processes; ++n)
    {
        running[n]->wait();
        sum += between->done[n].load();
    }
    return static_cast<double>(sum) / taken;
}

probe processes_together(std::size_t processes)
{
    return [=](nanoseconds budget) { return collect(nanoseconds(0), [&] { return rate_of(processes, budget); }); };
}

/// Bytes that an element costs beside itself.
double overhead(std::size_t capacity)
{
    segment const      in(create_only, segment_name("memory"), options_for_large_pools());
    pool<object> const objects(create_only, in, "objects", {.capacity = capacity});
    return static_cast<double>(pools(in).value().at(0).bytes) / static_cast<double>(capacity) - sizeof(object);
}

std::vector<figure> make_drop_figures()
{
    std::vector<figure> figures;
    for (auto const& [capacity, name] : {std::pair{64, "64"}, {1000, "1k"}, {100'000, "100k"}, {1'000'000, "1M"}})
    {
        for (int const percent : {0, 50, 99})
            figures.push_back(
                {.name  = std::string("pool.make_drop_64B_of_") + name + "_" + std::to_string(percent) + "_percent",
                 .unit  = "ns",
                 .about = std::string("make 64 B in a pool of ") + name + " that is " + std::to_string(percent) +
                          " % full, and drop it",
                 .baseline = make_shared_name,
                 .prepare  = [places = static_cast<std::size_t>(capacity), percent] {
                     return make_drop(places, static_cast<std::size_t>(percent));
                 }});
    }
    return figures;
}

std::vector<figure> memory_figures()
{
    std::vector<figure> figures;
    for (auto const& [capacity, name] : {std::pair{1000, "1k"}, {100'000, "100k"}, {1'000'000, "1M"}})
        figures.push_back({.name    = std::string("pool.bytes_beside_element_of_") + name,
                           .unit    = "B",
                           .about   = std::string("memory of a pool of ") + name + " beside its elements, for each",
                           .prepare = [places = static_cast<std::size_t>(capacity)] {
                               return probe([places](nanoseconds) {
                                   return collect(nanoseconds(0), [=] { return overhead(places); });
                               });
                           }});
    return figures;
}

constexpr auto one_process_name = "pool.one_process";

registered const sizes(make_drop_figures());
registered const memory(memory_figures());
registered const here{
    {.name     = "pool.make_drop_64B",
     .unit     = "ns",
     .about    = "make 64 B in a pool of 4096, and drop it; should stay below 4",
     .baseline = make_shared_name,
     .prepare  = [] { return make_drop(4096, 0); }},
    {.name     = "pool.growing_make_drop",
     .unit     = "ns",
     .about    = "make 64 B in a growing_pool that has grown, and drop it",
     .baseline = make_shared_name,
     .prepare  = growing_make_drop},
    {.name    = one_process_name,
     .unit    = "M/s",
     .about   = "makes and drops of one process",
     .good    = better::higher,
     .cores   = 2,
     .prepare = [] { return processes_together(1); }},
    {.name     = "pool.four_processes",
     .unit     = "M/s",
     .about    = "the same of four processes together on two cores; should stay below 0.83",
     .baseline = one_process_name,
     .good     = better::higher,
     .cores    = 2,
     .prepare  = [] { return processes_together(4); }},
};

} // namespace

} // namespace atrium::bench
