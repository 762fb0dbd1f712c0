/// \file
/// Taking a lane for a moment.
#pragma once

#include "memory/lane_state.hpp"
#include "memory/memory_state.hpp"

#include <cstdint>
#include <mutex>

namespace atrium::detail {

/// The calling thread's lane in the segment that it used last. Trivially destructible, so that it may be read by what is
/// destroyed with the thread.
struct own_lane
{
    std::uint64_t serial = 0; ///< of the memory_state; never used twice
    lane_state*   lane   = nullptr;
};

inline constinit thread_local own_lane own;

/// The calling thread's lane; null where it has none, or has used another segment meanwhile.
[[nodiscard]] inline lane_state* known_own_lane(memory_state const& memory) noexcept
{
    return own.serial == memory.serial ? own.lane : nullptr;
}

/// The calling thread's lane, or the one that this process's threads share, held for a moment. User code never runs
/// meanwhile.
class lane_use
{
public:
    explicit lane_use(memory_state& memory) noexcept : lane_(known_own_lane(memory))
    {
        if (lane_ == nullptr)
            take(memory);
    }

    /// The shared lane, whether or not the thread has one of its own: for recovery.
    [[nodiscard]] static lane_use shared(memory_state& memory) noexcept { return lane_use(memory, true); }

    /// Lets the lane go.
    void release() noexcept
    {
        lane_ = nullptr;
        if (held_.owns_lock())
            held_.unlock();
    }

    /// Whether the lane is the one that threads share.
    [[nodiscard]] bool is_shared() const noexcept { return held_.owns_lock(); }

    [[nodiscard]] lane_state& operator*() const noexcept { return *lane_; }
    [[nodiscard]] lane_state* operator->() const noexcept { return lane_; }

private:
    lane_use(memory_state& memory, bool shared) noexcept;

    void take(memory_state& memory) noexcept;

    lane_state*                  lane_ = nullptr;
    std::unique_lock<std::mutex> held_;
};

/// Frees what the calling thread's lane, and the one that threads share, keep of blocks.
void free_kept_blocks(memory_state& memory) noexcept;

/// The calling thread gives its lane back: nothing of it is remembered.
void forget_own_lane(memory_state& memory, std::uint32_t lane) noexcept;

} // namespace atrium::detail
