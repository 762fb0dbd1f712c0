#include <atrium/memory/detail/reference_ring.hpp>

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/heap_objects.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_pool.hpp"
#include "memory/object_space.hpp"
#include "memory/process_references.hpp"
#include "os/process.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <boost/config.hpp>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

constexpr std::uint64_t slots_in_line = 64 / sizeof(ring_slot);

// What a reference to an object is bound to, in this process.
struct binding
{
    control_word* word                   = nullptr;
    std::byte*    object                 = nullptr;
    object_pool*  pool                   = nullptr;
    void (*destroy)(std::byte*) noexcept = nullptr;
};

result<binding> bind(memory_state& memory, object_id id, held_pools& pools)
{
    if (id.is_in_pool())
    {
        auto const pool = pools.hold(memory, id.pool());
        if (!pool)
            return pool.error();
        object_table const& table = (*pool)->table();
        if (id.index() >= table.capacity())
            return errc::corrupted;
        return binding{&table.word(id.index()), table.place(id.index()), *pool, (*pool)->destroy()};
    }
    auto const found = locate(memory, id);
    if (!found)
        return found.error();
    auto const destroy = is_trivial(found->table, found->index) ? std::nullopt : destroyer_of(type_of(*found));
    return binding{&found->word(), object_at(memory, *found), nullptr, destroy.value_or(nullptr)};
}

void count_taken(memory_state& memory, lane_state const& lane, object_id id, binding const& to,
                 local_reference& made) noexcept
{
    bind_reference(made, *to.word, id, to.pool, to.object, to.destroy);
    home_of(memory, to.pool).count_taken(lane.index);
}

} // namespace

result<object_pool*> held_pools::hold(memory_state& memory, std::uint32_t entry)
{
    auto const is_it = [&](auto const& pool) { return pool != nullptr && pool->entry() == entry; };
    if (is_it(pools_.front()))
        return pools_.front().get();
    auto const found = std::find_if(pools_.begin(), pools_.end(), is_it);
    auto const place = found != pools_.end() ? found : std::prev(pools_.end());
    if (found == pools_.end())
    {
        auto pool = hold_pool(memory, entry, until_);
        if (!pool)
            return pool.error();
        *place = std::move(*pool);
    }
    std::rotate(pools_.begin(), place, std::next(place));
    return pools_.front().get();
}

void held_pools::release() noexcept
{
    for (auto& pool : pools_)
        pool.reset();
}

reference_ring::reference_ring(attachment& in, std::uint64_t offset, std::uint64_t capacity) noexcept
    : in_(&in),
      memory_(static_cast<memory_state*>(in.local_state(part_id::memory))),
      header_(reinterpret_cast<ring_header*>(in.base() + offset)),
      slots_(reinterpret_cast<ring_slot*>(header_ + 1)),
      notes_(reinterpret_cast<ring_note*>(slots_ + capacity)),
      mask_(capacity - 1),
      lap_shift_(static_cast<unsigned>(std::countr_zero(capacity))),
      offset_(offset)
{}

reference_ring reference_ring::format(attachment& in, std::uint64_t offset, std::uint64_t capacity) noexcept
{
    BOOST_ASSERT(std::has_single_bit(capacity) && capacity <= largest_capacity);
    new (in.base() + offset) ring_header;
    reference_ring const ring(in, offset, capacity);
    for (std::uint64_t n = 0; n < capacity; ++n)
        new (ring.slots_ + n) ring_slot;
    for (std::uint64_t n = 0; n < capacity; ++n)
        new (ring.notes_ + n) ring_note;
    ring.header_->capacity.store(capacity, relaxed);
    return ring;
}

result<reference_ring> reference_ring::attach(attachment& in, std::uint64_t offset) noexcept
{
    auto const& memory = *static_cast<memory_state*>(in.local_state(part_id::memory));
    if (offset % alignof(ring_header) != 0 || !has_memory(memory, offset, sizeof(ring_header)))
        return errc::corrupted;
    auto const tag = memory.core.tag_of(offset);
    if (!tag || !tag->is_in_use() || !tag->who().is_ring())
        return errc::corrupted;
    auto const          room     = memory.core.payload_size(offset);
    std::uint64_t const capacity = reinterpret_cast<ring_header*>(in.base() + offset)->capacity.load(relaxed);
    if (!std::has_single_bit(capacity) || capacity > largest_capacity || !room || *room < bytes(capacity) ||
        !has_memory(memory, offset, bytes(capacity)))
        return errc::corrupted;
    return reference_ring(in, offset, capacity);
}

// ---- the sender ----------------------------------------------------------------------------------------------------

BOOST_FORCEINLINE void reference_ring::begin_push(std::uint64_t position, std::uint64_t sequence) const noexcept
{
    notes_[position & mask_].time.store(0, relaxed);            // not known yet
    notes_[position & mask_].sequence.store(sequence, relaxed); // before Q1
    ATRIUM_CRASH_POINT("ring.note_written");
}

BOOST_FORCEINLINE void reference_ring::fill_slot(std::uint64_t position, object_id id,
                                                 std::byte const* pointee) const noexcept
{
    slot(position).pointee.store(in_->offset_of(pointee), relaxed);
    ATRIUM_CRASH_POINT("ring.pointee_written");
    // Release Q1, pairs with the acquires Q1 in is_filled() and look(): pointee, note and object are whole.
    slot(position).object.store(id.word() | lap(position), std::memory_order_release);
    ATRIUM_CRASH_POINT("ring.filled");
    header_->tail.store(position + 1, std::memory_order_release);
    ATRIUM_CRASH_POINT("ring.tail_written");
    os::expect_write(&slot(position + slots_in_line)); // receivers have read it on the lap before
}

// For the recoverer of a push.
void reference_ring::fill(std::uint64_t position, object_id id, std::byte const* pointee) const noexcept
{
    fill_slot(position, id, pointee);
}

void reference_ring::push(local_reference& from, std::byte const* pointee, std::uint64_t sequence) const noexcept
{
    memory_state&       memory   = *memory_;
    std::uint64_t const position = header_->tail.load(relaxed); // the sender's own
    begin_push(position, sequence);
    reference_home& home   = home_of(memory, from.pool);
    bool            shared = false;
    {
        lane_use const lane(memory);
        lane->open_ring_record(record_kind::push, from.id, in_->offset_of(from.cell), offset_, position);
        fill_slot(position, from.id, pointee);
        from.cell->store(0, relaxed);
        ATRIUM_CRASH_POINT("ring.cell_emptied");
        lane->next_era();
        give_back_reference(memory, *lane, from);
        shared = lane.is_shared();
        if (!shared)
            home.count_returned(lane->index); // the last touch, as in give_up()
    }
    if (shared)
        home.count_returned();
    home.check();
}

error_code reference_ring::push_copy(local_reference const& of, std::byte const* pointee,
                                     std::uint64_t sequence) const noexcept
{
    std::uint64_t const position = header_->tail.load(relaxed); // the sender's own
    begin_push(position, sequence);
    lane_use const lane(*memory_);
    return detail::attach(*lane, record_kind::push_copy, *of.word, of.id, std::nullopt,
                          {.holder = offset_, .pointee = in_->offset_of(pointee), .source = position},
                          [&] { fill(position, of.id, pointee); });
}

// ---- those who take ------------------------------------------------------------------------------------------------

// Null where there is no memory: somebody has scribbled.
BOOST_FORCEINLINE std::byte* reference_ring::address_of(std::uint64_t offset) const noexcept
{
    return in_->has_memory_at(offset) ? in_->base() + offset : nullptr;
}

// What is first; false where there is nothing.
BOOST_FORCEINLINE bool reference_ring::look(looked& at, with_sequence wish) const noexcept
{
    for (;;)
    {
        // The mark first, as of a control word: a swing on halves of different times fails. Acquire Q2.
        at.mark     = header_->head.mark.load(std::memory_order_acquire);
        at.position = header_->head.position.load(std::memory_order_acquire);
        // Acquire Q1.
        ring_slot const&    place = slot(at.position);
        std::uint64_t const word  = place.object.load(std::memory_order_acquire);
        if (!bears_lap(word, at.position))
        {
            if (header_->head.position.load(std::memory_order_acquire) == at.position) // Q2
                return false;
            continue; // overwritten: others have taken it long since
        }
        at.id      = object_id(word & ~ring_lap);
        at.pointee = address_of(place.pointee.load(relaxed));
        if (wish == with_sequence::yes)
            at.sequence = note(at.position).sequence.load(relaxed); // before the swing
        return true;
    }
}

// What was looked at becomes the reference's, unless somebody was faster.
BOOST_FORCEINLINE bool reference_ring::take_first(lane_state& lane, looked const& first, local_reference& fresh,
                                                  take_note const* note) const noexcept
{
    lane.open_ring_record(record_kind::take, first.id, in_->offset_of(fresh.cell), offset_, first.position);
    if (note != nullptr)
    {
        note->mark.store(lane.mark().word(), relaxed); // read after this process's death
        ATRIUM_CRASH_POINT("ring.take_announced");
    }
    lane.note(swing_mark(first.mark));
    // Full barrier Q2, pairs with the acquires Q2: the place was read before.
    if (!swing_both(header_->head.position, first.position, first.mark, first.position + 1, lane.mark().word()))
    {
        lane.next_era(); // nothing was swung: the record is void
        return false;
    }
    ATRIUM_CRASH_POINT("ring.taken");
    fresh.cell->store(first.id.word(), relaxed);
    ATRIUM_CRASH_POINT("ring.cell_filled");
    if (note != nullptr)
    {
        note->count.store(note->counted, relaxed); // nobody has swung anything with this lane since
        ATRIUM_CRASH_POINT("ring.take_counted");
    }
    lane.next_era();
    return true;
}

// The object is read, and the reference dropped, soon: the lines are on their way from the sender's processor meanwhile.
BOOST_FORCEINLINE void reference_ring::expect(object_pool const& pool, object_id id, std::byte const* pointee) noexcept
{
    if (id.is_in_pool() && id.pool() == pool.entry() && id.index() < pool.table().capacity())
        os::expect_write(&pool.table().word(id.index()));
    os::expect_read(pointee);
}

BOOST_FORCEINLINE void reference_ring::expect_at(object_pool const& pool, std::uint64_t position) const noexcept
{
    ring_slot const&    place = slot(position);
    std::uint64_t const word  = place.object.load(relaxed); // a guess: what is taken is looked at anew
    if (bears_lap(word, position))
        expect(pool, object_id(word & ~ring_lap), address_of(place.pointee.load(relaxed)));
}

take_outcome reference_ring::take_at_hand(held_pools const& pools, with_sequence wish,
                                          taken_reference& taken) const noexcept
{
    lane_state* const  lane = known_own_lane(*memory_);
    object_pool* const pool = pools.latest();
    looked             first;
    if (lane == nullptr || lane->free_references == nullptr || pool == nullptr)
        return take_outcome::needs_more;
    if (!look(first, wish))
        return take_outcome::empty;
    object_table const& table = pool->table();
    if (!first.id.is_in_pool() || first.id.pool() != pool->entry() || first.id.index() >= table.capacity() ||
        first.pointee == nullptr)
        return take_outcome::needs_more;
    expect(*pool, first.id, first.pointee);
    local_reference& fresh = *lane->free_references;
    if (!take_first(*lane, first, fresh, nullptr))
        return take_outcome::needs_more;
    static_cast<void>(take_reference(*lane));
    bind_reference(fresh, table.word(first.id.index()), first.id, pool, table.place(first.id.index()), pool->destroy());
    pool->home().count_taken(lane->index);
    taken = {&fresh, first.pointee, first.position, first.sequence};
    // Another line may still be on its way: waiting for it would delay what the caller does next.
    if ((first.position + 1) % slots_in_line != 0)
        expect_at(*pool, first.position + 1);
    return take_outcome::taken;
}

bool reference_ring::was_taken(std::uint64_t mark) const noexcept
{
    swing_mark const by(mark);
    if (!by.has_lane() || by.lane() >= in_->lane_count())
        return false;
    // The mark first, as for every record: whoever has overwritten it had noted it before. Nothing was swung by the lane
    // since, so that a later era cannot have been noted.
    if (header_->head.mark.load(std::memory_order_acquire) == mark) // Q2
        return true;
    return noted_era(*memory_, by.lane()) == by.era();
}

result<taken_reference> reference_ring::take(held_pools& pools, with_sequence wish, take_note const* note) const
{
    memory_state& memory = *memory_;
    for (;;)
    {
        looked first;
        if (!look(first, wish))
            return taken_reference{};
        auto const bound = bind(memory, first.id, pools);
        if (!bound)
        {
            if (head() != first.position)
                continue; // somebody else has taken it, and it is gone
            return bound.error();
        }
        auto const made = with_reference(
            memory,
            [&](lane_use const& lane, local_reference& fresh) -> result<local_reference*> {
                if (!take_first(*lane, first, fresh, note))
                {
                    give_back_reference(memory, *lane, fresh);
                    return nullptr;
                }
                count_taken(memory, *lane, first.id, *bound, fresh);
                return &fresh;
            },
            pools.until());
        if (!made)
            return made.error();
        if (*made != nullptr)
            return taken_reference{*made, first.pointee, first.position, first.sequence};
    }
}

std::size_t reference_ring::give_up_all(deadline until) const
{
    memory_state& memory = *memory_;
    std::size_t   count  = 0;
    for (looked first; look(first, with_sequence::no);)
    {
        auto const found = locate(memory, first.id);
        bool       last  = false;
        bool       taken = false;
        auto const done  = with_reference(
             memory,
             [&](lane_use const& lane, local_reference& fresh) -> result<local_reference*> {
                auto const empty = [&] {
                    fresh.cell->store(0, relaxed);
                    ATRIUM_CRASH_POINT("ring.given_up");
                };
                taken = take_first(*lane, first, fresh, nullptr);
                if (taken && found && look_at(found->word()).value.state() == object_state::live)
                    last = detach(*lane, record_kind::detach_process, found->word(), first.id, object_state::pending,
                                   {.cell = in_->offset_of(fresh.cell)}, empty);
                else if (taken)
                    empty();
                give_back_reference(memory, *lane, fresh);
                return &fresh;
            },
             until);
        if (!done)
            return count; // no memory to take it with: the next to look does it
        if (last)
            announce_pending(memory, found->table);
        count += taken ? 1 : 0;
    }
    return count;
}

result<taken_reference> reference_ring::share_at(std::uint64_t position, held_pools& pools) const
{
    memory_state&       memory = *memory_;
    std::uint64_t const word   = slot(position).object.load(std::memory_order_acquire); // Q1
    if (!bears_lap(word, position) || head() > position)
        return errc::expired;
    object_id const id(word & ~ring_lap);
    // Both before the head is looked at once more.
    std::byte* const    pointee  = address_of(slot(position).pointee.load(std::memory_order_acquire));
    std::uint64_t const sequence = note(position).sequence.load(std::memory_order_acquire);
    auto const          bound    = bind(memory, id, pools);
    if (pointee == nullptr)
        return errc::corrupted;
    if (!bound)
        return head() > position ? make_error_code(errc::expired) : bound.error();
    // Of the object's life that is referred to here: the generation is read while the reference is there.
    std::uint64_t const generation = look_at(*bound->word).value.generation();
    if (head() > position)
        return errc::expired;
    auto const made = with_reference(
        memory,
        [&](lane_use const& lane, local_reference& fresh) -> result<local_reference*> {
            auto const fill_cell = [&] {
                fresh.cell->store(id.word(), relaxed);
                ATRIUM_CRASH_POINT("ring.cell_filled");
            };
            if (error_code const error = detail::attach(*lane, record_kind::attach_process, *bound->word, id,
                                                        generation, {.cell = in_->offset_of(fresh.cell)}, fill_cell))
            {
                give_back_reference(memory, *lane, fresh);
                return error;
            }
            count_taken(memory, *lane, id, *bound, fresh);
            return &fresh;
        },
        pools.until());
    if (!made)
        return made.error();
    return taken_reference{*made, pointee, position, sequence};
}

} // namespace atrium::detail
