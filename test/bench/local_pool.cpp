/// \file
/// Pools of one process beside std::make_shared. The program has had a second thread, so counts are locked as they are
/// in any program that needs these pools.
#include "figure.hpp"
#include "process.hpp"

#include <atrium/pool/local_array_pool.hpp>
#include <atrium/pool/local_pool.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>

namespace atrium::bench {

namespace {

struct object
{
    char bytes[64];
};

constexpr std::size_t run_length = 16;
constexpr std::size_t capacity   = 4096;

/// Makes and drops, what `make` makes.
template <class Make> probe make_and_drop(Make make)
{
    return [make](nanoseconds budget) {
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                auto made = make();
                used(made);
            }
        });
    };
}

probe local_make_drop(local_pool_options const& options)
{
    return make_and_drop([pool = std::make_shared<local_pool<object>>(options)] { return pool->make(); });
}

probe local_array_make_drop()
{
    local_array_pool_options const options{.length = run_length, .capacity = capacity};
    return make_and_drop([pool = std::make_shared<local_array_pool<object>>(options)] { return pool->make(); });
}

probe make_shared_array()
{
    return make_and_drop([] { return std::make_shared<object[]>(run_length); });
}

probe allocate_shared_of_pool()
{
    auto const pool = std::make_shared<local_pool<object>>(local_pool_options{.capacity = capacity});
    return make_and_drop([pool] { return std::allocate_shared<object>(pool->allocator()); });
}

/// Where one thread puts what it makes, and another takes it to drop it: in bundles, so that not the hand-over is
/// measured.
class ring
{
public:
    static constexpr std::size_t bundle = 64;

    template <class Make> void put(Make const& make)
    {
        auto const begin = put_.load(std::memory_order_relaxed);
        while (begin - dropped_.load(std::memory_order_acquire) == places_.size())
        {}
        for (auto i = begin; i != begin + bundle; ++i)
            places_[i % places_.size()] = make();
        put_.store(begin + bundle, std::memory_order_release);
    }

    void drop()
    {
        auto const begin = dropped_.load(std::memory_order_relaxed);
        while (begin == put_.load(std::memory_order_acquire))
        {}
        for (auto i = begin; i != begin + bundle; ++i)
            places_[i % places_.size()].reset();
        dropped_.store(begin + bundle, std::memory_order_release);
    }

private:
    std::array<std::shared_ptr<object>, 8 * bundle> places_{};
    alignas(64) std::atomic<std::size_t> put_{0};
    alignas(64) std::atomic<std::size_t> dropped_{0};
};

/// Nanoseconds for one object that one thread makes and another, on a core of its own, drops.
template <class Make> probe drop_elsewhere(Make make)
{
    return [make](nanoseconds budget) {
        return collect(budget, [&] {
            constexpr std::size_t bundles = 1000;
            ring                  between;
            std::thread           other([&] {
                pin_to(cores().second);
                for (std::size_t i = 0; i != bundles; ++i)
                    between.drop();
            });
            auto const            start = std::chrono::steady_clock::now();
            for (std::size_t i = 0; i != bundles; ++i)
                between.put(make);
            other.join();
            return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() /
                   static_cast<double>(bundles * ring::bundle);
        });
    };
}

probe local_drop_elsewhere()
{
    return drop_elsewhere([pool = std::make_shared<local_pool<object>>(local_pool_options{.capacity = capacity})] {
        return pool->make().value();
    });
}

constexpr auto make_shared_name  = "limit.make_shared_64B";
constexpr auto shared_array_name = "limit.make_shared_16x64B";
constexpr auto elsewhere_name    = "limit.make_shared_drop_elsewhere_64B";

registered const here{
    {.name     = "pool.local_make_drop_64B",
     .unit     = "ns",
     .about    = "make 64 B in a local_pool, and drop it",
     .baseline = make_shared_name,
     .prepare  = [] { return local_make_drop({.capacity = capacity}); }},
    {.name     = "pool.local_make_drop_64B_padded",
     .unit     = "ns",
     .about    = "the same with places padded to cache lines",
     .baseline = make_shared_name,
     .prepare  = [] { return local_make_drop({.capacity = capacity, .pad_to_cache_line = true}); }},
    {.name     = "pool.local_make_drop_64B_growing",
     .unit     = "ns",
     .about    = "the same without a capacity",
     .baseline = make_shared_name,
     .prepare  = [] { return local_make_drop({}); }},
    {.name     = "pool.local_make_drop_64B_no_cache",
     .unit     = "ns",
     .about    = "the same in a pool too small for caches",
     .baseline = make_shared_name,
     .prepare  = [] { return local_make_drop({.capacity = 8}); }},
    {.name     = "pool.local_allocate_shared_64B",
     .unit     = "ns",
     .about    = "std::allocate_shared of 64 B with a local_pool's allocator, and dropping it",
     .baseline = make_shared_name,
     .prepare  = allocate_shared_of_pool},
    {.name    = shared_array_name,
     .unit    = "ns",
     .about   = "std::make_shared of a run of 16 times 64 B, and dropping it",
     .prepare = make_shared_array},
    {.name     = "pool.local_array_make_drop",
     .unit     = "ns",
     .about    = "make a run of 16 times 64 B in a local_array_pool, and drop it",
     .baseline = shared_array_name,
     .prepare  = local_array_make_drop},
    {.name    = elsewhere_name,
     .unit    = "ns",
     .about   = "std::make_shared of 64 B, dropped by another thread",
     .cores   = 2,
     .prepare = [] { return drop_elsewhere([] { return std::make_shared<object>(); }); }},
    {.name     = "pool.local_drop_elsewhere_64B",
     .unit     = "ns",
     .about    = "make 64 B in a local_pool, dropped by another thread",
     .baseline = elsewhere_name,
     .cores    = 2,
     .prepare  = local_drop_elsewhere},
};

} // namespace

} // namespace atrium::bench
