#include "memory/memory_part.hpp"

#include "memory/directory.hpp"
#include "memory/memory_state.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <chrono>
#include <new>
#include <vector>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

std::uint64_t area_size(segment_options const& options)
{
    return sizeof(memory_header) + std::uint64_t{options.named_objects} * sizeof(directory_entry);
}

std::uint64_t heap_offset(area_bytes area) noexcept
{
    return area.offset + offsetof(memory_header, heap);
}

memory_header* header_in(attachment const& in, area_bytes area) noexcept
{
    return reinterpret_cast<memory_header*>(in.base() + area.offset);
}

directory_entry* entries_in(attachment const& in, area_bytes area) noexcept
{
    return reinterpret_cast<directory_entry*>(in.base() + area.offset + sizeof(memory_header));
}

std::uint32_t entries_fitting(area_bytes area) noexcept
{
    return static_cast<std::uint32_t>((area.size - sizeof(memory_header)) / sizeof(directory_entry));
}

error_code format(attachment& in, segment_options const&)
{
    area_bytes const area = *in.area_of(part_id::memory);
    new (header_in(in, area)) memory_header;
    for (std::uint32_t index = 0; index < entries_fitting(area); ++index)
        new (entries_in(in, area) + index) directory_entry;
    auto const formatted = heap_core::format(in.base(), heap_offset(area), in.data_offset(), in.committed());
    return formatted ? error_code() : formatted.error();
}

error_code validate(attachment const& in)
{
    area_bytes const area = *in.area_of(part_id::memory);
    if (area.size < sizeof(memory_header) + sizeof(directory_entry))
        return errc::corrupted;
    auto const core = heap_core::attach(in.base(), heap_offset(area), in.maximum_size());
    return core ? error_code() : core.error();
}

std::shared_ptr<void> attach(attachment& in)
{
    area_bytes const    area  = *in.area_of(part_id::memory);
    std::uint32_t const count = entries_fitting(area);
    auto const          core  = heap_core::attach(in.base(), heap_offset(area), in.maximum_size());
    return std::make_shared<memory_state>(in, *header_in(in, area), entries_in(in, area), count, *core);
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

// Under the mutex. The entries stay as they are until their blocks are gone: a recoverer may die here too.
error_code reclaim_of_the_dead(memory_state& memory, dead_set const& dead, recovery_report& report)
{
    std::vector<bool> abandoned(memory.entry_count);
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
        abandoned[index] = is_abandoned(memory.entry(index), dead);

    auto const self = owner_of(memory.in->self());
    auto const gone = memory.core.reclaim(self, [&](block_tag tag) noexcept {
        owner const who = tag.who();
        if (who.is_participant())
            return dead.gone(participant_of(who));
        return tag.is_in_use() && who.kind() == owner_kind::directory_entry && who.index() < abandoned.size() &&
               abandoned[who.index()];
    });
    if (!gone)
        return gone.error();
    ATRIUM_CRASH_POINT("directory.recover.reclaimed");
    report.blocks_reclaimed += gone->blocks;
    report.bytes_reclaimed += gone->bytes;
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
    {
        auto const lock = heap_lock::take(memory, until);
        if (!lock)
            return lock.error() == errc::timed_out ? make_error_code(errc::recovery_busy) : lock.error();
        if (error_code const error = reclaim_of_the_dead(memory, dead, report))
            return error;
        drop_dead_holders(memory, dead, report);
    }
    memory.header->entry_changed.ring();
    return {};
}

void destroy(attachment& in, recovery_report& report)
{
    std::size_t pending = 0;
    report.objects_destroyed += destroy_orphans(memory_in(in), 1s, pending);
    report.objects_pending += pending;
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

error_code leave(attachment& in) noexcept
{
    memory_state& memory = memory_in(in);
    if (error_code const error = clear_own_entries(memory))
        return error;
    if (!memory.owns_blocks.load(std::memory_order_relaxed))
        return {};
    auto const lock = heap_lock::take(memory, 1s);
    if (!lock)
        return lock.error();
    owner const self = owner_of(in.self());
    auto const  gone = reclaim_blocks(memory, [&](owner of) noexcept { return of == self; });
    return gone ? error_code() : gone.error();
}

} // namespace

part memory_part() noexcept
{
    part p;
    p.id        = part_id::memory;
    p.area_size = &area_size;
    p.format    = &format;
    p.validate  = &validate;
    p.attach    = &attach;
    p.roll_back = &roll_back;
    p.release   = &release;
    p.destroy   = &destroy;
    p.leave     = &leave;
    return p;
}

} // namespace atrium::detail
