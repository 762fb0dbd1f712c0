/// \file
/// The states and the work that heaps are compared in, the same for each. A heap here is a class with
/// `void* allocate(std::size_t)`, null when it is full, and `void deallocate(void*)`.
#pragma once

#include "figure.hpp"

#include <array>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace atrium::bench {

/// What is in a heap before it is measured.
enum class fill
{
    empty,
    half,        ///< Blocks of 16 to 1023 B in half of it, the rest in one piece.
    nearly_full, ///< The same in 95 % of it.
    fragmented,  ///< Filled whole, every second block freed, then 200 000 blocks replaced at random.
};

/// The heaps that are compared are of this size.
inline constexpr std::size_t heap_bytes = 64u << 20;

/// Numbers and sizes at random, the same ones in each run.
class load_source
{
public:
    /// 16 to 1023 B, each power of two as likely as the next.
    std::size_t size()
    {
        auto const power = std::size_t{16} << (engine_() % 6);
        return power + engine_() % power;
    }
    std::size_t below(std::size_t end) { return engine_() % end; }

private:
    std::mt19937_64 engine_{20'240'229};
};

/// A block of a heap that is known to have room.
template <class Heap> void* allocate_surely(Heap& heap, std::size_t bytes)
{
    void* block = heap.allocate(bytes);
    if (block == nullptr)
        throw std::runtime_error("the heap has no room for " + std::to_string(bytes) + " bytes");
    return block;
}

/// Brings the heap to that state; gives the blocks in use.
template <class Heap> std::vector<void*> fill_heap(Heap& heap, fill state)
{
    std::vector<void*> blocks;
    if (state == fill::empty)
        return blocks;
    load_source source;
    while (void* block = heap.allocate(source.size()))
        blocks.push_back(block);
    if (state != fill::fragmented)
    {
        auto const keep = state == fill::half ? blocks.size() / 2 : blocks.size() * 95 / 100;
        for (; blocks.size() > keep; blocks.pop_back())
            heap.deallocate(blocks.back());
        return blocks;
    }
    for (std::size_t i = 0; i != blocks.size() / 2; ++i)
    {
        std::swap(blocks[i], blocks[i + source.below(blocks.size() - i)]);
        heap.deallocate(blocks[i]);
    }
    blocks.erase(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(blocks.size() / 2));
    for (int i = 0; i != 200'000; ++i)
    {
        auto& replaced = blocks[source.below(blocks.size())];
        heap.deallocate(replaced);
        replaced = allocate_surely(heap, source.size());
    }
    return blocks;
}

/// Nanoseconds to allocate 64 B and free them.
template <class Heap> probe allocate_and_free(std::shared_ptr<Heap> heap, fill state)
{
    fill_heap(*heap, state); // the blocks go with the heap
    return [heap = std::move(heap)](nanoseconds budget) {
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                void* block = heap->allocate(64);
                used(block);
                heap->deallocate(block);
            }
        });
    };
}

/// Nanoseconds to free one of 4096 blocks, chosen at random, and allocate another of a random size in its place.
template <class Heap> class random_mix
{
public:
    random_mix(std::shared_ptr<Heap> heap, fill state) : heap_(std::move(heap))
    {
        fill_heap(*heap_, state);
        load_source source;
        for (auto& block : window_)
            block = allocate_surely(*heap_, source.size());
        for (auto& [place, size] : steps_)
        {
            place = source.below(window_.size());
            size  = source.size();
        }
    }

    random_mix(random_mix const&)            = delete;
    random_mix& operator=(random_mix const&) = delete;

    ~random_mix()
    {
        for (auto* block : window_)
            heap_->deallocate(block);
    }

    round take(nanoseconds budget)
    {
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                auto const& [place, size] = steps_[next_++ % steps_.size()];
                heap_->deallocate(window_[place]);
                window_[place] = heap_->allocate(size);
            }
        });
    }

private:
    std::shared_ptr<Heap>                            heap_;
    std::array<void*, 4096>                          window_{};
    std::vector<std::pair<std::size_t, std::size_t>> steps_{1u << 16}; // drawn before, so that drawing is not timed
    std::size_t                                      next_ = 0;
};

template <class Heap> probe replace_at_random(std::shared_ptr<Heap> heap, fill state)
{
    return [mix = std::make_shared<random_mix<Heap>>(std::move(heap), state)](nanoseconds budget) {
        return mix->take(budget);
    };
}

/// The figures of a heap, named with `prefix` before what is done; `make` gives a `shared_ptr` to an empty one, and
/// `baseline` the figure's baseline for what is done.
template <class Make, class Baseline>
std::vector<figure> heap_figures(std::string const& prefix, Make const& make, Baseline const& baseline)
{
    struct state
    {
        fill        filled;
        char const* name;
        char const* about;
    };
    static constexpr std::array<state, 4> states{{{fill::empty, "empty", "an empty heap"},
                                                  {fill::half, "half", "a heap half full"},
                                                  {fill::nearly_full, "95_percent", "a heap 95 % full"},
                                                  {fill::fragmented, "fragmented", "a fragmented heap half full"}}};
    std::vector<figure>                   figures;
    auto const add = [&](std::string const& done, std::string const& about, std::function<probe()> prepare) {
        figures.push_back({.name     = prefix + done,
                           .unit     = "ns",
                           .about    = about,
                           .baseline = baseline(done),
                           .prepare  = std::move(prepare)});
    };
    for (auto const& [filled, name, about] : states)
    {
        add(std::string("allocate_free_64B_") + name, std::string("allocate 64 B in ") + about + ", and free them",
            [make, filled = filled] { return allocate_and_free(make(), filled); });
        if (filled == fill::empty || filled == fill::fragmented)
            add(std::string("random_mix_") + name, std::string("replace one of 4096 blocks of 16..1023 B in ") + about,
                [make, filled = filled] { return replace_at_random(make(), filled); });
    }
    return figures;
}

} // namespace atrium::bench
