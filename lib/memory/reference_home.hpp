/// \file
/// What keeps an attachment, or a pool, while this process has references to what lies in it.
#pragma once

#include "os/barrier.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace atrium::detail {

/// Counts this process's references, lane by lane, so that no two threads share a line for it, and keeps something
/// while there are references but no handles any more.
///
/// Whoever drops a reference counts it, and then asks whether the home is closing; whoever drops the last handle says
/// that it is, and then sums up. One of them sees the other (the barrier between is the closer's to pay).
/// \par Thread safety  Safe. A lane's counts are written by the user of the lane.
/// \par Lifetime  Never given back to the process's memory, but used again: who has just counted its reference may look
/// at a home that is somebody else's by now, and finds nothing to do.
class reference_home
{
public:
    /// A home for that many lanes.
    [[nodiscard]] static reference_home* acquire(std::uint32_t lanes);
    static void                          release(reference_home* home) noexcept;

    void count_taken(std::uint32_t lane) noexcept { add(counts_[lane].taken); }
    void count_returned(std::uint32_t lane) noexcept { add(counts_[lane].returned); }

    /// The same, by a thread that uses no lane at the moment: the only counts that threads share.
    void count_taken() noexcept { counts_.back().taken.fetch_add(1, std::memory_order_release); } // H2
    void count_returned() noexcept
    {
        counts_.back().returned.fetch_add(1, std::memory_order_release); // H2
    }

    /// After a reference was counted as returned, with no lock held.
    void check() noexcept
    {
        os::light_barrier();
        if (closing_.load(std::memory_order_relaxed))
            let_go();
    }

    void handle_added() noexcept;

    /// Keeps `kept` where it was the last handle and there are references.
    void handle_dropped(std::shared_ptr<void> kept) noexcept;

    [[nodiscard]] bool has_references() const noexcept;

private:
    struct alignas(64) lane_counts
    {
        std::atomic<std::uint64_t> taken{0};
        std::atomic<std::uint64_t> returned{0};
    };

    explicit reference_home(std::uint32_t lanes) : counts_(lanes + 1) {}

    static void add(std::atomic<std::uint64_t>& count) noexcept
    {
        // One writer. Release H2, pairs with the acquire H2 in has_references(): what was done with the reference
        // comes before whatever is done once there are none.
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    void let_go() noexcept;

    std::vector<lane_counts> counts_;
    std::atomic<bool>        closing_{false};
    std::mutex               mutex_; // over what follows
    std::size_t              handles_ = 0;
    std::shared_ptr<void>    kept_;
};

/// Keeps something until the process ends. Takes no mutex.
void keep_for_good(std::shared_ptr<void> what);

} // namespace atrium::detail
