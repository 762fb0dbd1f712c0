#include "pipe/sender_core.hpp"

#include "os/barrier.hpp"
#include "pipe/router_core.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <utility>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto relaxed = std::memory_order_relaxed;

} // namespace

sender_core::sender_core(router_core& of, std::uint64_t number, std::shared_ptr<router_core> keeper) noexcept
    : router_(of),
      view_(of.view()),
      number_(number),
      keeper_(std::move(keeper)),
      block_(keeper_ == nullptr ? nullptr : view_.sender(number)) // an ordered one has its number already
{}

sender_core::~sender_core()
{
    if (!view_.in().usable()) // else a forked child: all of it is the parent's
        end();
}

error_code sender_core::begin(deadline until)
{
    if (!is_ours())
    {
        auto const block = view_.make_sender(number_, until);
        if (!block)
            return block.error();
        block_ = *block;
        if (error_code const error = make_history(until))
            return error;
        targets_.clear();
        note_begin();
        // Relaxed: read by recoverers after this process's death, and by people.
        block_->user.store(view_.in().self().word(), relaxed);
        ATRIUM_CRASH_POINT("pipe.sender.used");
        is_used_ = true;
        seen_    = ~std::uint64_t{0}; // rings of earlier users are looked after
    }
    if (has_changed())
        look_again();
    return {};
}

// In all rings of this number: what is there is of former users, who have ended, or whose death was noted.
void sender_core::note_begin() noexcept
{
    for_each_slot(view_, [&](std::uint64_t, pipe_slot& slot) {
        auto const          lanes = view_.lanes_of(slot);
        std::uint64_t const link  = lanes ? lanes.lane(number_).ring.load(relaxed) : 0;
        if (link == 0)
            return;
        if (auto const ring = reference_ring::attach(view_.in(), offset_in(link)))
            ring->header().rare[ring_begun].store(ring->tail(), relaxed);
        ATRIUM_CRASH_POINT("pipe.sender.begun");
    });
}

void sender_core::end() noexcept
{
    if (block_ == nullptr)
        return; // never used
    is_used_ = false;
    if (std::exchange(owes_stale_rings_, false))
        free_stale_rings();
    targets_.clear(); // the next user of the number may be another process
    pools_.release();
    history_           = {};
    std::uint64_t self = view_.in().self().word();
    block_->user.compare_exchange_strong(self, 0, std::memory_order_release, relaxed); // U1
    ATRIUM_CRASH_POINT("pipe.sender.ended");
}

std::uint64_t sender_core::next_sequence() noexcept
{
    std::uint64_t const next = block_->sequence.load(relaxed) + 1; // the sender's own
    block_->sequence.store(next, relaxed);
    ATRIUM_CRASH_POINT("pipe.sequence_drawn");
    return next;
}

// ---- pipes ---------------------------------------------------------------------------------------------------------

void sender_core::look_again()
{
    // Acquire C1. First: what changes from here on is looked at the next time.
    seen_ = view_.header().changes.load(std::memory_order_acquire);
    std::vector<target> now;
    for_each_slot(view_, [&](std::uint64_t number, pipe_slot& slot) {
        // Acquire C2, pairs with the release C2 in open_place(): the pipe's settings are there.
        std::uint64_t const word = slot.state.load(std::memory_order_acquire);
        if (state_of(word) != slot_state::open)
            return;
        std::uint64_t const generation = generation_in(word);
        auto const          known      = std::find_if(targets_.begin(), targets_.end(),
                                                      [&](target const& t) { return t.slot == &slot && t.generation == generation; });
        if (known != targets_.end())
            return now.push_back(*known);
        target fresh;
        fresh.slot       = &slot;
        fresh.number     = static_cast<std::uint32_t>(number);
        fresh.generation = generation;
        fresh.when_full  = static_cast<overflow>(slot.when_full.load(relaxed));
        fresh.lanes      = view_.lanes_of(slot);
        if (fresh.lanes)
            now.push_back(fresh);
    });
    targets_ = std::move(now);
    if (!pools_.empty() && is_heap_free(view_.in()))
        pools_.release(); // not held for longer than they are used
    free_stale_rings();
}

// Rings of pipes that are gone, unless another pipe in the place may use them.
void sender_core::free_stale_rings() noexcept
{
    for_each_slot(view_, [&](std::uint64_t, pipe_slot& slot) {
        auto const lanes = view_.lanes_of(slot);
        if (!lanes)
            return;
        pipe_lane&          lane = lanes.lane(number_);
        std::uint64_t const link = lane.ring.load(relaxed); // the sender's own
        if (link == 0)
            return;
        auto const ring = reference_ring::attach(view_.in(), offset_in(link));
        if (!ring)
            return;
        std::uint64_t const of   = ring->header().rare[ring_generation].load(relaxed);
        std::uint64_t const word = slot.state.load(relaxed);
        if (slot.generation.load(std::memory_order_acquire) == of) // C3, pairs with finish_closing()
            return;                                                // in use, or somebody drains it
        if (state_of(word) == slot_state::open && ring->capacity() == slot.capacity.load(relaxed))
            return; // is used again, if there is something to send
        // Nothing is in it but what was pushed too late, and could not be taken back.
        static_cast<void>(free_block(view_.in(), ring->offset(), ring_owner(view_.of().index()), lane.ring, 0s));
    });
}

reference_ring sender_core::reuse_ring(pipe_lane& lane, target const& to) noexcept
{
    std::uint64_t const link = lane.ring.load(relaxed); // the sender's own
    if (link == 0)
        return {};
    auto const ring = reference_ring::attach(view_.in(), offset_in(link));
    if (!ring || ring->capacity() != to.slot->capacity.load(relaxed))
        return {};
    return *ring;
}

error_code sender_core::make_ring(target& to, deadline until)
{
    pipe_lane&     lane = to.lanes.lane(number_);
    reference_ring ring = view_.ring_of(to.lanes, number_, to.generation); // of a former user of the number
    if (!ring)
    {
        ring = reuse_ring(lane, to);
        if (ring)
            ring.give_up_all(until);
        std::uint64_t const link = lane.ring.load(relaxed);
        if (!ring && link != 0) // of another size; could not be freed before
        {
            if (error_code const error =
                    free_block(view_.in(), offset_in(link), ring_owner(view_.of().index()), lane.ring, until))
                return error;
        }
        bool const fresh = !ring;
        if (fresh)
        {
            std::uint64_t const capacity = to.slot->capacity.load(relaxed);
            auto const          block    = allocate_own(view_.in(), reference_ring::bytes(capacity), 64, until);
            if (!block)
                return block.error();
            ring = reference_ring::format(view_.in(), *block, capacity);
        }
        ring_header&        header = ring.header();
        std::uint64_t const start  = ring.tail();
        auto const          put    = [](atomic<std::uint64_t>& word, std::uint64_t value) {
            word.store(value, relaxed); // before the link
            ATRIUM_CRASH_POINT("pipe.ring.word");
        };
        put(header.rare[ring_start], start);
        put(header.rare[ring_begun], start);
        put(header.rare[ring_deaths_told], deaths_noted(header));
        put(header.rare[ring_sender_waits], 0);
        put(header.of_sender[ring_dropped], 0);
        put(header.of_sender[ring_dropping], 0);
        put(header.of_sender[ring_refused], 0);
        put(header.rare[ring_generation], to.generation);
        std::uint64_t const link_now = ring_link(ring.offset(), to.generation);
        if (!fresh)
            lane.ring.store(link_now, std::memory_order_release); // L1
        else if (error_code const error =
                     give_block(view_.in(), ring.offset(), ring_owner(view_.of().index()), lane.ring, link_now, until))
        {
            free_own(view_.in(), ring.offset());
            return error;
        }
        ATRIUM_CRASH_POINT("pipe.ring.linked");
    }
    to.ring       = ring;
    to.tail       = ring.tail();
    to.room_until = to.tail;
    to.untold     = 0;
    return {};
}

error_code sender_core::drop_oldest(target& to)
{
    auto&               words = to.ring.header().of_sender; // the sender's own
    std::uint64_t const count = words[ring_dropped].load(relaxed) + 1;
    words[ring_drop_mark].store(0, relaxed); // not that of the last one
    ATRIUM_CRASH_POINT("pipe.drop_mark_cleared");
    words[ring_dropping].store(count, std::memory_order_release); // behind the mark, also for who is dead by then
    ATRIUM_CRASH_POINT("pipe.drop_begun");
    take_note const note{words[ring_drop_mark], words[ring_dropped], count};
    auto const      oldest = to.ring.take(pools_, with_sequence::no, &note);
    if (!oldest || oldest->reference == nullptr)
    {
        words[ring_dropping].store(count - 1, relaxed);
        ATRIUM_CRASH_POINT("pipe.drop_void");
        return oldest ? error_code() : oldest.error();
    }
    drop_use(*oldest->reference);
    return {};
}

// ---- history -------------------------------------------------------------------------------------------------------

error_code sender_core::make_history(deadline until)
{
    if (view_.shape().history == 0)
        return {};
    if (std::uint64_t const link = block_->history.load(relaxed); link != 0) // of a former user
    {
        auto const ring = reference_ring::attach(view_.in(), link);
        if (!ring)
            return ring.error();
        history_ = *ring;
        return {};
    }
    std::uint64_t const capacity = std::bit_ceil(view_.shape().history);
    auto const          block    = allocate_own(view_.in(), reference_ring::bytes(capacity), 64, until);
    if (!block)
        return block.error();
    history_ = reference_ring::format(view_.in(), *block, capacity);
    if (error_code const error =
            give_block(view_.in(), *block, ring_owner(view_.of().index()), block_->history, *block, until))
    {
        free_own(view_.in(), *block);
        return error;
    }
    ATRIUM_CRASH_POINT("pipe.history.linked");
    return {};
}

error_code sender_core::keep_history(local_reference const& reference, std::byte const* pointee, std::uint64_t sequence)
{
    while (history_.tail() - history_.head() >= view_.shape().history)
    {
        auto const oldest = history_.take(pools_);
        if (!oldest)
            return oldest.error();
        if (oldest->reference == nullptr)
            return errc::corrupted; // nobody else takes from it
        drop_use(*oldest->reference);
    }
    if (error_code const error = history_.push_copy(reference, pointee, sequence))
        return error;
    // Full barrier C1, pairs with the one in note_change(): who joins finds this in the history, or this sender finds the
    // pipe.
    os::full_barrier();
    return {};
}

} // namespace atrium::detail
