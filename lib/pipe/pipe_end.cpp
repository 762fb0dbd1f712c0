#include "pipe/pipe_core.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>
#include <exception>
#include <optional>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto relaxed  = std::memory_order_relaxed;
constexpr auto patience = 1s; // for the heap, which somebody stopped may hold

// Drops all that is in the ring. Where a pool cannot be opened, since somebody stands still with the heap, its elements are
// left to whoever uses it next.
// \returns false where something is left, since there is no memory for the references to it
bool drain(reference_ring const& ring, held_pools& pools) noexcept
{
    try
    {
        for (;;)
        {
            auto const taken = ring.take(pools);
            if (!taken)
            {
                ring.give_up_all(pools.until());
                return ring.is_empty();
            }
            if (taken->reference == nullptr)
                return true;
            drop_use(*taken->reference);
        }
    }
    catch (std::exception const&)
    {
        return ring.is_empty(); // no memory here
    }
}

// The same for all rings of the pipe. Senders that come too late take back what they push.
bool drain(router_view const& router, lane_table const& lanes, std::uint64_t generation, deadline until) noexcept
{
    bool       is_drained = true;
    held_pools pools(until);
    for (std::uint64_t sender = 0; sender < router.shape().senders(); ++sender)
    {
        if (reference_ring const ring = router.ring_of(lanes, sender, generation); ring && !drain(ring, pools))
            is_drained = false;
    }
    return is_drained;
}

// Whether a process is behind that id that may still go on.
bool is_gone(attachment const& in, participant_id id) noexcept
{
    return id && id != in.self() && in.is_settled(id);
}

// Makes a place closing by this process, unless somebody is faster.
bool begin_closing(router_view const& router, pipe_slot& slot, std::uint64_t word) noexcept
{
    if (!slot.state.compare_exchange_strong(word, slot_word(slot_state::closing, router.in().self()),
                                            std::memory_order_acq_rel, relaxed)) // C4, among those who close
        return false;
    ATRIUM_CRASH_POINT("pipe.closing");
    return true;
}

// Whether what goes by the pipe's name is there.
bool has_entry(router_view const& router, pipe_slot const& slot) noexcept
{
    auto const of = owner::unpack(slot.owner.load(relaxed));
    return of && is_owned(router.in(), slot.block.load(relaxed), *of);
}

// Whoever claimed the place is gone. If others have the pipe by its name already, it is opened for them.
void finish_claim(router_view const& router, std::uint64_t number, std::uint64_t word) noexcept
{
    pipe_slot&          slot       = router.slot(number);
    std::uint64_t const generation = slot.generation.load(relaxed);
    if (has_entry(router, slot))
    {
        open_place(router, slot, word, generation);
        if (!has_entry(router, slot)) // who had it has given it up meanwhile, and did not find it open
            close_place(router, number, generation);
        return;
    }
    slot.state.compare_exchange_strong(word, slot_word(slot_state::free, generation), std::memory_order_acq_rel,
                                       relaxed); // C2
    ATRIUM_CRASH_POINT("pipe.tidy.claim_freed");
}

void tidy(router_view const& router, std::uint64_t number) noexcept
{
    pipe_slot& slot = router.slot(number);
    auto       word = slot.state.load(std::memory_order_acquire); // C2, C4
    switch (state_of(word))
    {
    case slot_state::claimed:
        if (is_gone(router.in(), participant_in(word)))
            finish_claim(router, number, word);
        return;
    case slot_state::open:
    case slot_state::shut:
        if (!has_entry(router, slot) && begin_closing(router, slot, word))
            finish_closing(router, number, at_once);
        return;
    case slot_state::closing:
        if (is_gone(router.in(), participant_in(word)) && begin_closing(router, slot, word))
            finish_closing(router, number, at_once);
        return;
    default:
        return;
    }
}

} // namespace

void finish_closing(router_view const& router, std::uint64_t number, deadline until) noexcept
{
    pipe_slot&          slot       = router.slot(number);
    std::uint64_t const generation = slot.generation.load(relaxed);
    bool                is_drained = true;
    router.note_change(); // W1: who pushes without having seen that the pipe is closed is seen below
    if (auto const lanes = router.lanes_of(slot))
    {
        router.wake_senders(lanes, generation);
        is_drained = drain(router, lanes, generation, until);
    }
    slot.owner.store(0, relaxed); // the place is no longer that name's, which may be there for longer
    ATRIUM_CRASH_POINT("pipe.closing.name_forgotten");
    if (!is_drained)
    {
        // As a pipe without a name it is ended by whoever looks after the dead next, or looks for a place.
        slot.state.store(slot_word(slot_state::shut, generation), std::memory_order_release); // C2
        ATRIUM_CRASH_POINT("pipe.closing.put_off");
        return owe_ending(router.in());
    }
    // Release C3, pairs with the acquire C3 of senders that free their rings.
    slot.generation.store(generation + 1, std::memory_order_release);
    ATRIUM_CRASH_POINT("pipe.closing.generation");
    slot.state.store(slot_word(slot_state::free, generation + 1), std::memory_order_release); // C2
    ATRIUM_CRASH_POINT("pipe.closed");
    router.note_change(); // for the rings
}

void open_place(router_view const& router, pipe_slot& slot, std::uint64_t claimed, std::uint64_t generation) noexcept
{
    slot.state.compare_exchange_strong(claimed, slot_word(slot_state::open, generation), std::memory_order_acq_rel,
                                       relaxed); // C2
    ATRIUM_CRASH_POINT("pipe.opened");
    router.note_change(); // C1: and then looks at the history; or at whether the router is closed
    if (router.header().closed.load(relaxed) != 0)
        shut_pipe(router, slot, generation);
}

void close_place(router_view const& router, std::uint64_t number, std::uint64_t generation) noexcept
{
    pipe_slot&          slot = router.slot(number);
    std::uint64_t const word = slot.state.load(std::memory_order_acquire); // C2
    bool const          ours =
        word == slot_word(slot_state::open, generation) || word == slot_word(slot_state::shut, generation);
    if (ours && begin_closing(router, slot, word))
        finish_closing(router, number, 10ms); // enough for who is at the heap, and goes on
}

void tidy(router_view const& router) noexcept
{
    for (std::uint64_t number = 0; number < router.shape().pipes; ++number)
        tidy(router, number);
}

namespace {

// The place of a pipe whose name goes; the router may be gone already, with all that was in it.
void end_pipe(attachment& in, pipe_header const& pipe) noexcept
{
    auto const          of    = owner::unpack(pipe.router_owner.load(relaxed));
    std::uint64_t const block = pipe.router_block.load(relaxed);
    error_code const    held  = of ? hold_structure(in, *of, block, patience) : make_error_code(errc::not_found);
    if (held && held != errc::not_found)
        owe_ending(in); // where the heap cannot be had, tidy() finds the place later
    if (held)
        return;
    auto const entry = static_cast<std::uint32_t>(of->index());
    auto const place = structure_at(in, part_id::pipe, entry);
    auto const view = place ? router_view::attach(in, place->block, place->size) : result<router_view>(errc::corrupted);
    std::uint64_t const number = pipe.slot.load(relaxed);
    if (view && number < view->shape().pipes)
        close_place(*view, number, pipe.generation.load(relaxed));
    release_named(in, entry);
}

// What is still in rings is dropped before these are freed with the router.
void end_router(attachment& in, std::uint64_t block) noexcept
{
    auto const view = router_view::attach(in, block, in.committed() - block);
    if (!view)
        return;
    held_pools pools(at_once);
    auto const drop_all = [&](std::uint64_t offset) {
        if (auto const ring =
                offset == 0 ? result<reference_ring>(errc::not_found) : reference_ring::attach(in, offset))
            static_cast<void>(drain(*ring, pools)); // what is left goes with the ring
    };
    for (std::uint64_t sender = 0; sender < view->shape().senders(); ++sender)
    {
        if (sender_block const* const known = view->sender(sender))
            drop_all(known->history.load(relaxed));
        for_each_slot(*view, [&](std::uint64_t, pipe_slot const& slot) {
            if (auto const lanes = view->lanes_of(slot))
                drop_all(offset_in(lanes.lane(sender).ring.load(relaxed)));
        });
    }
}

} // namespace

void end_structure(std::byte* object) noexcept
{
    attachment* const in = attachment::containing(object);
    if (in == nullptr)
        return;
    auto const kind = static_cast<structure_kind>(
        reinterpret_cast<atomic<std::uint64_t> const*>(object)->load(std::memory_order_relaxed));
    if (kind == structure_kind::pipe)
        end_pipe(*in, *reinterpret_cast<pipe_header const*>(object));
    else if (kind == structure_kind::router)
        end_router(*in, in->offset_of(object));
}

} // namespace atrium::detail
