#include <atrium/memory/detail/counted.hpp>

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/heap_objects.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_pool.hpp"
#include "memory/object_space.hpp"
#include "memory/process_references.hpp"
#include "memory/segment_cells.hpp"
#include "os/fork.hpp"

#include <atrium/base/log.hpp>

#include <boost/assert.hpp>

#include <chrono>
#include <new>
#include <utility>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 10s; // as allocators have it

// The object that the reference refers to. Its pool is open: nothing is asked of the directory.
located_object object_of_reference(local_reference const& reference) noexcept
{
    if (reference.pool != nullptr)
        return {reference.pool->table(), reference.id.index(), reference.id};
    return *locate(*reference.memory, reference.id); // it was found when the reference was made
}

void empty(local_reference& reference) noexcept
{
    reference.cell->store(0, std::memory_order_relaxed); // read by this process's recoverer only
    ATRIUM_CRASH_POINT("reference.cell_emptied");
}

void fill(local_reference& reference, object_id id) noexcept
{
    reference.cell->store(id.word(), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("reference.cell_filled");
}

// The cell is empty, and nothing of the reference is used any more.
void give_up(local_reference& reference) noexcept
{
    memory_state&   memory = *reference.memory;
    reference_home& home   = home_of(memory, reference.pool);
    bool            shared = false;
    {
        lane_use const lane(memory);
        give_back_reference(memory, *lane, reference);
        shared = lane.is_shared();
        if (!shared)
            home.count_returned(lane->index); // the last touch: from here on another thread may end all this
    }
    if (shared)
        home.count_returned();
    home.check();
}

// A further reference of this process; `generation` as in attach().
result<local_reference*> attach_process(memory_state& memory, control_word& word, object_id id, object_pool* pool,
                                        std::byte* address, std::optional<std::uint64_t> generation,
                                        void (*destroy)(std::byte*) noexcept)
{
    return with_reference(memory, [&](lane_use const& lane, local_reference& made) -> result<local_reference*> {
        if (error_code const error = attach(*lane, record_kind::attach_process, word, id, generation,
                                            {.cell = memory.in->offset_of(made.cell)}, [&] { fill(made, id); }))
        {
            give_back_reference(memory, *lane, made);
            return error;
        }
        bind_reference(made, word, id, pool, address, destroy);
        home_of(memory, pool).count_taken(lane->index);
        return &made;
    });
}

} // namespace

// ---- making --------------------------------------------------------------------------------------------------------

namespace {

void bind_element(object_pool& pool, std::uint64_t index, lane_state const& lane, local_reference& made) noexcept
{
    object_table const& table = pool.table();
    bind_reference(made, table.word(index), object_id::in_pool(pool.entry(), index), &pool, table.place(index),
                   pool.destroy());
    pool.home().count_taken(lane.index);
}

result<local_reference*> try_claim(object_pool& pool)
{
    memory_state& memory = pool.memory();
    return with_reference(memory, [&](lane_use const& lane, local_reference& made) -> result<local_reference*> {
        auto const index = pool.claim(*lane);
        if (!index)
        {
            give_back_reference(memory, *lane, made);
            return index.error();
        }
        bind_element(pool, *index, *lane, made);
        return &made;
    });
}

} // namespace

local_reference* claim_element_at_hand(object_pool& pool) noexcept
{
    memory_state&     memory = pool.memory();
    lane_state* const lane   = known_own_lane(memory);
    if (lane == nullptr || lane->free_references == nullptr || memory.in->is_forked() || has_new_pending(memory))
        return nullptr;
    auto const index = pool.claim_kept(*lane);
    if (!index)
        return nullptr;
    local_reference* const made = take_reference(*lane);
    bind_element(pool, *index, *lane, *made);
    return made;
}

result<local_reference*> claim_element_slowly(object_pool& pool)
{
    memory_state& memory = pool.memory();
    if (error_code const error = memory.in->usable())
        return error;
    destroy_pending_if_any(memory);
    auto claimed = try_claim(pool);
    if (claimed || claimed.error() != errc::exhausted)
        return claimed;
    std::uint64_t const before = memory.in->recoveries();
    memory.in->tend_if_due(std::chrono::steady_clock::now()); // the dead may have some
    return memory.in->recoveries() == before ? claimed : try_claim(pool);
}

void publish_object(local_reference& reference) noexcept
{
    if (reference.memory->in->is_forked())
        return; // the constructor has forked, and this is the child: the object is the parent's
    // The cell first: a live object has one.
    fill(reference, reference.id);
    publish(*reference.word);
}

void abandon_object(local_reference& reference) noexcept
{
    memory_state& memory = *reference.memory;
    if (memory.in->is_forked())
        return; // as above
    release_place(memory, object_of_reference(reference), reference.pool);
    give_up(reference);
}

owner owner_of_object(local_reference const& reference) noexcept
{
    return owner::object(reference.id, 0);
}

std::byte* base_of(local_reference const& reference) noexcept
{
    return reference.memory->in->base();
}

// ---- this process's references -------------------------------------------------------------------------------------

namespace {

bool detach_cell(memory_state& memory, lane_state& lane, local_reference& reference, object_state left) noexcept
{
    return detach(lane, record_kind::detach_process, *reference.word, reference.id, left,
                  {.cell = memory.in->offset_of(reference.cell)}, [&] { empty(reference); });
}

bool is_trivial(local_reference const& reference) noexcept
{
    object_table const& table =
        reference.pool != nullptr ? reference.pool->table() : known_chunk_of(*reference.memory, reference.id);
    return is_trivial(table, reference.id.index() - table.first());
}

// With the lane for a moment at a time, so that destructors may run in between.
void drop_in_steps(memory_state& memory, local_reference& reference) noexcept
{
    object_state const  left       = state_after_last();
    std::uint64_t const generation = look_at(*reference.word).value.generation();
    bool                last       = false;
    {
        lane_use const lane(memory);
        last = detach_cell(memory, *lane, reference, left);
    }
    if (last)
        end_object(memory, object_of_reference(reference), generation, left, reference.pool, reference.destroy);
    give_up(reference);
}

} // namespace

void drop_reference(local_reference& reference) noexcept
{
    memory_state& memory = *reference.memory;
    if (memory.in->is_forked())
        return; // the cell is the parent's
    lane_state* const lane = known_own_lane(memory);
    if (lane == nullptr || reference.destroy != nullptr || !is_trivial(reference))
        return drop_in_steps(memory, reference);
    // The frequent case in one go: there is no destructor to run.
    object_pool* const pool = reference.pool;
    if (detach_cell(memory, *lane, reference, object_state::dying))
    {
        if (pool != nullptr)
            pool->free(*lane, reference.id.index());
        else
            free_heap_object(memory, *lane, known_chunk_of(memory, reference.id), reference.id);
    }
    reference_home& home = home_of(memory, pool);
    give_back_reference(memory, *lane, reference);
    home.count_returned(lane->index); // the last touch, as in give_up()
    home.check();
}

std::uint64_t count_of(local_reference const& reference) noexcept
{
    if (reference.memory->in->is_forked())
        return 0; // the object is not here
    return look_at(*reference.word).value.count();
}

weak_origin weak_origin_of(local_reference const& reference)
{
    weak_origin origin;
    if (reference.memory->in->is_forked())
    {
        origin.keeper = reference.memory->in->shared_from_this();
        origin.word   = reference.word; // which is not here: nobody looks at it
        origin.memory = reference.memory;
        return origin;
    }
    if (reference.pool != nullptr)
        origin.keeper = hand_out(reference.pool->shared_from_this());
    else
        origin.keeper = reference.memory->in->handle();
    origin.word       = reference.word;
    origin.object     = reference.object;
    origin.id         = reference.id;
    origin.memory     = reference.memory;
    origin.pool       = reference.pool;
    origin.generation = look_at(*reference.word).value.generation();
    origin.destroy    = reference.destroy;
    return origin;
}

bool is_expired(weak_origin const& origin) noexcept
{
    if (origin.word == nullptr || origin.memory->in->usable())
        return true;
    object_value const now = look_at(*origin.word).value;
    return now.state() != object_state::live || now.generation() != origin.generation;
}

result<local_reference*> lock_weak(weak_origin const& origin)
{
    if (origin.word == nullptr)
        return errc::expired;
    if (error_code const error = origin.memory->in->usable())
        return error;
    if (is_expired(origin))
        return errc::expired;
    return attach_process(*origin.memory, *origin.word, origin.id, origin.pool, origin.object, origin.generation,
                          origin.destroy);
}

// ---- references in the segment -------------------------------------------------------------------------------------

namespace {

// The segment in which what is referred to lies; null in a forked child.
memory_state* memory_around(std::byte const* object) noexcept
{
    attachment* const in = attachment::containing(object);
    if (in == nullptr)
        return nullptr;
    auto const memory = memory_of(*in);
    return memory ? *memory : nullptr;
}

// Who holds a cell: the place of the pointer, or this process where that lies in ordinary memory for the moment.
std::uint64_t holder_of(memory_state const& memory, segment_reference const& reference) noexcept
{
    if (memory.in->contains(&reference))
        return memory.in->offset_of(&reference);
    return cell_reserved | memory.in->shared_lane();
}

void fill_cell(segment_cell& cell, object_id id, std::uint64_t holder) noexcept
{
    cell.object.store(id.word(), std::memory_order_relaxed); // as the pointer, guarded by whoever guards that
    ATRIUM_CRASH_POINT("cell.object_written");
    cell.holder.store(holder, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("cell.holder_written");
}

void point(segment_reference& reference, std::uint64_t cell, std::byte* object) noexcept
{
    reference.cell = cell;
    compiler_barrier();
    ATRIUM_CRASH_POINT("reference.pointer.cell");
    reference.object = object;
    compiler_barrier();
    ATRIUM_CRASH_POINT("reference.pointer.object");
}

// Where the pointer may lie and may point at, and a cell for it.
result<segment_cell*> cell_for(segment_reference const& to, memory_state& memory, std::byte const* object)
{
    if (error_code const error = memory.in->usable())
        return error;
    attachment const* const around = attachment::containing(&to);
    if ((around != nullptr && around != memory.in) || !memory.in->contains(object))
        return errc::invalid_argument;
    return reserve_cell(memory, patience);
}

} // namespace

error_code attach_segment(segment_reference& to, local_reference const& from, std::byte* object)
{
    memory_state& memory = *from.memory;
    auto const    cell   = cell_for(to, memory, object);
    if (!cell)
        return cell.error();
    std::uint64_t const offset = memory.in->offset_of(*cell);
    std::uint64_t const holder = holder_of(memory, to);
    lane_use const      lane(memory);
    error_code const    error = attach(*lane, record_kind::attach_segment, *from.word, from.id, std::nullopt,
                                       {.cell = offset, .holder = holder, .pointee = memory.in->offset_of(object)}, [&] {
                                        fill_cell(**cell, from.id, holder);
                                        point(to, offset, object);
                                    });
    if (error)
        free_cell(memory, *lane, **cell);
    return error;
}

namespace {

// Null where that is not to be had at once.
std::shared_ptr<object_pool> try_hold_pool(memory_state& memory, std::uint32_t entry) noexcept
{
    try
    {
        auto const pool = hold_pool(memory, entry, 0s);
        return pool ? *pool : nullptr;
    }
    catch (std::bad_alloc const&)
    {
        return nullptr;
    }
}

} // namespace

void drop_segment(segment_reference& from) noexcept
{
    if (from.cell == 0)
        return;
    memory_state* const memory = memory_around(from.object.get());
    if (memory == nullptr)
        return;
    std::uint64_t const offset = from.cell;
    auto const          cell   = cell_at(*memory, offset);
    std::uint64_t const holder = holder_of(*memory, from);
    if (!cell || (*cell)->holder.load(std::memory_order_relaxed) != holder)
        return; // moved from here by somebody who died: the cell is another pointer's
    object_id const    id((*cell)->object.load(std::memory_order_relaxed));
    auto const         found = locate(*memory, id);
    object_state const left  = state_after_last();
    seen_word const    seen  = found ? look_at(found->word()) : seen_word{object_value(0), swing_mark(0)};
    // What is pending does not keep its pool: that is held before, where it can be had at once.
    auto pool = left == object_state::pending && id.is_in_pool() && seen.value.count() == 1
                    ? try_hold_pool(*memory, id.pool())
                    : nullptr;
    bool last = false;
    {
        lane_use const lane(*memory);
        auto const     clear = [&] {
            // Ours, until the record is closed: then it may be another's.
            fill_cell(**cell, object_id(), cell_reserved | lane->index);
            point(from, 0, nullptr);
        };
        if (found)
            last = detach(*lane, record_kind::detach_segment, found->word(), id, left,
                          {.cell = offset, .holder = holder}, clear);
        else
            clear();
        free_cell(*memory, *lane, **cell);
    }
    if (!last)
        return;
    if (left == object_state::dying && id.is_in_pool())
        pool = find_open_pool(*memory, id.pool());
    end_object(*memory, *found, seen.value.generation(), left, pool.get(), nullptr);
}

result<local_reference*> share_segment(segment_reference const& from)
{
    if (from.cell == 0)
        return errc::expired;
    memory_state* const memory = memory_around(from.object.get());
    if (memory == nullptr)
        return os::is_forked_child() ? errc::forked : errc::expired;
    auto const cell = cell_at(*memory, from.cell);
    if (!cell)
        return cell.error();
    object_id const id((*cell)->object.load(std::memory_order_relaxed));
    auto const      found = locate(*memory, id);
    if (!found)
        return found.error();
    if (!id.is_in_pool())
    {
        auto const destroy = destroyer_of(type_of(*found));
        return attach_process(*memory, found->word(), id, nullptr, object_at(*memory, *found), std::nullopt,
                              destroy.value_or(nullptr));
    }
    auto const pool = hold_pool(*memory, id.pool(), patience);
    if (!pool)
        return pool.error();
    return attach_process(*memory, found->word(), id, pool->get(), object_at(*memory, *found), std::nullopt,
                          (*pool)->destroy());
}

bool may_hold_segment(segment_reference const& to, segment_reference const& from) noexcept
{
    if (from.cell == 0)
        return true;
    attachment const* const around = attachment::containing(&to);
    return around == nullptr || around->contains(from.object.get());
}

void move_segment(segment_reference& to, segment_reference& from) noexcept
{
    if (from.cell == 0)
        return;
    BOOST_ASSERT(may_hold_segment(to, from));
    memory_state* const memory = memory_around(from.object.get());
    if (memory == nullptr)
        return;
    auto const          cell   = cell_at(*memory, from.cell);
    std::uint64_t const source = holder_of(*memory, from);
    if (!cell || (*cell)->holder.load(std::memory_order_relaxed) != source)
        return point(from, 0, nullptr); // moved from here by somebody who died
    std::uint64_t const holder = holder_of(*memory, to);
    std::byte* const    object = from.object.get();
    if (holder == source) // both in memory that nobody sees
    {
        point(to, from.cell, object);
        return point(from, 0, nullptr);
    }
    lane_use const lane(*memory);
    lane->open_record(
        record_kind::move, object_id((*cell)->object.load(std::memory_order_relaxed)),
        cell_place{.cell = from.cell, .holder = holder, .pointee = memory->in->offset_of(object), .source = source});
    (*cell)->holder.store(holder, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("cell.holder_changed");
    point(to, from.cell, object);
    point(from, 0, nullptr);
    lane->next_era();
}

} // namespace atrium::detail
