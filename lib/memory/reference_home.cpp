#include "memory/reference_home.hpp"

#include "os/fork.hpp"

#include <algorithm>
#include <utility>

namespace atrium::detail {

namespace {

struct unused_homes
{
    std::mutex                   mutex;
    std::vector<reference_home*> homes;
};

// Never destroyed: references in static storage are dropped after the destructors of this file would have run. A forked
// child begins with another one: a thread that is not there may hold the mutex of its parent's.
unused_homes& unused()
{
    static unused_homes* instance = [] {
        os::at_fork(nullptr, nullptr, [] { instance = new unused_homes; });
        return new unused_homes;
    }();
    return *instance;
}

} // namespace

reference_home* reference_home::acquire(std::uint32_t lanes)
{
    unused_homes&         homes = unused();
    std::lock_guard const held(homes.mutex);
    auto const            found = std::find_if(homes.homes.begin(), homes.homes.end(),
                                               [&](reference_home const* home) { return home->counts_.size() == lanes + 1; });
    if (found == homes.homes.end())
    {
        homes.homes.reserve(homes.homes.capacity() + 1); // giving it back must not fail
        return new reference_home(lanes);
    }
    reference_home* const home = *found;
    homes.homes.erase(found);
    return home;
}

void reference_home::release(reference_home* home) noexcept
{
    unused_homes&         homes = unused();
    std::lock_guard const held(homes.mutex);
    homes.homes.push_back(home);
}

void reference_home::handle_added() noexcept
{
    std::shared_ptr<void> kept;
    {
        std::lock_guard const held(mutex_);
        ++handles_;
        closing_.store(false, std::memory_order_relaxed);
        kept = std::move(kept_);
    }
}

void reference_home::handle_dropped(std::shared_ptr<void> kept) noexcept
{
    {
        std::lock_guard const held(mutex_);
        if (--handles_ != 0)
            return;
        closing_.store(true, std::memory_order_relaxed); // before the barrier, which is what counts
        os::process_barrier();
        if (has_references())
            kept_ = std::move(kept);
    }
}

bool reference_home::has_references() const noexcept
{
    // The returned ones first: what is taken and returned between the two sums counts as one too many, not too few.
    std::uint64_t returned = 0;
    for (lane_counts const& lane : counts_)
        returned += lane.returned.load(std::memory_order_acquire); // H2
    std::uint64_t taken = 0;
    for (lane_counts const& lane : counts_)
        taken += lane.taken.load(std::memory_order_acquire); // H2
    return taken != returned;
}

void keep_for_good(std::shared_ptr<void> what)
{
    struct kept
    {
        std::shared_ptr<void> what;
        kept*                 next;
    };
    static std::atomic<kept*> all{nullptr};
    // Relaxed: nobody reads the list; it is there so that all stays reachable.
    auto* const one = new kept{std::move(what), all.load(std::memory_order_relaxed)};
    while (!all.compare_exchange_weak(one->next, one, std::memory_order_relaxed))
    {}
}

void reference_home::let_go() noexcept
{
    std::shared_ptr<void> kept; // goes without the mutex: it may be the home's own end
    {
        std::lock_guard const held(mutex_);
        if (closing_.load(std::memory_order_relaxed) && !has_references())
            kept = std::move(kept_);
    }
}

} // namespace atrium::detail
