#include "pipe/pipe_part.hpp"

#include "os/barrier.hpp"
#include "pipe/pipe_core.hpp"
#include "pipe/router_core.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace atrium::detail {

open_routers& routers_in(attachment& in) noexcept
{
    return *static_cast<open_routers*>(in.local_state(part_id::pipe));
}

namespace {

using namespace std::chrono_literals;

constexpr auto relaxed = std::memory_order_relaxed;

std::uint64_t area_size(segment_options const&)
{
    return sizeof(pipe_area);
}

error_code format(attachment& in, segment_options const&)
{
    new (in.base() + in.area_of(part_id::pipe)->offset) pipe_area;
    return {};
}

std::shared_ptr<void> attach(attachment&)
{
    return std::make_shared<open_routers>();
}

void end_lane(attachment& in, std::uint32_t lane) noexcept
{
    forget_own_sender();
    routers_in(in).end_lane(lane);
}

// ---- recovery ------------------------------------------------------------------------------------------------------

// What the dead one has taken to make room was dropped, whether or not it came to count that.
void count_last_drop(reference_ring const& ring) noexcept
{
    auto&               words    = ring.header().of_sender;
    std::uint64_t const dropping = words[ring_dropping].load(relaxed);
    if (dropping != words[ring_dropped].load(relaxed) + 1)
        return;
    if (ring.was_taken(words[ring_drop_mark].load(relaxed)))
        words[ring_dropped].store(dropping, relaxed);
    else
        words[ring_dropping].store(dropping - 1, relaxed);
    ATRIUM_CRASH_POINT("pipe.recover.drop_counted");
}

// A receiver is told of a sender's death once it has all that came before.
void note_death(pipe_slot& slot, lane_table const& lanes, reference_ring const& ring, std::uint64_t sender,
                participant_id who) noexcept
{
    ring_header&            header = ring.header();
    std::uint64_t const     at     = ring.tail();
    std::uint64_t const     noted  = header.rare[ring_deaths].load(relaxed);
    constexpr std::uint64_t low    = (std::uint64_t{1} << deaths_shift) - 1;
    if (header.rare[ring_begun].load(relaxed) == at)
        return;                              // it has pushed nothing: it was no sender to this pipe
    if ((noted & low) != (who.word() & low)) // else a recoverer has come so far before
    {
        header.rare[ring_death_at].store(at, relaxed);
        ATRIUM_CRASH_POINT("pipe.recover.death_placed");
        header.rare[ring_deaths].store(((noted >> deaths_shift) + 1) << deaths_shift | (who.word() & low),
                                       std::memory_order_release); // D1
    }
    ATRIUM_CRASH_POINT("pipe.recover.death_noted");
    os::full_barrier(); // R1
    lanes.set_ready(sender);
    router_view::wake_receivers(slot);
    ATRIUM_CRASH_POINT("pipe.recover.receivers_told");
}

// What the sender did last has happened or not by now: its record is closed.
void end_sender(router_view const& router, std::uint64_t sender, participant_id user) noexcept
{
    for_each_slot(router, [&](std::uint64_t, pipe_slot& slot) {
        auto const          lanes = router.lanes_of(slot);
        std::uint64_t const link  = lanes ? lanes.lane(sender).ring.load(relaxed) : 0;
        auto const          ring =
            link == 0 ? result<reference_ring>(errc::not_found) : reference_ring::attach(router.in(), offset_in(link));
        if (!ring)
            return;
        count_last_drop(*ring);
        std::uint64_t const of   = ring->header().rare[ring_generation].load(relaxed);
        std::uint64_t const word = slot.state.load(std::memory_order_acquire); // C2
        if (word == slot_word(slot_state::open, of) || word == slot_word(slot_state::shut, of))
            return note_death(slot, lanes, *ring, sender, user);
        // It did not live to take back what it had pushed too late.
        static_cast<void>(ring->give_up_all(1s));
    });
}

// The dead hold their routers still: these stay where they are.
error_code close_senders(attachment& in, dead_set const& dead, deadline, recovery_report&)
{
    if (dead.dead().empty())
        return {};
    for_each_structure(in, part_id::pipe, [&](structure_place const& place) {
        bool const held = std::any_of(dead.dead().begin(), dead.dead().end(),
                                      [&](participant_id id) { return is_holder(in, place.entry, id); });
        auto const view =
            held ? router_view::attach(in, place.block, place.size) : result<router_view>(errc::not_found);
        if (!view)
            return; // not held by the dead, or no router
        for (std::uint64_t number = 0; number < view->shape().senders(); ++number)
        {
            sender_block* const block = view->sender(number);
            auto const          user  = participant_id::from_word(block == nullptr ? 0 : block->user.load(relaxed));
            if (!user || !dead.gone(user))
                continue;
            end_sender(*view, number, user);
            block->user.store(0, std::memory_order_release); // U1
            ATRIUM_CRASH_POINT("pipe.recover.sender_ended");
        }
        if (view->header().closed.load(relaxed) != 0)
            shut_all(*view); // who closed it may not have come so far
    });
    return {};
}

// What is done on the way may need memory, and for that look after the dead, and come here again.
class once_in_a_thread
{
public:
    once_in_a_thread() noexcept : is_first_(!std::exchange(is_entered, true)) {}
    once_in_a_thread(once_in_a_thread const&)            = delete;
    once_in_a_thread& operator=(once_in_a_thread const&) = delete;
    ~once_in_a_thread()
    {
        if (is_first_)
            is_entered = false;
    }

    [[nodiscard]] bool is_first() const noexcept { return is_first_; }

private:
    static inline thread_local bool is_entered = false;

    bool is_first_;
};

// Places that the dead were claiming or closing, and pipes whose names have gone without them.
bool destroy(attachment& in, deadline until, recovery_report&)
{
    once_in_a_thread const here;
    if (!here.is_first())
    {
        owe_ending(in); // the one further out may be past it
        return true;
    }
    std::vector<structure_place> places;
    for_each_structure(in, part_id::pipe, [&](structure_place const& place) { places.push_back(place); });
    for (structure_place const& place : places)
    {
        auto const seen = router_view::attach(in, place.block, place.size); // believed once it is held
        if (!seen)
            continue; // a pipe
        if (error_code const error = hold_structure(in, seen->of(), place.block, until.earlier(1s)))
        {
            if (error != errc::not_found)
                owe_ending(in); // somebody stands still with the heap: another look is needed
            continue;
        }
        if (auto const view = router_view::attach(in, place.block, place.size))
            tidy(*view);
        release_named(in, place.entry);
    }
    return true;
}

} // namespace

part pipe_part() noexcept
{
    part p;
    p.id            = part_id::pipe;
    p.area_size     = &area_size;
    p.format        = &format;
    p.attach        = &attach;
    p.end_lane      = &end_lane;
    p.close_records = &close_senders;
    p.end_structure = &end_structure;
    p.destroy       = &destroy;
    return p;
}

} // namespace atrium::detail
