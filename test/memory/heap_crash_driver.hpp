/// \file
/// Kills a child at every crash point of what it does to a heap, and compares what is left.
#pragma once

#include "memory/heap_fixture.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <csignal>
#include <functional>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace atrium::test {

// Under the address sanitizer a fork takes a hundred times as long, so that only a sample of the deaths is tried.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr unsigned death_stride = 16;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr unsigned death_stride = 16;
#else
inline constexpr unsigned death_stride = 1;
#endif
#else
inline constexpr unsigned death_stride = 1;
#endif

using operation = std::function<void(detail::heap_core)>;

/// Also in children, where Boost.Test has no say.
inline void require(bool held)
{
    if (!held)
        throw std::runtime_error("a step of the scenario failed");
}

inline unsigned                points_met   = 0;
inline unsigned                dies_at      = 0; // the n-th point; 0: never
inline detail::undo_log const* watched      = nullptr;
inline std::uint64_t           most_records = 0;

inline void meet(char const*) noexcept
{
    if (watched != nullptr)
        most_records = std::max(most_records, watched->count.load());
    if (++points_met == dies_at)
        ::raise(SIGKILL);
}

/// Points that an operation meets when nothing happens to it.
inline unsigned count_points(heap_arena const& arena, operation const& work)
{
    points_met = dies_at     = 0;
    detail::crash_point_hook = meet;
    work(arena.core());
    detail::crash_point_hook = nullptr;
    return points_met;
}

/// Lets a child do it and die at the n-th point.
inline void die_in(heap_arena const& arena, operation const& work, unsigned n)
{
    auto const child = ::fork();
    BOOST_TEST_REQUIRE(child != -1);
    if (child == 0)
    {
        ::alarm(20);
        points_met               = 0;
        dies_at                  = n;
        detail::crash_point_hook = meet;
        work(arena.core()); // a scenario that throws here has thrown in count_points before
        ::_exit(0);
    }
    int status = 0;
    BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST_REQUIRE((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), "point " << n);
}

/// What the next holder of the mutex does first.
inline void recover(detail::heap_core core)
{
    require(core.recover(heap_arena::default_limit).has_value());
}

/// Blocks that go with the victim: what it was giving back, and those of one owner that it reclaims in some scenarios.
inline bool goes(detail::heap_block const& block) noexcept
{
    auto const going = detail::owner::object(detail::object_id::in_heap(9), 0);
    return block.tag.is_freeing(victim) || (block.tag.is_in_use() && block.tag.who().same_index(going));
}

/// A heap, what a victim does to it, and which blocks must have all their bytes afterwards.
struct scenario
{
    heap_arena               arena{};
    std::vector<known_block> kept{};
    std::vector<operation>   steps{}; ///< Each happens as a whole or not at all.

    struct state
    {
        heap_numbers numbers;
        std::size_t  whole; ///< How many of the kept blocks are as they were.

        friend bool operator==(state const&, state const&) = default;
    };

    /// What must be exact once recovery has done its part for the victim.
    state settled() const
    {
        auto core = arena.core();
        BOOST_TEST_REQUIRE(core.check() == "");
        BOOST_TEST_REQUIRE(core.reclaim(survivor, goes).has_value());
        BOOST_TEST_REQUIRE(core.check() == "");
        auto const is_whole = [&](known_block const& block) {
            return core.tag_of(block.payload)->is_in_use(block.of) && arena.is_filled(block);
        };
        return {numbers_of(core), static_cast<std::size_t>(std::ranges::count_if(kept, is_whole))};
    }

    void work(detail::heap_core core) const
    {
        for (auto const& step : steps)
            step(core);
    }
};

/// The states before and after every step.
inline std::vector<scenario::state> allowed_states(scenario const& it)
{
    auto const                   image = it.arena.copy();
    std::vector<scenario::state> allowed;
    for (std::size_t done = 0; done <= it.steps.size(); ++done)
    {
        it.arena.restore(image);
        for (std::size_t i = 0; i != done; ++i)
            it.steps[i](it.arena.core());
        allowed.push_back(it.settled());
        BOOST_TEST(allowed.back().whole == it.kept.size());
    }
    it.arena.restore(image);
    return allowed;
}

/// Kills the victim at every point of its work, and on the way each time (if `twice`) the recoverer at each of its own;
/// of samples, the points with that remainder. Gives the number of deaths.
inline unsigned kill_everywhere(scenario const& it, bool twice, unsigned remainder)
{
    auto const work    = [&](detail::heap_core core) { it.work(core); };
    auto const allowed = allowed_states(it);
    auto const image   = it.arena.copy();
    auto const points  = count_points(it.arena, work);
    BOOST_TEST_REQUIRE(points > 0u);
    unsigned deaths = 0;
    for (unsigned n = 1 + remainder % death_stride; n <= points; n += death_stride)
    {
        it.arena.restore(image);
        die_in(it.arena, work, n);
        auto const wreck            = it.arena.copy();
        auto const recoverer_points = twice ? count_points(it.arena, recover) : 0;
        for (unsigned m = 0; m <= recoverer_points; m += death_stride, ++deaths)
        {
            it.arena.restore(wreck);
            if (m != 0)
                die_in(it.arena, recover, m);
            recover(it.arena.core());
            BOOST_TEST_CONTEXT("died at " << n << " of " << points << ", recoverer at " << m)
            BOOST_TEST_REQUIRE((std::ranges::count(allowed, it.settled()) != 0));
        }
    }
    return deaths;
}

} // namespace atrium::test
