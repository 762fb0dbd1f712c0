/// \file
/// Streams of references between processes: pooled objects made, filled, sent, received, read and dropped.
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"
#include "words.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace atrium::bench {

namespace {

template <std::size_t Bytes> struct object
{
    std::array<std::uint64_t, Bytes / sizeof(std::uint64_t)> words;
};

constexpr std::size_t most = 32; // in a batch

/// Later than any round can end, and computed once.
deadline far_ahead()
{
    return std::chrono::seconds(1000);
}

struct terms
{
    std::size_t batch     = 1;
    std::size_t receivers = 1;
    std::size_t capacity  = 1024;
    std::size_t objects   = 4096;
};

/// A processor for each of two; else there are more of us than processors.
wait_policy policy_of(terms const& how)
{
    return how.receivers == 1 ? wait_policy::streaming() : wait_policy::crowded();
}

/// Reads all that comes until the router is closed; the acknowledgements count what was read.
template <std::size_t Bytes>
void consume(std::string const& name, terms const& how, std::atomic<std::uint64_t>& done, line const& ready)
{
    segment const         in(open_only, name, bench_options());
    pool<object<Bytes>>   objects(open_only, in, "objects");
    router<object<Bytes>> frames(open_only, in, "frames");
    auto                  pipe   = frames.subscribe({.capacity = how.capacity});
    auto const            until  = far_ahead();
    auto const            policy = policy_of(how);
    ready.childs().say();
    std::array<shared_ptr<object<Bytes>>, most> batch;
    auto const                                  receive = [&]() -> std::size_t { // 0: closed
        if (how.batch != 1)
        {
                                             auto const got = pipe.receive(std::span(batch).first(how.batch), until, policy);
                                             return got ? *got : 0;
        }
        auto got = pipe.receive(until, policy);
        if (got)
            batch[0] = std::move(*got);
        return got ? 1 : 0;
    };
    for (std::uint64_t count = 0; std::size_t const got = receive();)
    {
        for (std::size_t n = 0; n != got; ++n)
        {
            used(sum_of(std::span(std::as_const(batch[n]->words))));
            batch[n].reset();
        }
        count += got;
        done.store(count, std::memory_order_release); // S1, pairs with the acquire S1 of the sender
    }
}

struct alignas(64) counted
{
    std::atomic<std::uint64_t> done{0};
};

template <std::size_t Bytes> round stream(nanoseconds budget, terms const& how)
{
    auto const name      = segment_name("stream");
    auto       options   = bench_options();
    options.maximum_size = 1u << 30;
    segment const                         in(create_only, name, options);
    pool<object<Bytes>>                   objects(create_only, in, "objects", {.capacity = how.objects});
    router<object<Bytes>>                 frames(create_only, in, "frames");
    shared_object<std::array<counted, 4>> counts;
    std::vector<std::unique_ptr<line>>    lines;
    std::vector<std::unique_ptr<child>>   consumers;
    for (std::size_t n = 0; n != how.receivers; ++n)
    {
        lines.push_back(std::make_unique<line>());
        int const core = how.receivers > 1 && n % 2 == 1 ? cores().first : cores().second;
        consumers.push_back(
            std::make_unique<child>(core, [&, n] { consume<Bytes>(name, how, (*counts)[n].done, *lines.back()); }));
        lines.back()->parents().hear();
    }
    auto const                                  until = far_ahead();
    std::uint64_t                               sent  = 0;
    std::array<shared_ptr<object<Bytes>>, most> batch;
    auto const                                  one = [&] {
        for (;;)
        {
            if (auto made = objects.make())
                return std::move(*made);
        }
    };
    auto const policy = policy_of(how);
    auto       taken  = time_batches(
               budget,
               [&](std::uint64_t n) {
            while (n != 0)
            {
                std::size_t const now = std::min<std::size_t>(n, how.batch);
                for (std::size_t m = 0; m != now; ++m)
                {
                    batch[m] = one();
                    fill_words(std::span(batch[m]->words), n);
                }
                if (how.batch == 1)
                    frames.send(std::move(batch[0]), until, policy).value();
                else
                    frames.send(std::span(batch).first(now), until, policy).value();
                n -= now;
                sent += now;
            }
            for (std::size_t r = 0; r != how.receivers; ++r)
            {
                while ((*counts)[r].done.load(std::memory_order_acquire) != sent) // S1
                    if (how.receivers > 1)
                        std::this_thread::yield();
            }
        },
        std::chrono::milliseconds(1));
    frames.close();
    for (auto const& consumer : consumers)
        consumer->wait();
    return taken;
}

template <std::size_t Bytes>
figure stream_figure(char const* name, char const* about, char const* baseline, char const* unit, double amount,
                     terms const& how)
{
    return {.name     = name,
            .unit     = unit,
            .about    = about,
            .baseline = baseline,
            .good     = better::higher,
            .cores    = 2,
            .prepare  = [=]() -> probe {
                return [=](nanoseconds budget) { return as_rate(stream<Bytes>(budget, how), amount); };
            }};
}

constexpr auto bare_ring = "limit.spsc_ring_64B";

registered const here{
    stream_figure<64>("pipe.stream_64B", "pooled 64 B made, filled, sent, received, read, dropped; ratio at most 7",
                      bare_ring, "M/s", 1e3, {}),
    stream_figure<64>("pipe.stream_64B_batches", "the same in batches of 32; at most 5", bare_ring, "M/s", 1e3,
                      {.batch = most}),
    stream_figure<64>("pipe.one_to_four_64B", "the same to four receivers, one by one; at least 1.5", "", "M/s", 1e3,
                      {.receivers = 4}),
    stream_figure<64>("pipe.one_to_four_64B_batches", "the same in batches of 32; at least 2.5", "", "M/s", 1e3,
                      {.batch = most, .receivers = 4}),
    stream_figure<1 << 20>("pipe.stream_1MiB", "the same of 1 MiB, one by one, as filled and read; at most 1.11",
                           "limit.spsc_ring_1MiB_in_place", "GB/s", 1 << 20, {.capacity = 8, .objects = 8}),
};

} // namespace

} // namespace atrium::bench
