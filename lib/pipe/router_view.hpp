/// \file
/// A router's bytes in the segment, as every process sees them.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/reference_ring.hpp>
#include <atrium/memory/detail/structure.hpp>
#include <atrium/pipe/detail/layout.hpp>
#include <atrium/pipe/pipe_options.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace atrium::detail {

/// How large a router is.
struct router_shape
{
    std::uint64_t pipes           = 0;
    std::uint64_t lane_senders    = 0; ///< lanes of the segment
    std::uint64_t ordered_senders = 0;
    std::uint64_t history         = 0;

    [[nodiscard]] std::uint64_t senders() const noexcept { return lane_senders + ordered_senders; }
    [[nodiscard]] std::uint64_t bytes() const noexcept
    {
        return sizeof(router_header) + pipes * sizeof(pipe_slot) + senders() * sizeof(atomic<std::uint64_t>);
    }
};

/// The rings of one place, and the bits that say which have something.
class lane_table
{
public:
    lane_table() = default;
    lane_table(std::byte* at, std::uint64_t senders) noexcept
        : ready_(reinterpret_cast<atomic<std::uint64_t>*>(at)),
          lanes_(reinterpret_cast<pipe_lane*>(ready_ + ready_words(senders)))
    {}

    [[nodiscard]] static std::uint64_t bytes(std::uint64_t senders) noexcept
    {
        return ready_words(senders) * sizeof(atomic<std::uint64_t>) + senders * sizeof(pipe_lane);
    }
    static void format(std::byte* at, std::uint64_t senders) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return ready_ != nullptr; }

    [[nodiscard]] pipe_lane&             lane(std::uint64_t sender) const noexcept { return lanes_[sender]; }
    [[nodiscard]] atomic<std::uint64_t>& ready(std::uint64_t word) const noexcept { return ready_[word]; }

    /// Says that the sender's ring has something: after a full barrier behind what it has.
    void set_ready(std::uint64_t sender) const noexcept;

private:
    atomic<std::uint64_t>* ready_ = nullptr;
    pipe_lane*             lanes_ = nullptr;
};

/// Process-local, a small value; the router is held, or it is looked at only.
class router_view
{
public:
    router_view() = default;

    /// Writes a router into memory that nobody looks at yet.
    [[nodiscard]] static router_view format(attachment& in, std::uint64_t block, owner of,
                                            router_shape const& shape) noexcept;

    /// \param size  bytes that are there
    /// \par Errors  `corrupted`
    [[nodiscard]] static result<router_view> attach(attachment& in, std::uint64_t block, std::uint64_t size) noexcept;

    [[nodiscard]] attachment&         in() const noexcept { return *in_; }
    [[nodiscard]] router_shape const& shape() const noexcept { return shape_; }
    [[nodiscard]] std::uint64_t       block() const noexcept { return in_->offset_of(header_); }
    [[nodiscard]] owner               of() const noexcept { return of_; }
    [[nodiscard]] router_header&      header() const noexcept { return *header_; }
    [[nodiscard]] pipe_slot&          slot(std::uint64_t number) const noexcept { return slots_[number]; }

    /// The place's table; none where the place was never used.
    [[nodiscard]] lane_table lanes_of(pipe_slot const& slot) const noexcept;

    /// Makes that table, if there is none.
    /// \par Errors  `out_of_memory`, `timed_out`
    [[nodiscard]] error_code make_lanes(pipe_slot& slot, deadline until) const;

    [[nodiscard]] atomic<std::uint64_t>& sender_link(std::uint64_t number) const noexcept { return links_[number]; }

    /// The sender's block; null where nobody has sent under that number.
    [[nodiscard]] sender_block* sender(std::uint64_t number) const noexcept;

    /// Makes that block, if there is none.
    /// \par Errors  `out_of_memory`, `timed_out`
    [[nodiscard]] result<sender_block*> make_sender(std::uint64_t number, deadline until) const;

    /// The sender's ring for the pipe of that generation; none where there is none.
    [[nodiscard]] reference_ring ring_of(lane_table const& lanes, std::uint64_t sender,
                                         std::uint64_t generation) const noexcept;

    /// Tells senders to look at the pipes again.
    void note_change() const noexcept;

    /// Wakes the receivers of a pipe.
    static void wake_receivers(pipe_slot& slot) noexcept;

    /// Wakes the senders that wait for room in a pipe.
    void wake_senders(lane_table const& lanes, std::uint64_t generation) const noexcept;

    /// Wakes the sender, if it waits for room in the ring. After a full barrier behind whatever made room.
    void wake_sender(reference_ring const& ring, std::uint64_t number) const noexcept
    {
        if (ring.header().rare[ring_sender_waits].load(std::memory_order_relaxed) != 0)
            wake_waiting_sender(ring, number);
    }

    friend bool operator==(router_view const& a, router_view const& b) noexcept { return a.header_ == b.header_; }

private:
    router_view(attachment& in, std::uint64_t block, router_shape const& shape) noexcept;

    void ring_bell_of(std::uint64_t number) const noexcept;
    void wake_waiting_sender(reference_ring const& ring, std::uint64_t number) const noexcept;

    attachment*            in_     = nullptr;
    router_header*         header_ = nullptr;
    pipe_slot*             slots_  = nullptr;
    atomic<std::uint64_t>* links_  = nullptr;
    owner                  of_     = owner::library(0);
    router_shape           shape_;
};

/// Calls `visit(number, pipe_slot&)` for every place.
template <class Visit> void for_each_slot(router_view const& router, Visit visit)
{
    for (std::uint64_t number = 0; number < router.shape().pipes; ++number)
        visit(number, router.slot(number));
}

} // namespace atrium::detail
