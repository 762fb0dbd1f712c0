/// \file
/// A sender of a router, as its process uses it.
#pragma once

#include "pipe/router_view.hpp"
#include "pipe/turns.hpp"

#include <atrium/memory/detail/reference_ring.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace atrium::detail {

class router_core;

/// A pipe that a sender knows, and its ring there.
struct target
{
    pipe_slot*     slot       = nullptr;
    std::uint32_t  number     = 0;
    std::uint64_t  generation = 0;
    overflow       when_full  = overflow::wait;
    lane_table     lanes;
    reference_ring ring;               ///< none before the first reference
    std::uint64_t  tail       = 0;     ///< of the ring, which this sender alone pushes to
    std::uint64_t  room_until = 0;     ///< positions before this had room when the sender looked last
    std::uint64_t  untold     = 0;     ///< of the last references: not told to the receivers yet
    std::uint32_t  processor  = ~0u;   ///< on which the ring says that this sender runs
    bool           waits      = false; ///< the reference that is on its way has not found room yet

    [[nodiscard]] bool is_open() const noexcept
    {
        // Relaxed: a barrier stands before.
        return slot->state.load(std::memory_order_relaxed) == slot_word(slot_state::open, generation);
    }

    /// Whether there is room for a reference.
    [[nodiscard]] bool has_room() noexcept
    {
        if (tail == room_until)
            room_until = ring.head() + ring.capacity();
        return tail != room_until;
    }
};

/// Process-local. One sender of a router: a lane's, the one that threads without a lane share, or an ordered one.
/// \par Thread safety  One thread at a time; those that threads share have turns.
class sender_core : public std::enable_shared_from_this<sender_core>
{
public:
    /// \param keeper  what keeps the router for an ordered sender; null: the router keeps this
    sender_core(router_core& of, std::uint64_t number, std::shared_ptr<router_core> keeper) noexcept;
    sender_core(sender_core const&)            = delete;
    sender_core& operator=(sender_core const&) = delete;
    ~sender_core();

    [[nodiscard]] router_core&         router() const noexcept { return router_; }
    [[nodiscard]] std::uint64_t        number() const noexcept { return number_; }
    [[nodiscard]] turns&               turn() noexcept { return turn_; }
    [[nodiscard]] std::vector<target>& targets() noexcept { return targets_; }
    [[nodiscard]] sender_block&        block() const noexcept { return *block_; }

    /// Whether the sender is this process's, knows the pipes that there are, and keeps nothing for late joiners.
    [[nodiscard]] bool is_ready() const noexcept { return is_ours() && !has_changed() && !history_; }

    /// The sender is this process's, and knows the pipes that there are.
    /// \par Errors  `out_of_memory`, `timed_out`
    [[nodiscard]] error_code begin(deadline until);

    /// Whether pipes have come or gone since this sender looked.
    [[nodiscard]] bool has_changed() const noexcept
    {
        return view_.header().changes.load(std::memory_order_acquire) != seen_; // C1
    }

    /// Looks at the pipes again.
    void look_again();

    /// A ring for that pipe.
    /// \par Errors  `out_of_memory`, `timed_out`
    [[nodiscard]] error_code make_ring(target& to, deadline until);

    /// Drops the sender's oldest reference in that pipe, unless it has gone meanwhile.
    /// \par Errors  as `reference_ring::take`
    [[nodiscard]] error_code drop_oldest(target& to);

    /// Keeps one more reference for late joiners, and one less where there are enough.
    /// \par Errors  as `reference_ring::take` and `push_copy`: late joiners miss it
    [[nodiscard]] error_code keep_history(local_reference const& reference, std::byte const* pointee,
                                          std::uint64_t sequence);

    /// The next reference's number.
    [[nodiscard]] std::uint64_t next_sequence() noexcept;

    /// How long spinning for room pays.
    [[nodiscard]] atomic<std::uint32_t>& spin_pays() noexcept { return spin_pays_; }

    /// Something is left in a ring whose pipe is gone: tried again before the next reference, and at the end.
    void owe_stale_rings() noexcept
    {
        owes_stale_rings_ = true;
        seen_             = ~std::uint64_t{0};
    }

    /// Nobody sends under this number for the moment: the thread ends, or the handle goes.
    void end() noexcept;

    [[nodiscard]] held_pools& pools() noexcept { return pools_; }

private:
    // Whether nobody has had the number since this sender began to use it.
    [[nodiscard]] bool is_ours() const noexcept
    {
        return is_used_ && block_->user.load(std::memory_order_relaxed) == view_.in().self().word();
    }

    void                         note_begin() noexcept;
    void                         free_stale_rings() noexcept;
    [[nodiscard]] error_code     make_history(deadline until);
    [[nodiscard]] reference_ring reuse_ring(pipe_lane& lane, target const& to) noexcept;

    router_core&                 router_;
    router_view                  view_;
    std::uint64_t                number_;
    std::shared_ptr<router_core> keeper_;
    sender_block*                block_ = nullptr;
    std::vector<target>          targets_;
    std::uint64_t                seen_ = ~std::uint64_t{0};
    reference_ring               history_;
    held_pools                   pools_{at_once};
    turns                        turn_;
    atomic<std::uint32_t>        spin_pays_{0};
    bool                         is_used_          = false; // it says so in its block
    bool                         owes_stale_rings_ = false;
};

} // namespace atrium::detail
