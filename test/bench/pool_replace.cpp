/// \file
/// Pools and std::make_shared with many objects outstanding, one of which after the other is dropped and made anew: here
/// the size shows, since places and objects are met in no order.
#include <atrium/pool/pool.hpp>

#include "figure.hpp"
#include "segment_name.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace atrium::bench {

namespace {

struct object
{
    char bytes[64];
};

/// Evenly spread over so many, for the price of a multiplication or two.
class random_index
{
public:
    explicit random_index(std::size_t count) : count_(count) {}

    std::size_t operator()() noexcept
    {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<std::size_t>((state_ >> 32) * count_ >> 32);
    }

private:
    std::uint64_t count_;
    std::uint64_t state_ = 1;
};

/// So many objects that `make` made; drops one of them, and makes another in its place, again and again.
template <class Make> probe replace(std::size_t outstanding, Make make)
{
    std::vector<decltype(make())> kept;
    kept.reserve(outstanding);
    while (kept.size() != outstanding)
        kept.push_back(make());
    std::shuffle(kept.begin(), kept.end(), std::mt19937_64(1));
    // What the objects lie in goes after them.
    return [make, kept = std::make_shared<decltype(kept)>(std::move(kept)),
            any = random_index(outstanding)](nanoseconds budget) mutable {
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                auto& one = (*kept)[any()];
                one.reset();
                one = make();
                used(one);
            }
        });
    };
}

/// A pool in a segment of its own.
struct large_pool
{
    explicit large_pool(std::size_t capacity) : objects(create_only, in, "objects", {.capacity = capacity}) {}

    static segment_options options()
    {
        auto options         = bench_options();
        options.maximum_size = 1u << 30;
        return options;
    }

    segment      in{create_only, segment_name("replace"), options()};
    pool<object> objects;
};

probe replace_in_pool(std::size_t outstanding, std::size_t capacity)
{
    return replace(outstanding,
                   [pool = std::make_shared<large_pool>(capacity)] { return pool->objects.make().value(); });
}

probe replace_make_shared(std::size_t outstanding)
{
    return replace(outstanding, [] { return std::make_shared<object>(); });
}

constexpr std::size_t most = 1'000'000;

std::vector<figure> replace_figures()
{
    std::vector<figure> figures;
    for (std::size_t const outstanding : {std::size_t{64}, std::size_t{1000}, std::size_t{100'000}, most})
    {
        std::string const of    = std::to_string(outstanding);
        std::string const limit = "limit.replace_make_shared_64B_of_" + of;
        figures.push_back({.name    = limit,
                           .unit    = "ns",
                           .about   = "drop one of " + of + " of 64 B, any, and std::make_shared another",
                           .prepare = [=] { return replace_make_shared(outstanding); }});
        figures.push_back({.name     = "pool.replace_64B_of_" + of,
                           .unit     = "ns",
                           .about    = "drop one of " + of + ", any, and make another, in a pool that is half full",
                           .baseline = limit,
                           .prepare  = [=] { return replace_in_pool(outstanding, 2 * outstanding); }});
    }
    figures.push_back({.name     = "pool.replace_64B_of_1000000_99_percent",
                       .unit     = "ns",
                       .about    = "the same in a pool of 1000000 that is 99 % full",
                       .baseline = "limit.replace_make_shared_64B_of_1000000",
                       .prepare  = [] { return replace_in_pool(most / 100 * 99, most); }});
    return figures;
}

registered const here(replace_figures());

} // namespace

} // namespace atrium::bench
