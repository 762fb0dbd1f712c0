#include "memory/object_pool.hpp"

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/lane_peak.hpp"
#include "memory/object_destruction.hpp"
#include "memory/process_references.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/log.hpp>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace atrium::detail {

using namespace std::chrono_literals;

object_pool::object_pool(std::shared_ptr<attachment> in, memory_state& memory, std::uint32_t entry, object_table table,
                         void (*destroy)(std::byte*) noexcept)
    : in_(std::move(in)),
      memory_(&memory),
      entry_(entry),
      table_(table),
      home_(reference_home::acquire(memory.in->lane_count())),
      limit_(std::clamp<std::size_t>(table.capacity() / 16, 1, most_kept)),
      lanes_(memory.in->lane_count()),
      destroy_(destroy)
{
    // Lanes begin apart from each other, each in a word of hints of its own.
    std::uint64_t const words = (table.capacity() + 63) / 64;
    for (std::uint64_t lane = 0; lane < lanes_.size(); ++lane)
        lanes_[lane].kept.cursor = lane * 7919 % words;
}

object_pool::~object_pool()
{
    if (in_->usable())
        return; // a forked child: all of it is the parent's
    ATRIUM_CRASH_POINT("pool.ending");
    for (std::uint32_t lane = 0; lane < lanes_.size(); ++lane)
        end_lane(lane);
    {
        std::lock_guard const held(memory_->pools_mutex);
        memory_->pools_here[entry_] = false;
    }
    memory_->pool_ended.notify_all();
    reference_home::release(home_);
    release_named(*in_, entry_);
}

bool object_pool::refill(lane_state const& lane, lane_share& share) noexcept
{
    kept_places<most_kept>& kept = share.kept;
    if (!kept.noted)
        table_.hints().set_keeping(lane.index, true);
    kept.noted = true;
    kept.count = table_.hints().take(kept.cursor, kept.room(limit_));
    if (kept.count == 0)
    {
        table_.hints().set_keeping(lane.index, false);
        kept.noted = false;
    }
    return kept.count != 0;
}

void object_pool::count_peak(lane_state const& lane, lane_share& share) noexcept
{
    auto& written = *table_.peak(lane.index);
    if (share.peak == none)
    {
        lane_peak const found(written.load(std::memory_order_relaxed)); // by the lane's earlier users
        share.taken += found.left();
        share.peak = found.most();
        written.store(lane_peak::in_use(share.peak).word(), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("pool.peak.begun");
        if (share.taken <= share.peak)
            return;
    }
    share.peak = share.taken;
    written.store(lane_peak::in_use(share.peak).word(), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("pool.peak.written");
}

result<std::uint64_t> object_pool::claim(lane_state& lane) noexcept
{
    lane_share&        share = lanes_[lane.index];
    place_hints const& hints = table_.hints();
    for (;;)
    {
        if (auto const kept = claim_kept(lane))
            return *kept;
        // What is free is in the hints, or some lane says that it keeps places. Where nobody else does, nor comes to do so
        // while the hints are looked through, and there are none, nothing is free.
        std::uint64_t const keepers =
            hints.keepers_so_far() + (share.kept.noted ? 0 : 1); // refill() says so of this lane
        bool const kept = hints.anybody_else_keeps(lane.index);
        if (refill(lane, share))
            continue;
        if (!kept && hints.keepers_so_far() == keepers)
            return errc::exhausted;

        // Else places are looked for one by one, and taken from under the lane that keeps them, whose hint is then wrong.
        // All may be in use each when it was looked at, and yet some have been free all the time: nothing is free for
        // certain where it is so twice, and no place has been freed in between. Who has to look again does so because
        // others made and dropped elements meanwhile.
        std::uint64_t generations = 0;
        if (auto const found = search(lane, share, generations))
            return *found;
        std::uint64_t generations_later = 0;
        if (auto const found = search(lane, share, generations_later))
            return *found;
        if (generations == generations_later)
            return errc::exhausted;
    }
}

std::optional<std::uint64_t> object_pool::search(lane_state& lane, lane_share& share,
                                                 std::uint64_t& generations) noexcept
{
    for (std::uint64_t n = 0; n < table_.capacity(); ++n)
    {
        if (share.search_from >= table_.capacity())
            share.search_from = 0;
        std::uint64_t const index = share.search_from++;
        control_word&       word  = table_.word(index);
        object_value const  seen  = look_at(word).value;
        generations += seen.generation();
        if (seen.state() == object_state::free && begin_construction(lane, word))
        {
            count(lane, share, 1);
            return index;
        }
        ATRIUM_CRASH_POINT("pool.place_looked_at");
    }
    return std::nullopt;
}

// Said before the place is free: who dies in between has kept one.
void object_pool::make_room(lane_state const& lane, lane_share& share) noexcept
{
    if (!share.kept.noted)
        table_.hints().set_keeping(lane.index, true);
    share.kept.noted = true;
    if (share.kept.count < limit_)
        return;
    for (std::size_t half = (limit_ + 1) / 2; half != 0; --half)
        table_.hints().set(share.kept.places[--share.kept.count]);
}

void object_pool::end_lane(std::uint32_t lane) noexcept
{
    lane_share&             share = lanes_[lane];
    kept_places<most_kept>& kept  = share.kept;
    if (share.peak != none)
    {
        table_.peak(lane)->store(lane_peak::ended(share.peak, share.taken).word(), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("pool.peak.ended");
    }
    share.taken = 0;
    share.peak  = none;
    while (kept.count != 0)
        table_.hints().set(kept.places[--kept.count]);
    if (std::exchange(kept.noted, false))
        table_.hints().set_keeping(lane, false);
}

namespace {

// The pool, if this process has it open. One whose last handle and reference went on another thread may still be ending
// the lanes of all threads: it must not do so to those of its successor.
std::shared_ptr<object_pool> wait_for_end(memory_state& memory, std::uint32_t entry,
                                          std::unique_lock<std::mutex>& held) noexcept
{
    std::shared_ptr<object_pool> pool;
    memory.pool_ended.wait(held, [&] { return (pool = memory.pools[entry].lock()) || !memory.pools_here[entry]; });
    return pool;
}

} // namespace

std::shared_ptr<object_pool> find_open_pool(memory_state& memory, std::uint32_t entry) noexcept
{
    std::lock_guard const held(memory.pools_mutex);
    return memory.pools[entry].lock();
}

void end_lane_of_pools(memory_state& memory, std::uint32_t lane) noexcept
{
    for (std::uint32_t entry = 0; entry < memory.entry_count; ++entry)
    {
        std::shared_ptr<object_pool> pool; // goes with no mutex held: this may be the last to have it
        {
            std::unique_lock held(memory.pools_mutex);
            pool = wait_for_end(memory, entry, held);
        }
        if (pool)
            pool->end_lane(lane);
    }
}

namespace {

// What handles share; the pool itself may be kept for longer by references to its elements.
struct pool_handle
{
    explicit pool_handle(std::shared_ptr<object_pool> to) noexcept : pool(std::move(to))
    {
        pool->home().handle_added();
    }
    pool_handle(pool_handle const&)            = delete;
    pool_handle& operator=(pool_handle const&) = delete;
    ~pool_handle()
    {
        if (!pool->in().usable()) // in a forked child somebody may have held the home's mutex for ever
            pool->home().handle_dropped(pool);
    }

    std::shared_ptr<object_pool> pool;
};

// The entry is held once by the caller, for the pool: it goes where this process has it open already.
std::shared_ptr<object_pool> note_open(std::shared_ptr<attachment> const& in, memory_state& memory, std::uint32_t entry,
                                       object_table const& table, void (*destroy)(std::byte*) noexcept)
{
    std::shared_ptr<object_pool> pool;
    {
        std::unique_lock held(memory.pools_mutex);
        pool = wait_for_end(memory, entry, held);
        if (!pool)
        {
            pool                     = std::make_shared<object_pool>(in, memory, entry, table, destroy);
            memory.pools[entry]      = pool;
            memory.pools_here[entry] = true;
            return pool;
        }
    }
    release_named(*in, entry);
    return pool;
}

table_shape shape_of_table(pool_shape const& shape)
{
    table_shape table;
    table.capacity            = shape.capacity;
    table.element_size        = shape.element.print.size;
    table.length              = shape.length;
    table.alignment           = std::max<std::uint64_t>(shape.element.print.align, shape.padded ? 64 : 1);
    std::uint64_t const bytes = table.element_size * table.length;
    table.stride              = (bytes + table.alignment - 1) / table.alignment * table.alignment;
    table.type                = shape.element.print.hash;
    table.flags               = shape.element.trivial ? std::uint64_t{table_trivial} : 0;
    table.has_peaks           = true;
    return table;
}

// As the directory knows it: another length is another type.
object_type type_of_pool(pool_shape const& shape, std::uint64_t bytes)
{
    fingerprint const& element = shape.element.print;
    std::string        name;
    name.append(shape.length == 1 ? "pool of " : "pool of arrays of ").append(element.name);
    if (shape.length != 1)
        name.append("[").append(std::to_string(shape.length)).append("]");
    object_type type;
    type.print   = make_fingerprint(name, element.size * shape.length, element.align, element.version,
                                    static_cast<std::uint32_t>(element.hash ^ element.hash >> 32));
    type.trivial = true;
    type.pool    = true;
    type.bytes   = bytes;
    return type;
}

} // namespace

std::shared_ptr<object_pool> hand_out(std::shared_ptr<object_pool> const& pool)
{
    auto const handle = std::make_shared<pool_handle>(pool);
    return {handle, pool.get()};
}

std::shared_ptr<object_pool> open_pool(std::shared_ptr<attachment> const& in, named_mode mode, std::string_view name,
                                       pool_shape const& shape, named_options const& options)
{
    auto const memory = memory_of(*in);
    if (!memory)
        throw_error(memory.error(), "pool '" + std::string(name) + "'");
    if (mode != named_mode::open_only && (shape.length == 0 || shape.capacity == 0))
        throw_error(errc::invalid_argument, "pool '" + std::string(name) + "': capacity and length begin with 1");
    if (mode != named_mode::open_only && shape.length > (std::uint64_t{1} << 46) / shape.element.print.size)
        throw_error(errc::too_large, "pool '" + std::string(name) + "'");
    table_shape const   table_wanted = shape_of_table(shape);
    std::uint32_t const lanes        = in->lane_count();
    auto const          bytes        = object_table::size(table_wanted, lanes);
    if (!bytes && mode != named_mode::open_only)
        throw_error(errc::too_large, "pool '" + std::string(name) + "'");

    auto const slot  = acquire_named(*in, mode, name, type_of_pool(shape, bytes.value_or(0)), options);
    auto const table = slot.to_construct ? result<object_table>(object_table::format(slot.object, table_wanted, lanes))
                                         : pool_table(**memory, slot.index);
    ATRIUM_CRASH_POINT("pool.formatted");
    if (slot.to_construct)
        publish_named(*in, slot);
    bool const fits = table && table->element_size() == table_wanted.element_size &&
                      table->length() == table_wanted.length && table->type() == table_wanted.type;
    if (!fits)
    {
        release_named(*in, slot.index);
        throw_error(table ? make_error_code(errc::corrupted) : table.error(), "pool '" + std::string(name) + "'");
    }
    auto const destroy = shape.element.trivial ? nullptr : shape.element.destroy;
    auto       pool    = hand_out(note_open(in, **memory, slot.index, *table, destroy));
    destroy_pending_if_any(**memory); // this process knows the type now
    return pool;
}

result<std::shared_ptr<object_pool>> hold_pool(memory_state& memory, std::uint32_t entry, deadline until)
{
    if (auto open = find_open_pool(memory, entry))
        return hand_out(open);
    auto const in = memory.in->handle();
    if (!in)
        return errc::corrupted;
    {
        auto const lock = heap_lock::take(memory, until);
        if (!lock)
            return lock.error();
        if (!is_pool(memory.entry(entry)))
            return errc::corrupted;
        hold_entry(memory, entry);
    }
    auto const table = pool_table(memory, entry);
    if (!table)
    {
        release_named(*memory.in, entry);
        return table.error();
    }
    auto const destroy = table->has(table_trivial) ? std::nullopt : destroyer_of(table->type());
    return hand_out(note_open(in, memory, entry, *table, destroy.value_or(nullptr)));
}

void end_pool_if_empty(memory_state& memory, std::uint32_t entry) noexcept
{
    // Full barrier B1, pairs with the one in release_named(): the element is free before this looks, the entry is
    // orphaned before the other counts elements. The mutex decides between several who find it empty.
    os::full_barrier();
    auto const seen = status_of(memory.entry(entry));
    if (!seen || seen->state != entry_state::orphaned)
        return;
    // A look first, since most elements are not the last. The pool may go meanwhile: what is read then means nothing.
    if (auto const table = pool_table(memory, entry); !table || table->find_object())
        return;
    bool ends = false;
    {
        auto const lock = heap_lock::take(memory, 1s);
        if (!lock)
            return; // somebody stands still with it: the next to recover, or to open a name, looks again
        ends = claim_empty_pool(memory, entry);
    }
    if (ends)
        destroy_object(memory, entry, nullptr);
}

pool_counts counts_of(object_table const& table, std::uint32_t lanes) noexcept
{
    pool_counts counts;
    counts.capacity = table.capacity();
    counts.length   = table.length();
    for (std::uint64_t index = 0; index < table.capacity(); ++index)
    {
        object_state const state = look_at(table.word(index)).value.state();
        counts.outstanding += state != object_state::free ? 1 : 0;
        counts.pending += state == object_state::pending ? 1 : 0;
    }
    std::uint64_t most = 0;
    for (std::uint32_t lane = 0; lane < lanes; ++lane)
        most += static_cast<std::uint64_t>(lane_peak(table.peak(lane)->load(std::memory_order_relaxed)).most());
    counts.low_water = counts.capacity - std::min(most, counts.capacity);
    return counts;
}

pool_counts counts_of(object_pool const& pool) noexcept
{
    if (pool.in().is_forked())
        return {.capacity = capacity_of(pool), .length = length_of(pool)}; // the elements are not here
    return counts_of(pool.table(), pool.memory().in->lane_count());
}

std::uint64_t capacity_of(object_pool const& pool) noexcept
{
    return pool.table().capacity();
}

std::uint64_t length_of(object_pool const& pool) noexcept
{
    return pool.table().length();
}

} // namespace atrium::detail
