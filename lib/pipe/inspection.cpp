#include <atrium/pipe/routers.hpp>

#include "os/barrier.hpp"
#include "os/process.hpp"
#include "pipe/pipe_core.hpp"
#include "pipe/router_core.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>

namespace atrium {

namespace detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// What one ring has. The ring may be freed meanwhile: what is read then means nothing.
struct ring_numbers
{
    std::uint64_t start, head, tail, dropped, refused;
    std::uint64_t oldest; // when it was sent; 0: there is none
};

ring_numbers numbers_of(reference_ring const& ring) noexcept
{
    ring_numbers now{};
    now.start   = ring.header().rare[ring_start].load(relaxed);
    now.dropped = ring.header().of_sender[ring_dropped].load(relaxed);
    now.refused = ring.header().of_sender[ring_refused].load(relaxed);
    now.head    = std::max(ring.head(), now.start);
    now.tail    = std::max(ring.tail(), now.head); // read later than the head, so there may seem to be more than fit
    if (now.tail != now.head)
        now.oldest = ring.note(now.head).time.load(relaxed);
    return now;
}

// The ring's share of a pipe's numbers.
void add(pipe_info& info, ring_numbers const& ring, std::uint64_t capacity) noexcept
{
    std::uint64_t const taken = ring.head - ring.start;
    ++info.senders;
    info.depth += std::min(ring.tail - ring.head, capacity);
    info.sent += ring.tail - ring.start;
    info.dropped += ring.dropped;
    info.received += taken - std::min(ring.dropped, taken);
    info.refused += ring.refused;
    if (ring.oldest == 0)
        return; // or sent a moment ago: the time is written last
    std::uint64_t const now = os::coarse_nanoseconds();
    std::uint64_t const age = now - std::min(ring.oldest, now);
    info.oldest             = std::max(info.oldest, std::chrono::nanoseconds(static_cast<std::int64_t>(age)));
}

void add_rings(pipe_info& info, router_view const& router, pipe_slot const& slot)
{
    auto const lanes = router.lanes_of(slot);
    if (!lanes)
        return;
    for (std::uint64_t sender = 0; sender < router.shape().senders(); ++sender)
    {
        reference_ring const ring = router.ring_of(lanes, sender, info.generation);
        if (!ring)
            continue;
        ring_numbers const numbers = numbers_of(ring);
        os::full_barrier(); // what was read is that ring's, if it is there still
        if (reference_ring const again = router.ring_of(lanes, sender, info.generation);
            again && again.offset() == ring.offset())
            add(info, numbers, ring.capacity());
    }
}

// Its name in the directory is "router:pipe".
std::string name_without(std::string const& router, std::string const& whole)
{
    return whole.substr(std::min(whole.size(), router.size() + 1));
}

pipe_info describe_pipe(router_view const& router, std::uint32_t entry, std::uint64_t number, std::uint64_t word)
{
    pipe_slot const& slot = router.slot(number);
    pipe_info        info;
    info.number     = static_cast<std::uint32_t>(number);
    info.state      = state_of(word) == slot_state::open   ? pipe_state::open
                      : state_of(word) == slot_state::shut ? pipe_state::shut
                                                           : pipe_state::closing;
    info.generation = slot.generation.load(relaxed);
    info.when_full  = static_cast<overflow>(slot.when_full.load(relaxed));
    info.capacity   = slot.capacity.load(relaxed);
    info.spins      = slot.spins.load(relaxed);
    info.sleeps     = slot.sleeps.load(relaxed);
    if (auto const of = owner::unpack(slot.owner.load(relaxed)); of && of->kind() == owner_kind::directory_entry)
    {
        auto const of_pipe = static_cast<std::uint32_t>(of->index());
        info.name          = name_without(name_of_entry(router.in(), entry), name_of_entry(router.in(), of_pipe));
        info.holders       = holders_of_entry(router.in(), of_pipe);
    }
    add_rings(info, router, slot);
    return info;
}

// What the directory says of it.
router_info describe_entry(attachment& in, std::uint32_t entry)
{
    router_info info;
    info.name    = name_of_entry(in, entry);
    info.type    = type_of_entry(in, entry);
    info.holders = holders_of_entry(in, entry);
    if (constexpr std::string_view before = "router of "; info.type.starts_with(before))
        info.type.erase(0, before.size());
    return info;
}

router_info describe_router(router_view const& router, std::uint32_t entry)
{
    router_info info = describe_entry(router.in(), entry);
    info.closed      = router.header().closed.load(relaxed) != 0;
    info.room        = router.shape().pipes;
    info.history     = router.shape().history;
    for (std::uint64_t sender = 0; sender < router.shape().senders(); ++sender)
    {
        sender_block const* const block = router.sender(sender);
        info.senders += block != nullptr && block->user.load(relaxed) != 0 ? 1 : 0;
    }
    for_each_slot(router, [&](std::uint64_t number, pipe_slot const& slot) {
        std::uint64_t const word  = slot.state.load(std::memory_order_acquire); // C2
        auto const          state = state_of(word);
        if (state == slot_state::open || state == slot_state::shut || state == slot_state::closing)
            info.pipes.push_back(describe_pipe(router, entry, number, word));
    });
    return info;
}

bool is_pipe(attachment& in, structure_place const& place)
{
    auto const& kind = reinterpret_cast<pipe_header const*>(place.object)->kind;
    return kind.load(relaxed) == static_cast<std::uint64_t>(structure_kind::pipe) ||
           type_of_entry(in, place.entry).starts_with("pipe of ");
}

// The router in that place; nothing where a pipe is there, or it goes while it is looked at.
std::optional<router_info> look_at(attachment& in, structure_place const& place)
{
    if (auto const view = router_view::attach(in, place.block, place.size))
        return describe_router(*view, place.entry);
    if (is_pipe(in, place))
        return std::nullopt;
    router_info info = describe_entry(in, place.entry);
    info.damaged     = true;
    auto const again = structure_at(in, part_id::pipe, place.entry);
    bool const same  = again && again->block == place.block && !router_view::attach(in, again->block, again->size);
    return same ? std::optional(std::move(info)) : std::nullopt;
}

} // namespace

router_info info_of(router_core const& router)
{
    if (router.in().is_forked())
        return {};
    return describe_router(router.view(), router.entry());
}

pipe_info info_of(pipe_core const& pipe)
{
    if (pipe.router().in().is_forked())
        return {};
    router_core const& router = pipe.router();
    return describe_pipe(router.view(), router.entry(), pipe.number(),
                         pipe.slot().state.load(std::memory_order_acquire)); // C2
}

} // namespace detail

result<std::vector<router_info>> routers(segment const& in)
{
    attachment& attached = *in.attached();
    if (attached.is_forked())
        return errc::forked;
    if (attached.is_flat())
        return errc::flat_segment;
    std::vector<router_info> all;
    detail::for_each_structure(attached, part_id::pipe, [&](detail::structure_place const& place) {
        if (auto info = detail::look_at(attached, place))
            all.push_back(std::move(*info));
    });
    return all;
}

std::string_view to_string(pipe_state state) noexcept
{
    switch (state)
    {
    case pipe_state::open:
        return "open";
    case pipe_state::shut:
        return "shut";
    case pipe_state::closing:
        return "closing";
    }
    return "unknown";
}

std::string_view to_string(overflow when_full) noexcept
{
    switch (when_full)
    {
    case overflow::wait:
        return "wait";
    case overflow::fail:
        return "fail";
    case overflow::drop_oldest:
        return "drop oldest";
    }
    return "unknown";
}

} // namespace atrium
