#include "pipe/router_view.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <atomic>
#include <new>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// Whether such a block can lie there: not in the tables, parts of which have no memory.
bool can_be_at(attachment const& in, std::uint64_t offset, std::uint64_t bytes) noexcept
{
    std::uint64_t const end = in.committed();
    return offset % 64 == 0 && offset >= in.data_offset() && offset <= end && bytes <= end - offset;
}

// Who waits is awake: nobody need ring for it any more. Only after the ring, so that others ring if this process is stopped
// before; who waits again by now has said so with a later ticket.
void forget_waiting(atomic<std::uint64_t>& waiting, std::uint64_t said) noexcept
{
    if (said == 0)
        return;
    waiting.compare_exchange_strong(said, 0, std::memory_order_release, relaxed); // not before the ring
    ATRIUM_CRASH_POINT("pipe.waiting_forgotten");
}

} // namespace

void lane_table::format(std::byte* at, std::uint64_t senders) noexcept
{
    lane_table const table(at, senders);
    for (std::uint64_t word = 0; word < ready_words(senders); ++word)
        new (table.ready_ + word) atomic<std::uint64_t>(0);
    for (std::uint64_t sender = 0; sender < senders; ++sender)
        new (table.lanes_ + sender) pipe_lane;
}

void lane_table::set_ready(std::uint64_t sender) const noexcept
{
    atomic<std::uint64_t>& word = ready_[sender / 64];
    std::uint64_t const    bit  = std::uint64_t{1} << (sender % 64);
    // The barrier before this pairs, as R1, with the fetch_and R1 of who clears the bit, and then looks at the ring.
    if ((word.load(relaxed) & bit) == 0)
    {
        word.fetch_or(bit, std::memory_order_release); // R2: the ring's link is there
        ATRIUM_CRASH_POINT("pipe.ready_set");
    }
}

router_view::router_view(attachment& in, std::uint64_t block, router_shape const& shape) noexcept
    : in_(&in),
      header_(reinterpret_cast<router_header*>(in.base() + block)),
      slots_(reinterpret_cast<pipe_slot*>(header_ + 1)),
      links_(reinterpret_cast<atomic<std::uint64_t>*>(slots_ + shape.pipes)),
      shape_(shape)
{}

router_view router_view::format(attachment& in, std::uint64_t block, owner of, router_shape const& shape) noexcept
{
    router_view view(in, block, shape);
    view.of_ = of;
    new (view.header_) router_header;
    for (std::uint64_t n = 0; n < shape.pipes; ++n)
        new (view.slots_ + n) pipe_slot;
    for (std::uint64_t n = 0; n < shape.senders(); ++n)
        new (view.links_ + n) atomic<std::uint64_t>(0);
    view.header_->owner.store(of.packed(), relaxed);
    view.header_->pipes.store(shape.pipes, relaxed);
    view.header_->senders.store(shape.senders(), relaxed);
    view.header_->lane_senders.store(shape.lane_senders, relaxed);
    view.header_->history.store(shape.history, relaxed);
    view.header_->kind.store(static_cast<std::uint64_t>(structure_kind::router), relaxed);
    return view;
}

result<router_view> router_view::attach(attachment& in, std::uint64_t block, std::uint64_t size) noexcept
{
    if (size < sizeof(router_header) || block % alignof(router_header) != 0)
        return errc::corrupted;
    auto const&         header  = *reinterpret_cast<router_header const*>(in.base() + block);
    std::uint64_t const senders = header.senders.load(relaxed);
    router_shape        shape;
    shape.pipes        = header.pipes.load(relaxed);
    shape.lane_senders = header.lane_senders.load(relaxed);
    shape.history      = header.history.load(relaxed);
    auto const of      = owner::unpack(header.owner.load(relaxed));
    if (header.kind.load(relaxed) != static_cast<std::uint64_t>(structure_kind::router) || !of ||
        of->kind() != owner_kind::directory_entry || shape.pipes > size || senders > size ||
        shape.lane_senders > senders || shape.lane_senders != in.lane_count())
        return errc::corrupted;
    shape.ordered_senders = senders - shape.lane_senders;
    if (shape.bytes() > size)
        return errc::corrupted;
    router_view view(in, block, shape);
    view.of_ = *of;
    return view;
}

lane_table router_view::lanes_of(pipe_slot const& slot) const noexcept
{
    // Acquire L1, pairs with the release in give_block(): the table is whole.
    std::uint64_t const offset = slot.lanes.load(std::memory_order_acquire);
    if (offset == 0 || !can_be_at(*in_, offset, lane_table::bytes(shape_.senders())))
        return {};
    return {in_->base() + offset, shape_.senders()};
}

error_code router_view::make_lanes(pipe_slot& slot, deadline until) const
{
    if (slot.lanes.load(std::memory_order_acquire) != 0) // L1
        return {};
    auto const block = allocate_own(*in_, lane_table::bytes(shape_.senders()), 64, until);
    if (!block)
        return block.error();
    lane_table::format(in_->base() + *block, shape_.senders());
    ATRIUM_CRASH_POINT("pipe.lanes.formatted");
    error_code const error = give_block(*in_, *block, of_, slot.lanes, *block, until);
    if (error)
        free_own(*in_, *block);
    return error == errc::already_exists ? error_code() : error;
}

sender_block* router_view::sender(std::uint64_t number) const noexcept
{
    std::uint64_t const offset = links_[number].load(std::memory_order_acquire); // L1
    if (offset == 0 || !can_be_at(*in_, offset, sizeof(sender_block)))
        return nullptr;
    return reinterpret_cast<sender_block*>(in_->base() + offset);
}

result<sender_block*> router_view::make_sender(std::uint64_t number, deadline until) const
{
    if (sender_block* const known = sender(number))
        return known;
    auto const block = allocate_own(*in_, sizeof(sender_block), 64, until);
    if (!block)
        return block.error();
    auto* const made = new (in_->base() + *block) sender_block;
    ATRIUM_CRASH_POINT("pipe.sender.formatted");
    error_code const error = give_block(*in_, *block, of_, links_[number], *block, until);
    if (!error)
        return made;
    free_own(*in_, *block);
    if (error != errc::already_exists)
        return error;
    sender_block* const others = sender(number);
    return others != nullptr ? result<sender_block*>(others) : errc::corrupted;
}

reference_ring router_view::ring_of(lane_table const& lanes, std::uint64_t sender,
                                    std::uint64_t generation) const noexcept
{
    std::uint64_t const link = lanes.lane(sender).ring.load(std::memory_order_acquire); // L1
    if (link == 0 || link != ring_link(offset_in(link), generation))
        return {};
    auto const ring = reference_ring::attach(*in_, offset_in(link));
    if (!ring || ring->header().rare[ring_generation].load(relaxed) != generation)
        return {};
    return *ring;
}

void router_view::note_change() const noexcept
{
    // A full barrier, C1: pairs with the one in the sender's flush, and in its history. Who pushes without having seen the
    // change is seen by what follows here.
    header_->changes.fetch_add(1, std::memory_order_seq_cst);
    ATRIUM_CRASH_POINT("pipe.change_noted");
    header_->changed.ring();
}

void router_view::wake_receivers(pipe_slot& slot) noexcept
{
    std::uint64_t const said = slot.waiting.load(relaxed);
    slot.bell.ring();
    ATRIUM_CRASH_POINT("pipe.receivers.rung");
    forget_waiting(slot.waiting, said);
}

void router_view::wake_senders(lane_table const& lanes, std::uint64_t generation) const noexcept
{
    for (std::uint64_t number = 0; number < shape_.senders(); ++number)
    {
        // The ring may go meanwhile, if this process has not the pipe: it is only looked at.
        reference_ring const ring = ring_of(lanes, number, generation);
        if (!ring || ring.header().rare[ring_sender_waits].load(relaxed) == 0)
            continue;
        ATRIUM_CRASH_POINT("pipe.waiting_sender_seen");
        ring_bell_of(number);
    }
}

void router_view::wake_waiting_sender(reference_ring const& ring, std::uint64_t number) const noexcept
{
    auto&               waiting = ring.header().rare[ring_sender_waits];
    std::uint64_t const said    = waiting.load(relaxed);
    ring_bell_of(number);
    ATRIUM_CRASH_POINT("pipe.sender.rung");
    forget_waiting(waiting, said);
}

void router_view::ring_bell_of(std::uint64_t number) const noexcept
{
    if (sender_block* const block = sender(number))
        block->bell.ring();
}

} // namespace atrium::detail
