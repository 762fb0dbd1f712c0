/// \file
/// Bounded queues of counted references in the segment: what pipes are made of.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/object_layout.hpp>
#include <atrium/memory/detail/owner.hpp>
#include <atrium/segment/attachment.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace atrium::detail {

class object_pool;
struct lane_state;

/// Where the next reference is taken, and which lane took the last one. Swung as a control word is.
struct alignas(16) ring_head
{
    atomic<std::uint64_t> position{0};
    atomic<std::uint64_t> mark{0}; ///< swing_mark
};

/// The place of a reference. Written by the sender only.
struct ring_slot
{
    atomic<std::uint64_t> object{0};  ///< object_id::word(), and ring_lap; written last
    atomic<std::uint64_t> pointee{0}; ///< offset of what the reference points at
};

/// Beside each slot, in lines that only the sender touches: two words for the part that sends.
struct ring_note
{
    atomic<std::uint64_t> sequence{0}; ///< written before the slot
    atomic<std::uint64_t> time{0};     ///< written at any time: a hint
};

/// A ring in a block of its own; the slots follow, and behind them the notes. Positions only grow, a position's slot is its
/// remainder. References are at the positions from `head` on whose slots bear their lap.
struct ring_header
{
    // Hardly ever written.
    atomic<std::uint64_t> capacity{0}; ///< slots, a power of two; never changes
    atomic<std::uint64_t> rare[7]{};   ///< of the part that made the ring

    // Written by the sender only, or by its recoverer.
    alignas(64) atomic<std::uint64_t> tail{0}; ///< behind the last reference, but for a push that is under way
    atomic<std::uint64_t> of_sender[7]{};      ///< of the part that made the ring

    // Written by whoever takes.
    alignas(64) ring_head head;
    std::uint64_t reserved[6] = {};
};
static_assert(sizeof(ring_header) == 192 && offsetof(ring_header, tail) == 64 && offsetof(ring_header, head) == 128);
static_assert(sizeof(ring_slot) == 16 && sizeof(ring_note) == 16 && sizeof(ring_head) == 16);

/// In `ring_slot::object`: set in slots of the first lap, not in those of the second, and so on. An object's id needs 49
/// bits.
inline constexpr std::uint64_t ring_lap = std::uint64_t{1} << 63;

/// Pools that this process holds open for a while, since references to their elements come again and again.
class held_pools
{
public:
    /// \param until  how long whoever takes something with these waits for the heap, where that is needed
    explicit held_pools(deadline until) noexcept : until_(until) {}

    /// From now on.
    void               wait_until(deadline until) noexcept { until_ = until; }
    [[nodiscard]] auto until() const noexcept { return until_; }

    /// The pool, open; what it returns is valid until the next call.
    /// \par Errors  `timed_out`, `corrupted`
    [[nodiscard]] result<object_pool*> hold(memory_state& memory, std::uint32_t entry);

    /// Lets go of all of them.
    void release() noexcept;

    [[nodiscard]] bool empty() const noexcept { return pools_.front() == nullptr; }

    /// The pool that was wanted last; null where there is none.
    [[nodiscard]] object_pool* latest() const noexcept { return pools_.front().get(); }

private:
    std::array<std::shared_ptr<object_pool>, 4> pools_; // the latest first
    deadline                                    until_;
};

/// A moment that has always passed: who has this waits for nobody.
inline constexpr deadline at_once{deadline::clock::time_point::min()};

/// A reference taken from a ring.
struct taken_reference
{
    local_reference* reference = nullptr; ///< with one use; null: there was none
    std::byte*       pointee   = nullptr; ///< null where the ring says what cannot be
    std::uint64_t    position  = 0;
    std::uint64_t    sequence  = 0; ///< as the sender wrote it, where that was asked for
};

/// What a sender that takes its own reference writes down of that, so that both are so or neither.
struct take_note
{
    atomic<std::uint64_t>& mark;  ///< gets the mark of the swing that is tried, before it
    atomic<std::uint64_t>& count; ///< becomes `counted`, before the lane goes on
    std::uint64_t          counted;
};

/// What came of a take without waiting.
enum class take_outcome
{
    taken = 1,
    empty,
    needs_more, ///< memory, or a pool that is not at hand: another way is needed
};

/// Whether the sequence is to be read: it lies in a line of the sender's.
enum class with_sequence : bool
{
    no,
    yes,
};

/// One process's view of a ring. One sender at a time pushes, the caller sees to that; anybody takes. Copies are the same
/// ring.
/// \par Lifetime  The caller sees to it that the ring stays.
/// \par If a process dies  A push has happened or not, and so has a take: what was taken is the dead process's, and is
/// given up with its other references.
class reference_ring
{
public:
    static constexpr std::uint64_t largest_capacity = std::uint64_t{1} << 24;

    reference_ring() = default;

    [[nodiscard]] static std::uint64_t bytes(std::uint64_t capacity) noexcept
    {
        return sizeof(ring_header) + capacity * (sizeof(ring_slot) + sizeof(ring_note));
    }

    /// Writes an empty ring where nobody looks yet; `capacity` is a power of two.
    [[nodiscard]] static reference_ring format(attachment& in, std::uint64_t offset, std::uint64_t capacity) noexcept;

    /// Looks at a ring; it lies in a block that is marked as one.
    /// \par Errors  `corrupted`
    [[nodiscard]] static result<reference_ring> attach(attachment& in, std::uint64_t offset) noexcept;

    [[nodiscard]] explicit operator bool() const noexcept { return header_ != nullptr; }

    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint64_t capacity() const noexcept { return mask_ + 1; }

    [[nodiscard]] std::uint64_t tail() const noexcept
    {
        return header_->tail.load(std::memory_order_acquire); // pairs with the release in a push: a number for people
    }
    [[nodiscard]] std::uint64_t head() const noexcept
    {
        // Acquire Q2, pairs with the swing in take(): the place is no longer read.
        return header_->head.position.load(std::memory_order_acquire);
    }

    /// Whether there is a reference at the position, or was one that has been taken and not overwritten.
    [[nodiscard]] bool is_filled(std::uint64_t position) const noexcept
    {
        // Acquire Q1, pairs with the release Q1 of a push.
        return bears_lap(slot(position).object.load(std::memory_order_acquire), position);
    }

    /// Whether nothing is there, at some moment of the call.
    [[nodiscard]] bool is_empty() const noexcept
    {
        for (;;)
        {
            std::uint64_t const first = head();
            bool const          there = is_filled(first);
            if (there || head() == first)
                return !there;
        }
    }

    /// What the slot says, whether or not the reference is there still.
    [[nodiscard]] object_id object_at(std::uint64_t position) const noexcept
    {
        return object_id(slot(position).object.load(std::memory_order_relaxed) & ~ring_lap);
    }

    [[nodiscard]] ring_note& note(std::uint64_t position) const noexcept { return notes_[position & mask_]; }

    [[nodiscard]] ring_header& header() const noexcept { return *header_; }

    /// The sender puts a reference of this process at `tail`, where there is room, and has it no more.
    void push(local_reference& from, std::byte const* pointee, std::uint64_t sequence) const noexcept;

    /// The same with a further reference to the object.
    /// \par Errors  `too_many_references`
    [[nodiscard]] error_code push_copy(local_reference const& of, std::byte const* pointee,
                                       std::uint64_t sequence) const noexcept;

    /// Takes the oldest reference with what the calling thread has at hand: it is this process's now.
    [[nodiscard]] take_outcome take_at_hand(held_pools const& pools, with_sequence wish,
                                            taken_reference& taken) const noexcept;

    /// Takes the oldest reference, if there is one.
    /// \par Errors  `out_of_memory`, `timed_out`, `corrupted`; the reference stays where it is
    [[nodiscard]] result<taken_reference> take(held_pools& pools, with_sequence wish = with_sequence::no,
                                               take_note const* note = nullptr) const;

    /// Whether the take by that swing has happened, of a lane that died before it had written `take_note::count`; its records
    /// are closed.
    [[nodiscard]] bool was_taken(std::uint64_t mark) const noexcept;

    /// Takes and drops all that is there. What was referred to last becomes pending: no user code runs, and no pool need be
    /// opened.
    /// \returns how many
    std::size_t give_up_all(deadline until) const;

    /// A further reference to what is at the position.
    /// \par Errors  `expired`: it was taken; as take()
    [[nodiscard]] result<taken_reference> share_at(std::uint64_t position, held_pools& pools) const;

private:
    struct looked
    {
        std::uint64_t position = 0;
        std::uint64_t mark     = 0;
        object_id     id;
        std::byte*    pointee  = nullptr;
        std::uint64_t sequence = 0;
    };

    reference_ring(attachment& in, std::uint64_t offset, std::uint64_t capacity) noexcept;

    [[nodiscard]] bool bears_lap(std::uint64_t word, std::uint64_t position) const noexcept
    {
        return (word & ~ring_lap) != 0 && (word & ring_lap) == lap(position);
    }
    [[nodiscard]] std::uint64_t lap(std::uint64_t position) const noexcept
    {
        return (position >> lap_shift_ & 1) == 0 ? ring_lap : 0;
    }
    [[nodiscard]] ring_slot& slot(std::uint64_t position) const noexcept { return slots_[position & mask_]; }

    [[nodiscard]] std::byte* address_of(std::uint64_t offset) const noexcept;
    [[nodiscard]] bool       look(looked& at, with_sequence wish) const noexcept;
    [[nodiscard]] bool       take_first(lane_state& lane, looked const& first, local_reference& fresh,
                                        take_note const* note) const noexcept;

    static void expect(object_pool const& pool, object_id id, std::byte const* pointee) noexcept;
    void        expect_at(object_pool const& pool, std::uint64_t position) const noexcept;

    void begin_push(std::uint64_t position, std::uint64_t sequence) const noexcept;
    void fill(std::uint64_t position, object_id id, std::byte const* pointee) const noexcept;
    void fill_slot(std::uint64_t position, object_id id, std::byte const* pointee) const noexcept;

    friend class ring_recovery;

    attachment*   in_        = nullptr;
    memory_state* memory_    = nullptr;
    ring_header*  header_    = nullptr;
    ring_slot*    slots_     = nullptr;
    ring_note*    notes_     = nullptr;
    std::uint64_t mask_      = 0;
    unsigned      lap_shift_ = 0;
    std::uint64_t offset_    = 0;
};

/// As owner of a block: a ring of that entry of the directory. Wherever such a block goes, its references are given up.
[[nodiscard]] constexpr owner ring_owner(std::uint64_t entry) noexcept
{
    return owner::directory_entry(entry, owner::ring_sub);
}

} // namespace atrium::detail
