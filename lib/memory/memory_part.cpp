#include "memory/memory_part.hpp"

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/heap_objects.hpp"
#include "memory/lane_use.hpp"
#include "memory/memory_state.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_pool.hpp"
#include "memory/process_references.hpp"
#include "memory/reclaim.hpp"
#include "memory/reference_recovery.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/memory/detail/structure.hpp>

#include <algorithm>
#include <chrono>
#include <new>
#include <vector>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

std::uint64_t area_size(segment_options const& options)
{
    return memory_area_layout(options.named_objects, options.participants, options.lanes).end;
}

// The table of eras: what each lane has noted of each other one.
std::uint64_t sparse_size(segment_options const& options)
{
    std::uint64_t const lanes = std::uint64_t{options.participants} + options.lanes;
    return lanes * lanes * sizeof(atomic<std::uint64_t>);
}

std::uint64_t heap_offset(area_bytes area) noexcept
{
    return area.offset + offsetof(memory_header, heap);
}

memory_header* header_in(attachment const& in, area_bytes area) noexcept
{
    return reinterpret_cast<memory_header*>(in.base() + area.offset);
}

memory_area_layout layout_in(attachment const& in, std::uint32_t entries) noexcept
{
    return {entries, in.participant_count(), in.lane_count() - in.participant_count()};
}

error_code format(attachment& in, segment_options const& options)
{
    area_bytes const         area   = *in.area_of(part_id::memory);
    memory_area_layout const layout = layout_in(in, options.named_objects);
    std::byte* const         bytes  = in.base() + area.offset;
    (new (header_in(in, area)) memory_header)->entries.store(options.named_objects, std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < options.named_objects; ++index)
        new (bytes + layout.entries_at + index * sizeof(directory_entry)) directory_entry;
    for (std::uint64_t at = layout.cells_at; at < layout.end; at += sizeof(std::uint64_t))
        new (bytes + at) atomic<std::uint64_t>(0);
    auto const formatted = heap_core::format(in.base(), heap_offset(area), in.data_offset(), in.committed());
    return formatted ? error_code() : formatted.error();
}

error_code validate(attachment const& in)
{
    area_bytes const area = *in.area_of(part_id::memory);
    if (area.size < sizeof(memory_header))
        return errc::corrupted;
    std::uint64_t const entries = header_in(in, area)->entries.load(std::memory_order_relaxed);
    std::uint64_t const lanes   = in.lane_count();
    auto const          sparse  = in.sparse_area_of(part_id::memory);
    if (entries == 0 || entries > 65535 || layout_in(in, static_cast<std::uint32_t>(entries)).end > area.size ||
        !sparse || sparse->size < lanes * lanes * sizeof(std::uint64_t))
        return errc::corrupted;
    auto const core = heap_core::attach(in.base(), heap_offset(area), in.maximum_size());
    return core ? error_code() : core.error();
}

std::shared_ptr<void> attach(attachment& in)
{
    area_bytes const area  = *in.area_of(part_id::memory);
    auto const       count = header_in(in, area)->entries.load(std::memory_order_relaxed);
    auto const       core  = heap_core::attach(in.base(), heap_offset(area), in.maximum_size());
    if (!core)
        throw_error(core.error(), "heap");
    auto memory = std::make_shared<memory_state>(in, area, static_cast<std::uint32_t>(count), *core);
    if (!in.is_read_only())
    {
        // Now, so that what has no lane of its own can always do what it must.
        if (error_code const error = prepare_lane(*memory, in.shared_lane()))
            throw_error(error, "shared lane");
    }
    return memory;
}

memory_state& memory_in(attachment& in) noexcept
{
    return *static_cast<memory_state*>(in.local_state(part_id::memory));
}

error_code roll_back(attachment& in, dead_set const&, deadline until, recovery_report& report)
{
    auto const lock = heap_lock::take(memory_in(in), until);
    if (!lock)
        return lock.error() == errc::timed_out ? make_error_code(errc::recovery_busy) : lock.error();
    report.operations_rolled_back += lock->rolled_back() ? 1 : 0;
    return {};
}

bool is_abandoned(directory_entry const& entry, dead_set const& dead) noexcept
{
    auto const status = status_of(entry);
    return status && (status->state == entry_state::constructing || status->state == entry_state::dying) &&
           dead.gone(status->by);
}

// True of a block that is still an object's own although that has come to its end: its containers lost it when somebody
// died who was changing them. It stays lost: who begins with the place anew takes a block of another owner.
bool is_lost(memory_state& memory, heap_block const& block) noexcept
{
    object_id const id = block.tag.who().as_object();
    if (id.is_in_pool() && (id.pool() >= memory.entry_count || !is_pool(memory.entry(id.pool()))))
        return id.pool() < memory.entry_count; // without its pool there is no element
    auto const object = locate(memory, id);
    if (!object)
        return false;
    // Both of one time in which the object was not there: what ends gives its block away before it is free.
    object_value const before = look_at(object->word()).value;
    auto const         tag    = memory.core.tag_of(block.payload);
    return before.state() == object_state::free && tag && *tag == block.tag && look_at(object->word()).value == before;
}

// Under the mutex. Entries and objects stay as they are until their blocks are gone: a recoverer may die here too.
error_code reclaim_of_the_dead(memory_state& memory, dead_set const& dead, recovery_report& report)
{
    adopt_chunks(memory, dead);
    auto const                 cut_off = find_cut_off(memory, dead);
    std::vector<std::uint64_t> objects;
    objects.reserve(cut_off.size());
    for (located_object const& object : cut_off)
        objects.push_back(object.id.word());
    std::sort(objects.begin(), objects.end());

    std::vector<bool> abandoned(memory.entry_count);
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
        abandoned[index] = is_abandoned(memory.entry(index), dead);

    going_blocks going;
    bool         some_stay = false; // of objects that live: one of these may be lost
    auto const   found     = going.find(memory, [&](heap_block const& block) {
        owner const who = block.tag.who();
        if (who.is_participant())
            return dead.gone(participant_of(who));
        if (!block.tag.is_in_use())
            return false;
        if (who.kind() == owner_kind::object)
        {
            bool const goes =
                std::binary_search(objects.begin(), objects.end(), who.as_object().word()) || is_lost(memory, block);
            some_stay = some_stay || !goes;
            return goes;
        }
        return who.kind() == owner_kind::directory_entry && who.index() < abandoned.size() && abandoned[who.index()];
    });
    if (!found)
        return found.error();
    ATRIUM_CRASH_POINT("memory.recover.blocks_found");
    memory.header->may_have_lost.store(some_stay ? 1 : 0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("memory.recover.loss_noted");
    report.references_released += going.release_references(memory, bytes_of(memory, cut_off));
    ATRIUM_CRASH_POINT("directory.recover.cells_released");
    auto const gone = going.free(memory);
    if (!gone)
        return gone.error();
    ATRIUM_CRASH_POINT("directory.recover.reclaimed");
    report.blocks_reclaimed += gone->blocks;
    report.bytes_reclaimed += gone->bytes;
    free_cut_off(memory, cut_off);
    report.objects_abandoned += cut_off.size();
    release_kept(memory, dead);
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        if (!abandoned[index])
            continue;
        memory.entry(index).state.store(pack(entry_state::free), std::memory_order_release);
        ATRIUM_CRASH_POINT("directory.recover.entry_freed");
        ++report.objects_abandoned;
    }
    return {};
}

// Under the mutex.
void drop_dead_holders(memory_state& memory, dead_set const& dead, recovery_report& report)
{
    std::vector<std::uint32_t> rows;
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        directory_entry& entry  = memory.entry(index);
        auto const       status = status_of(entry);
        if (!status || status->state != entry_state::live)
            continue;
        rows.clear();
        for (participant_id const id : dead.dead())
        {
            if (is_held_by(entry, id.row()))
                rows.push_back(id.row());
        }
        if (rows.empty())
            continue;
        static_cast<void>(drop_holders(memory, entry, rows, pack(entry_state::orphaned)));
        report.holds_released += rows.size();
    }
}

error_code release(attachment& in, dead_set const& dead, deadline until, recovery_report& report)
{
    memory_state& memory = memory_in(in);
    report.references_released += release_processes(memory, dead);
    ATRIUM_CRASH_POINT("reference.recover.processes_released");
    {
        auto const lock = heap_lock::take(memory, until);
        if (!lock)
            return lock.error() == errc::timed_out ? make_error_code(errc::recovery_busy) : lock.error();
        if (error_code const error = reclaim_of_the_dead(memory, dead, report))
            return error;
        if (!dead.dead().empty())
            owe_ending(in); // before the rows are clear: from then on nobody else recovers for them
        drop_dead_holders(memory, dead, report);
    }
    memory.header->entry_changed.ring();
    return {};
}

error_code close_all_records(attachment& in, dead_set const& dead, deadline, recovery_report&)
{
    close_records(memory_in(in), dead);
    return {};
}

bool may_have_lost(attachment& in) noexcept
{
    // Relaxed: who takes the mutex next looks at the blocks themselves.
    return memory_in(in).header->may_have_lost.load(std::memory_order_relaxed) != 0;
}

bool destroy(attachment& in, deadline until, recovery_report& report)
{
    memory_state&  memory  = memory_in(in);
    deadline const limit   = until.earlier(1s);
    auto const     ended   = destroy_pending(memory, limit);
    auto const     orphans = destroy_orphans(memory, limit);
    report.objects_destroyed += ended.destroyed + orphans.destroyed;
    report.objects_pending += ended.left + orphans.left;
    drop_owed_holds(memory);
    return ended.complete && orphans.complete;
}

std::uint64_t owed_endings(attachment& in) noexcept
{
    memory_state const& memory = memory_in(in);
    // Relaxed: a hint.
    std::uint64_t const owed = memory.header->owes_ending.load(std::memory_order_relaxed);
    return owed == 0 && memory.owes_holds.load(std::memory_order_relaxed) ? ~owed
                                                                          : owed; // holds are this process's own
}

void endings_done(attachment& in, std::uint64_t owed) noexcept
{
    memory_in(in).header->owes_ending.compare_exchange_strong(owed, 0, std::memory_order_relaxed);
}

// What this process could not give back when it should have, since somebody stood still with the mutex.
error_code clear_own_entries(memory_state& memory)
{
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        directory_entry& entry  = memory.entry(index);
        auto const       status = status_of(entry);
        if (!status)
            continue;
        bool const own = status->by == memory.in->self() &&
                         (status->state == entry_state::constructing || status->state == entry_state::dying);
        if (own)
        {
            if (error_code const error = clear_entry(memory, index, 1s))
                return error;
        }
        else if (status->state == entry_state::live && is_held_by(entry, memory.in->self().row()))
            return errc::recovery_busy; // a hold that could not be given back: the next to recover does it
    }
    return {};
}

// What the shared lane keeps, and those of threads that have not ended; nobody uses them any more.
void end_own_lanes(memory_state& memory) noexcept
{
    for (lane_state& lane : memory.lanes)
    {
        if (lane.row == nullptr || (lane.index != memory.in->shared_lane() &&
                                    lane.row->owner.load(std::memory_order_relaxed) != memory.in->self().word()))
            continue; // never used, or another's by now
        end_heap_lane(memory, lane);
        end_cell_lane(memory, lane);
    }
}

// References of pointers in ordinary memory that outlive the segment, and what was kept of cells since.
void give_up_own_cells(memory_state& memory) noexcept
{
    if (!has_cells(memory))
        return;
    std::uint32_t const shared = memory.in->shared_lane();
    release_dead_cells(memory, [&](std::uint32_t lane) { return lane == shared; });
    end_cell_lane(memory, *lane_use::shared(memory));
}

error_code leave(attachment& in) noexcept
{
    memory_state& memory = memory_in(in);
    if (error_code const error = clear_own_entries(memory))
        return error;
    end_own_lanes(memory);
    forget_cells(memory);
    if (memory.owns_blocks.load(std::memory_order_relaxed))
    {
        auto const lock = heap_lock::take(memory, 1s);
        if (!lock)
            return lock.error();
        owner const self = owner_of(in.self());
        if (auto const gone = reclaim_blocks(memory, [&](owner of) noexcept { return of == self; }); !gone)
            return gone.error();
    }
    give_up_own_cells(memory);
    return {};
}

void handle_added(attachment& in) noexcept
{
    memory_in(in).home->handle_added();
}

void handle_dropped(attachment& in, std::shared_ptr<attachment> const& self) noexcept
{
    reference_home& home = *memory_in(in).home;
    if (!in.is_forked())
        return home.handle_dropped(self);
    // In a forked child somebody may have held the home's mutex for ever; and what the parent's references, which do
    // nothing here, look at must stay.
    if (home.has_references())
        keep_for_good(self);
}

void end_lane(attachment& in, std::uint32_t index) noexcept
{
    memory_state& memory = memory_in(in);
    lane_state&   lane   = memory.lanes[index];
    if (lane.row == nullptr)
        return; // never used for references
    end_heap_lane(memory, lane);
    end_cell_lane(memory, lane);
    share_references(memory, lane);
    end_lane_of_pools(memory, index);
    forget_own_lane(memory, index);
}

} // namespace

part memory_part() noexcept
{
    part p;
    p.id             = part_id::memory;
    p.area_size      = &area_size;
    p.format         = &format;
    p.validate       = &validate;
    p.attach         = &attach;
    p.sparse_size    = &sparse_size;
    p.handle_added   = &handle_added;
    p.handle_dropped = &handle_dropped;
    p.end_lane       = &end_lane;
    p.roll_back      = &roll_back;
    p.close_records  = &close_all_records;
    p.release        = &release;
    p.may_have_lost  = &may_have_lost;
    p.destroy        = &destroy;
    p.owed_endings   = &owed_endings;
    p.endings_done   = &endings_done;
    p.leave          = &leave;
    return p;
}

} // namespace atrium::detail
