#include "memory/reference_recovery.hpp"

#include "memory/count_change.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/process_references.hpp"
#include "memory/ring_recovery.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/memory/detail/counted.hpp>

#include <optional>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// A record as it was found; nothing of it is believed.
struct open_record
{
    std::uint64_t era = 0;
    record_kind   kind{};
    object_id     object;
    cell_place    at;
};

std::optional<open_record> record_of(lane_row const& row) noexcept
{
    if (!has_open_record(row))
        return std::nullopt;
    std::uint64_t const open = row.record[record_open].load(relaxed);
    open_record         record;
    record.era        = open >> record_kind_bits;
    record.kind       = static_cast<record_kind>(open & ((1u << record_kind_bits) - 1));
    record.object     = object_id(row.record[record_object].load(relaxed));
    record.at.cell    = row.record[record_cell].load(relaxed);
    record.at.holder  = row.record[record_holder].load(relaxed);
    record.at.pointee = row.record[record_pointee].load(relaxed);
    record.at.source  = row.record[record_source].load(relaxed);
    return record;
}

// The word of memory at an offset of a record, if there can be one.
template <class Word> Word* word_at(memory_state const& memory, std::uint64_t offset) noexcept
{
    if (offset == 0 || offset % alignof(Word) != 0 || !has_memory(memory, offset, sizeof(Word)))
        return nullptr;
    return reinterpret_cast<Word*>(memory.in->base() + offset);
}

// The word first, then the table: who overwrites a mark has noted it before.
bool was_swung(memory_state& memory, std::uint32_t lane, open_record const& record) noexcept
{
    auto const object = locate(memory, record.object);
    bool const marked = object && look_at(object->word()).mark == swing_mark(lane, record.era);
    ATRIUM_CRASH_POINT("reference.recover.looked");
    return marked || noted_era(memory, lane) >= record.era; // also where the object is long gone, and its pool
}

void write_process_cell(memory_state const& memory, std::uint64_t offset, object_id value) noexcept
{
    if (auto* const cell = word_at<atomic<std::uint64_t>>(memory, offset))
        cell->store(value.word(), relaxed);
    ATRIUM_CRASH_POINT("reference.recover.cell");
}

void write_pointer(memory_state const& memory, std::uint64_t holder, std::uint64_t cell, std::byte* object) noexcept
{
    if ((holder & cell_reserved) != 0)
        return; // the pointer was in memory that is gone
    auto* const pointer = word_at<segment_reference>(memory, holder);
    if (pointer == nullptr)
        return;
    pointer->cell = cell;
    ATRIUM_CRASH_POINT("reference.recover.pointer.cell");
    pointer->object = object;
    ATRIUM_CRASH_POINT("reference.recover.pointer.object");
}

// Unless it holds another cell.
void clear_pointer(memory_state const& memory, std::uint64_t holder, std::uint64_t cell) noexcept
{
    auto const* const pointer = (holder & cell_reserved) == 0 ? word_at<segment_reference>(memory, holder) : nullptr;
    if (pointer != nullptr && (pointer->cell == cell || pointer->cell == 0))
        write_pointer(memory, holder, 0, nullptr);
}

// As fill_cell() and point() would have; `value` 0: the cell is the dead lane's, and is freed with what that reserved.
void write_segment_cell(memory_state& memory, std::uint32_t lane, open_record const& record, object_id value) noexcept
{
    auto const cell = cell_at(memory, record.at.cell);
    if (!cell)
        return;
    (*cell)->object.store(value.word(), relaxed);
    ATRIUM_CRASH_POINT("reference.recover.cell");
    (*cell)->holder.store(value ? record.at.holder : cell_reserved | lane, relaxed);
    ATRIUM_CRASH_POINT("reference.recover.holder");
    if (value)
        write_pointer(memory, record.at.holder, record.at.cell, word_at<std::byte>(memory, record.at.pointee));
    else
        clear_pointer(memory, record.at.holder, record.at.cell);
}

bool was_done(memory_state& memory, std::uint32_t lane, open_record const& record) noexcept
{
    switch (record.kind)
    {
    case record_kind::move:
        return true; // without a swing: carried out in any case
    case record_kind::push:
        return ring_recovery(memory, record.at.holder).was_pushed(record.at.source);
    case record_kind::take:
    {
        bool const marked = ring_recovery(memory, record.at.holder).was_taken(swing_mark(lane, record.era));
        ATRIUM_CRASH_POINT("reference.recover.looked");
        return marked || noted_era(memory, lane) >= record.era;
    }
    default:
        return was_swung(memory, lane, record);
    }
}

void close(memory_state& memory, std::uint32_t lane, open_record const& record) noexcept
{
    if (!was_done(memory, lane, record))
        return;
    switch (record.kind)
    {
    case record_kind::attach_process:
    case record_kind::take:
        return write_process_cell(memory, record.at.cell, record.object);
    case record_kind::detach_process:
        return write_process_cell(memory, record.at.cell, object_id());
    case record_kind::attach_segment:
        return write_segment_cell(memory, lane, record, record.object);
    case record_kind::detach_segment:
        return write_segment_cell(memory, lane, record, object_id());
    case record_kind::move:
        write_segment_cell(memory, lane, record, record.object);
        return clear_pointer(memory, record.at.source, record.at.cell);
    case record_kind::push:
        ring_recovery(memory, record.at.holder).finish_push(record.at.source, record.object, record.at.pointee);
        return write_process_cell(memory, record.at.cell, object_id());
    case record_kind::push_copy:
        return ring_recovery(memory, record.at.holder).finish_push(record.at.source, record.object, record.at.pointee);
    case record_kind::drain:
        return ring_recovery(memory, record.at.holder).finish_drain(record.at.source);
    }
}

} // namespace

void close_records(memory_state& memory, dead_set const& dead)
{
    for (std::uint32_t lane = 0; lane < memory.in->lane_count(); ++lane)
    {
        if (!dead.lane_is_dead(lane))
            continue;
        lane_row& row = memory.in->row_of_lane(lane);
        if (auto const record = record_of(row))
            close(memory, lane, *record);
        compiler_barrier();
        // Also where no record is open: the lane may have swung in this era, and the next to have it must not record
        // anything in an era that somebody has noted.
        row.era.store(row.era.load(std::memory_order_relaxed) + 1, std::memory_order_release); // N2
        ATRIUM_CRASH_POINT("reference.recover.closed");
    }
}

std::size_t release_processes(memory_state& memory, dead_set const& dead)
{
    std::size_t released = 0;
    for (participant_id const id : dead.dead())
    {
        auto const give_up = [&](atomic<std::uint64_t>& cell) {
            object_id const object(cell.load(relaxed));
            if (!object)
                return;
            auto const lane  = lane_use::shared(memory);
            auto const empty = [&] {
                cell.store(0, relaxed);
                ATRIUM_CRASH_POINT("reference.recover.emptied");
            };
            auto const found = locate(memory, object);
            // What the dead one was constructing is not counted yet; it is found by its lane.
            if (!found || look_at(found->word()).value.state() != object_state::live)
                return empty();
            // What becomes pending is announced by find_cut_off(), with what the dead ones did not come to announce.
            static_cast<void>(detach(*lane, record_kind::detach_process, found->word(), object, object_state::pending,
                                     {.cell = memory.in->offset_of(&cell)}, empty));
            ++released;
        };
        static_cast<void>(for_each_cell(memory, id.row(), give_up)); // a broken chain ends where it is broken
        memory.first_cells[id.row()].store(0, relaxed);
        ATRIUM_CRASH_POINT("reference.recover.cells_forgotten");
    }
    return released;
}

std::vector<located_object> find_cut_off(memory_state& memory, dead_set const& dead)
{
    std::vector<located_object> found;
    for_each_table(memory, [&](object_table const& table, object_id first) {
        bool pending = false;
        for (std::uint64_t index = 0; index < table.capacity(); ++index)
        {
            // The value first: a dead lane's mark does not come back, so the value is that lane's, or older and the mark
            // another's. Acquire O1, both.
            control_word const& word  = table.word(index);
            object_state const  state = object_value(word.value.load(std::memory_order_acquire)).state();
            swing_mark const    mark(word.mark.load(std::memory_order_acquire));
            if ((state == object_state::constructing || state == object_state::dying) && mark.has_lane() &&
                mark.lane() < memory.in->lane_count() && dead.lane_is_dead(mark.lane()))
                found.push_back({table, index, at_index(first, index)});
            pending = state == object_state::pending || pending;
        }
        if (pending)
            announce_pending(memory, table); // the dead may have left it so, and not come to say it
    });
    return found;
}

void free_cut_off(memory_state& memory, std::vector<located_object> const& objects) noexcept
{
    auto const lane = lane_use::shared(memory);
    for (located_object const& object : objects)
    {
        if (object.table.has(table_is_record))
            object.table.record(object.index).block.store(0, relaxed);
        ATRIUM_CRASH_POINT("reference.recover.block_forgotten");
        free_as_visitor(object.table, object.index, lane->index);
    }
}

void release_kept(memory_state& memory, dead_set const& dead)
{
    std::vector<std::uint32_t> lanes;
    for (std::uint32_t lane = 0; lane < memory.in->lane_count(); ++lane)
    {
        if (dead.lane_is_dead(lane))
            lanes.push_back(lane);
    }
    for_each_table(memory, [&](object_table const& table, object_id) {
        bool lost = false;
        for (std::uint32_t const lane : lanes)
            lost = table.hints().is_keeping(lane) || table.hints().is_keeping(table.visitor(lane)) || lost;
        if (!lost)
            return;
        table.hint_all_free();
        for (std::uint32_t const lane : lanes)
        {
            for (std::uint32_t const keeper : {lane, table.visitor(lane)})
            {
                if (table.hints().is_keeping(keeper))
                    table.hints().set_keeping(keeper, false);
            }
        }
    });
    release_dead_cells(memory, [&](std::uint32_t lane) { return dead.lane_is_dead(lane); });
}

std::vector<byte_range> bytes_of(memory_state const& memory, std::vector<located_object> const& objects)
{
    std::vector<byte_range> ranges;
    for (located_object const& object : objects)
    {
        if (object.table.has(table_is_record))
            continue;
        std::uint64_t const begin = memory.in->offset_of(object.table.place(object.index));
        ranges.push_back({begin, begin + object.table.stride()});
    }
    return ranges;
}

} // namespace atrium::detail
