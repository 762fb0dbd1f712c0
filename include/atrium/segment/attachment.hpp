/// \file
/// This process's attachment to a segment: what the parts above are built on. Programs use `segment`.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/lane.hpp>
#include <atrium/segment/participant.hpp>
#include <atrium/segment/recovery.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace atrium {

/// The parts that keep a fixed area in a segment.
enum class part_id : std::uint32_t
{
    memory = 1,
    pipe   = 2,
};

/// A fixed area of a segment.
struct area_bytes
{
    std::uint64_t offset = 0; ///< bytes from the segment's start
    std::uint64_t size   = 0; ///< bytes
};

/// One mapping, one descriptor, one participant row: a process has one of these for a segment, however often it opens
/// it. Handles share it; the last one leaves the segment.
/// \par Thread safety  Safe, but for construction and destruction.
/// \par If a process dies  The kernel drops its locks in one step; others find the row dead and recover.
class attachment : public std::enable_shared_from_this<attachment>
{
public:
    struct implementation;

    /// For the life-cycle code only.
    explicit attachment(std::unique_ptr<implementation> impl) noexcept;
    attachment(attachment const&)            = delete;
    attachment& operator=(attachment const&) = delete;

    /// Leaves the segment; the last to leave removes it, unless it is kept. In a forked child: does nothing.
    ~attachment();

    [[nodiscard]] std::byte*    base() const noexcept { return base_; }
    [[nodiscard]] std::uint64_t maximum_size() const noexcept { return maximum_size_; }

    /// Bytes of the sparse tables in front of the data: the sizes that users see do not count them.
    [[nodiscard]] std::uint64_t sparse_size() const noexcept { return sparse_size_; }

    [[nodiscard]] participant_id           self() const noexcept { return self_; }
    [[nodiscard]] bool                     is_read_only() const noexcept { return !self_; }
    [[nodiscard]] bool                     is_flat() const noexcept { return flat_; }
    [[nodiscard]] std::chrono::nanoseconds detection_time() const noexcept { return detection_time_; }

    /// Bytes that have memory; offsets read from the segment are compared with it before use.
    [[nodiscard]] std::uint64_t committed() const noexcept;

    /// Whether there is memory at that offset.
    [[nodiscard]] bool has_memory_at(std::uint64_t offset) const noexcept
    {
        // Acquire C1, through whoever has looked at what is committed before.
        return offset < known_committed_.load(std::memory_order_acquire) || grew_beyond(offset);
    }

    /// First byte behind the fixed areas.
    [[nodiscard]] std::uint64_t data_offset() const noexcept { return data_offset_; }

    /// The area of a part.
    /// \par Errors  `flat_segment` where that part has none
    [[nodiscard]] result<area_bytes> area_of(part_id part) const noexcept;

    /// The area of a part that gets memory piece by piece. What has none must not even be read: that would take a page,
    /// or end in SIGBUS.
    /// \par Errors  `flat_segment`
    [[nodiscard]] result<area_bytes> sparse_area_of(part_id part) const noexcept;

    /// Gets memory for a piece of a sparse area; waits for nobody.
    /// \par Errors  `out_of_memory`, `descriptor_lost`, `forked`, `read_only`
    [[nodiscard]] error_code commit_sparse(area_bytes piece) noexcept;

    [[nodiscard]] bool contains(void const* p) const noexcept
    {
        auto const address = reinterpret_cast<std::uintptr_t>(p);
        auto const begin   = reinterpret_cast<std::uintptr_t>(base_);
        return address >= begin && address - begin < maximum_size_;
    }

    [[nodiscard]] std::uint64_t offset_of(void const* p) const noexcept
    {
        return static_cast<std::uint64_t>(static_cast<std::byte const*>(p) - base_);
    }

    /// A handle as the program has them, for parts that act on the program's behalf; null in a forked child.
    [[nodiscard]] std::shared_ptr<attachment> handle();

    /// The attachment whose mapping holds that address; null where there is none in this process. Fast when asked again
    /// on the same thread.
    [[nodiscard]] static attachment* containing(void const* p) noexcept;

    /// Whether this process may change the segment now.
    /// \par Errors  `forked`, `read_only`
    [[nodiscard]] error_code usable() const noexcept
    {
        if (is_forked())
            return errc::forked;
        return is_read_only() ? make_error_code(errc::read_only) : error_code();
    }

    [[nodiscard]] bool is_usable() const noexcept { return !is_forked() && !is_read_only(); }

    /// True in a child that was forked after the segment was attached: nothing of it is here.
    [[nodiscard]] bool is_forked() const noexcept
    {
        // Relaxed: only a fork changes it, and a fork copies one thread.
        return generation_word_->load(std::memory_order_relaxed) != generation_;
    }

    /// Gets memory for all bytes before `end`.
    /// \par Errors  `out_of_memory`, `descriptor_lost`
    [[nodiscard]] error_code commit(std::uint64_t end) noexcept;

    /// Asks the kernel whether a participant lives. Some system calls, none for one that has left or whose row is being
    /// taken over; a stopped or slow process is alive. In a forked child: unknown.
    [[nodiscard]] liveness ask(participant_id id) const noexcept;

    /// True when the id is no longer the user of its row: no system call, and false says nothing.
    [[nodiscard]] bool has_left(participant_id id) const noexcept;

    /// True once a participant has left, and nobody has to recover for it any more.
    [[nodiscard]] bool is_settled(participant_id id) const noexcept;

    /// Looks for dead participants and recovers where there are some, unless somebody is at it. Waits call it once per
    /// detection time.
    void tend() noexcept;

    /// The same, unless this process has looked within the detection time: what every wait does, so that a program of
    /// many short waits notices deaths as one of long ones does. One relaxed load where nothing is due.
    void tend_if_due(std::chrono::steady_clock::time_point now) noexcept
    {
        // Relaxed: two threads that both find it due look twice, which does no harm.
        if (now.time_since_epoch().count() >= next_look_.load(std::memory_order_relaxed))
            look_again(now);
    }

    /// How often anybody has recovered for somebody.
    [[nodiscard]] std::uint64_t recoveries() const noexcept;

    /// What a recovery looks for.
    enum class recovery_scope
    {
        dead,          ///< nothing to do where nobody has died
        dead_and_lost, ///< also what was lost at earlier deaths, and may be given back by now
    };

    /// Recovers for all dead participants, those included whose rows newcomers are taking over.
    /// \par Errors  `recovery_busy`, `forked`, `read_only`, `descriptor_lost`
    [[nodiscard]] result<recovery_report> recover(deadline until, recovery_scope what = recovery_scope::dead);

    /// Adds a callback; lives until `remove_callback`.
    std::uint64_t add_callback(recovery_callback callback);
    void          remove_callback(std::uint64_t number) noexcept;

    /// How many lanes there are, the participants' shared ones included.
    [[nodiscard]] std::uint32_t lane_count() const noexcept { return lane_count_; }

    /// A lane's row; `index` is below `lane_count()`.
    [[nodiscard]] lane_row& row_of_lane(std::uint32_t index) const noexcept { return lanes_[index]; }

    /// How many rows for participants there are.
    [[nodiscard]] std::uint32_t participant_count() const noexcept { return participant_count_; }

    /// The lane that this process's threads share where they have none of their own; whoever uses it excludes others.
    [[nodiscard]] std::uint32_t shared_lane() const noexcept { return self_.row(); }

    /// The lane of the calling thread; claimed at its first use, given back when the thread ends.
    /// \par Errors  `too_many_lanes`, also in destructors that run after those of the thread's `thread_local`
    /// variables; `forked`, `read_only`
    [[nodiscard]] result<std::uint32_t> lane();

    /// The same; nothing where the thread can have none. Then it is not asked for again for the next thousand calls, since
    /// that means a recovery.
    [[nodiscard]] std::optional<std::uint32_t> try_lane() noexcept;

    [[nodiscard]] std::vector<participant_info> participants() const;

    /// What a part keeps in this process for this attachment; made when the segment was attached.
    [[nodiscard]] void* local_state(part_id part) const noexcept;

    /// The insides, for the segment part's own code.
    [[nodiscard]] implementation& insides() const noexcept { return *impl_; }

private:
    friend struct attachment_access;

    void               look_again(std::chrono::steady_clock::time_point now) noexcept;
    [[nodiscard]] bool grew_beyond(std::uint64_t offset) const noexcept;

    std::unique_ptr<implementation>   impl_;
    std::byte*                        base_         = nullptr;
    std::uint64_t                     maximum_size_ = 0;
    std::uint64_t                     data_offset_  = 0;
    std::uint64_t                     sparse_size_  = 0;
    participant_id                    self_;
    std::atomic<std::uint64_t> const* generation_word_   = nullptr; ///< which process this is
    std::uint64_t                     generation_        = 0;       ///< in which it was attached
    lane_row*                         lanes_             = nullptr;
    std::uint32_t                     lane_count_        = 0;
    std::uint32_t                     participant_count_ = 0;
    bool                              flat_              = false;
    std::chrono::nanoseconds          detection_time_    = {};
    std::atomic<std::int64_t>         next_look_{0}; ///< steady clock; this process's own

    mutable std::atomic<std::uint64_t> known_committed_{0}; ///< what was committed at the last look; 0 in flat segments
};

} // namespace atrium
