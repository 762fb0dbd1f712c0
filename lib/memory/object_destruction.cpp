#include "memory/object_destruction.hpp"

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/heap_objects.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_pool.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/log.hpp>

#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <vector>

namespace atrium::detail {

namespace {

using destroyer = void (*)(std::byte*) noexcept;

// What became pending in a destructor on this thread. Counted as a reference of this process, so that neither the pool
// nor the mapping goes before it is destroyed.
struct waiting_object
{
    memory_state*   memory = nullptr;
    located_object  object;
    std::uint64_t   generation = 0;
    object_pool*    pool       = nullptr;
    reference_home* home       = nullptr;
    destroyer       destroy    = nullptr;
};

using waiting_objects = std::vector<waiting_object>;

// The objects waiting for the destructor that runs on this thread to return; null while none runs. Trivially
// destructible: thread_local and static objects may hold references.
thread_local waiting_objects* waiting = nullptr;

// How one object is destroyed; nothing where the type is unknown here.
std::optional<destroyer> how_to_destroy(located_object const& object, destroyer known) noexcept
{
    if (is_trivial(object.table, object.index))
        return nullptr;
    if (known != nullptr)
        return known;
    return destroyer_of(type_of(object));
}

void run_destructors(memory_state const& memory, located_object const& object, destroyer destroy) noexcept
{
    std::byte* const first = object_at(memory, object);
    if (destroy == nullptr || first == nullptr)
        return;
    ATRIUM_CRASH_POINT("object.before_destructor");
    if (object.table.has(table_is_record))
        return destroy(first);
    for (std::uint64_t n = object.table.length(); n-- != 0;)
        destroy(first + n * object.table.element_size());
}

// The object is dying by this thread.
void destroy_now(memory_state& memory, located_object const& object, object_pool* pool, destroyer destroy) noexcept
{
    run_destructors(memory, object, destroy);
    if (memory.in->is_forked())
        return; // the destructor has forked, and this is the child: the place is the parent's
    ATRIUM_CRASH_POINT("object.after_destructor");
    release_place(memory, object, pool);
}

// Back to pending, by its owner alone; the mark stays.
void leave_pending(memory_state& memory, located_object const& object) noexcept
{
    control_word&      word = object.word();
    object_value const value(word.value.load(std::memory_order_relaxed));
    word.value.store(value.with(object_state::pending, 0).word(), std::memory_order_release); // O1
    ATRIUM_CRASH_POINT("object.left_pending");
    announce_pending(memory, object.table);
}

bool make_wait(memory_state& memory, located_object const& object, std::uint64_t generation, object_pool* pool,
               destroyer destroy) noexcept
{
    reference_home& home = pool != nullptr ? pool->home() : *memory.home;
    try
    {
        waiting->push_back({&memory, object, generation, pool, &home, destroy});
    }
    catch (std::bad_alloc const&)
    {
        return false;
    }
    home.count_taken();
    return true;
}

void destroy_waiting(waiting_objects& objects) noexcept
{
    while (!objects.empty())
    {
        waiting_object const next = objects.back();
        objects.pop_back();
        bool mine = false;
        {
            lane_use const lane(*next.memory);
            mine = claim_pending(*lane, next.object.word(), next.generation); // else somebody else was faster
        }
        if (mine)
        {
            if (auto const destroy = how_to_destroy(next.object, next.destroy))
                destroy_now(*next.memory, next.object, next.pool, *destroy);
            else
                leave_pending(*next.memory, next.object);
        }
        next.home->count_returned();
        next.home->check();
    }
}

// Destructors that run inside make objects wait; at the end these are destroyed, one after the other.
template <class Run> void with_waiting(Run run) noexcept
{
    if (waiting != nullptr)
        return run();
    waiting_objects objects;
    waiting = &objects;
    run();
    destroy_waiting(objects);
    waiting = nullptr;
}

} // namespace

object_state state_after_last() noexcept
{
    return waiting != nullptr ? object_state::pending : object_state::dying;
}

void end_object(memory_state& memory, located_object const& object, std::uint64_t generation, object_state left_as,
                object_pool* pool, void (*destroy)(std::byte*) noexcept) noexcept
{
    if (left_as == object_state::pending)
    {
        // Others may destroy it as well, and a pool that is not open here may end then.
        bool const stays = pool != nullptr || !object.id.is_in_pool();
        if (!stays || !make_wait(memory, object, generation, pool, destroy))
            announce_pending(memory, object.table);
        return;
    }
    auto const known = how_to_destroy(object, destroy);
    if (!known)
        return leave_pending(memory, object);
    if (*known == nullptr)
        return destroy_now(memory, object, pool, nullptr);
    with_waiting([&]() noexcept { destroy_now(memory, object, pool, *known); });
}

void release_place(memory_state& memory, located_object const& object, object_pool* pool) noexcept
{
    if (object.table.has(table_is_record))
    {
        lane_use const lane(memory);
        free_heap_object(memory, *lane, object.table, object.id);
        return;
    }
    if (pool != nullptr)
    {
        lane_use const lane(memory);
        pool->free(*lane, object.index);
        return;
    }
    {
        // This process may not have the pool open: its lanes keep nothing of it.
        lane_use const lane(memory);
        free_as_visitor(object.table, object.index, lane->index);
    }
    end_pool_if_empty(memory, object.id.pool());
}

void announce_pending(memory_state& memory, object_table const& table) noexcept
{
    // Release E4, pairs with the exchange E4 in claim_next_pending().
    table.header().pending.store(1, std::memory_order_release);
    ATRIUM_CRASH_POINT("object.pending_noted");
    // Release E2, pairs with the acquires E2 in has_new_pending() and destroy_new_pending(): who sees the number sees the object pending.
    memory.header->pending_epoch.fetch_add(1, std::memory_order_release);
    ATRIUM_CRASH_POINT("object.pending_announced");
}

namespace {

// Where a search through all tables has got to: the heap mutex is given up in between, while pools come and go.
struct position
{
    std::size_t   table = 0; // chunks of heap objects, then entries of the directory
    std::uint64_t index = 0;
};

result<std::optional<object_table>> table_at(memory_state& memory, std::size_t number) noexcept
{
    if (number < chunk_count)
        return record_chunk(memory, number);
    auto const entry = static_cast<std::uint32_t>(number - chunk_count);
    if (!is_pool(memory.entry(entry)))
        return std::optional<object_table>();
    auto const table = pool_table(memory, entry);
    return table ? result<std::optional<object_table>>(*table) : table.error();
}

struct found_object
{
    located_object object;
    destroyer      destroy = nullptr;
};

// The next pending object whose type is known here, made dying by this thread. The heap mutex is held: no pool goes.
std::optional<found_object> claim_next_pending(memory_state& memory, position& from, std::size_t& left) noexcept
{
    for (; from.table < chunk_count + memory.entry_count; from = {from.table + 1, 0})
    {
        auto const table = table_at(memory, from.table);
        if (!table || !*table)
            continue;
        // Exchange E4: what was pending before is seen; for what becomes so later the note is made again.
        auto& noted = (*table)->header().pending;
        if (from.index == 0 && noted.exchange(0, std::memory_order_acq_rel) == 0)
            continue;
        object_id const first = from.table < chunk_count
                                    ? object_id::in_heap((*table)->first())
                                    : object_id::in_pool(static_cast<std::uint32_t>(from.table - chunk_count), 0);
        for (; from.index < (*table)->capacity(); ++from.index)
        {
            if (look_at((*table)->word(from.index)).value.state() != object_state::pending)
                continue;
            noted.store(1, std::memory_order_relaxed); // under the mutex, as the exchange: looked through once more
            located_object const object{**table, from.index, at_index(first, from.index)};
            auto const           destroy = how_to_destroy(object, nullptr);
            if (!destroy)
            {
                ++left;
                continue;
            }
            auto const lane = lane_use::shared(memory); // to get one of its own the thread might have to recover
            if (claim_pending(*lane, object.word(), std::nullopt))
                return found_object{object, *destroy};
        }
    }
    return std::nullopt;
}

} // namespace

pending_report destroy_pending(memory_state& memory, deadline until) noexcept
{
    pending_report report;
    position       from;
    for (;;)
    {
        auto lock = heap_lock::take(memory, until);
        if (!lock)
            return report; // somebody stands still with it: the next to recover, or to make something, looks again
        auto const next = claim_next_pending(memory, from, report.left);
        lock->release();
        report.complete = !next;
        if (!next)
            return report;
        // With what goes along: only what was pending before is counted.
        with_waiting([&]() noexcept { destroy_now(memory, next->object, nullptr, next->destroy); });
        ++report.destroyed;
    }
}

void destroy_new_pending(memory_state& memory) noexcept
{
    // Somebody may stand still with the heap: then this thread does not ask at every turn. Relaxed: a time.
    auto const now = std::chrono::steady_clock::now().time_since_epoch();
    if (now.count() < memory.look_for_pending_at.load(std::memory_order_relaxed))
        return;
    // Before, since destructors may come here as well.
    memory.seen_pending_epoch.store(memory.header->pending_epoch.load(std::memory_order_acquire), // E2
                                    std::memory_order_relaxed);
    memory.seen_known_types.store(known_type_count(), std::memory_order_relaxed);
    if (destroy_pending(memory, std::chrono::seconds(0)).complete)
        return;
    memory.seen_pending_epoch.store(0, std::memory_order_relaxed);
    memory.look_for_pending_at.store((now + memory.in->detection_time()).count(), std::memory_order_relaxed);
}

} // namespace atrium::detail
