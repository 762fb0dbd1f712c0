#include "memory/segment_cells.hpp"

#include "memory/count_change.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_space.hpp"

#include <atrium/memory/detail/counted.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto relaxed               = std::memory_order_relaxed;
constexpr auto patience_for_recovery = 1s;

std::uint64_t hint_bytes(std::uint64_t count, std::uint32_t lanes) noexcept
{
    return (place_hints::size(count, lanes) + 15) / 16 * 16;
}

// Makes a free cell the lane's. The cell itself decides: a hint may be wrong.
bool try_reserve(lane_state const& lane, segment_cell& cell) noexcept
{
    std::uint64_t expected = 0;
    // Acquire S1, pairs with the release S1 in free_cell(): the cell is empty.
    bool const mine =
        cell.holder.load(relaxed) == 0 &&
        cell.holder.compare_exchange_strong(expected, cell_reserved | lane.index, std::memory_order_acquire, relaxed);
    ATRIUM_CRASH_POINT("cell.reserved");
    return mine;
}

// The chunks that this process knows, and those that have come since.
std::size_t look_for_more(memory_state& memory) noexcept
{
    std::lock_guard const held(memory.tables_mutex);
    std::size_t           known = memory.cell_chunks_known.load(relaxed);
    for (; known < chunk_count; ++known)
    {
        // Acquire K1, pairs with the release K1 in finish_chunk(): the chunk is zeroed.
        std::uint64_t const block = memory.header->cell_chunks[known].load(std::memory_order_acquire);
        std::uint64_t const count = first_cell_chunk << known;
        std::uint64_t const hints = hint_bytes(count, memory.in->lane_count());
        if (block == 0 || block % 64 != 0 || !has_memory(memory, block, hints + count * sizeof(segment_cell)))
            break;
        std::byte* const at       = memory.in->base() + block;
        memory.cell_chunks[known] = {.cells = reinterpret_cast<segment_cell*>(at + hints),
                                     .count = count,
                                     .first = first_of_chunk(known, first_cell_chunk),
                                     .hints = place_hints(at, count, memory.in->lane_count())};
    }
    // Release V1, pairs with the acquire V1 in cell_chunks_of().
    memory.cell_chunks_known.store(known, std::memory_order_release);
    return known;
}

segment_cell& kept_cell(std::span<cell_chunk const> chunks, std::uint64_t index) noexcept
{
    cell_chunk const& chunk = chunks[chunk_of(index, first_cell_chunk)];
    return chunk.cells[index - chunk.first];
}

segment_cell* reserve_hinted(memory_state& memory, lane_state& lane) noexcept
{
    auto const chunks = cell_chunks_of(memory);
    auto&      kept   = lane.cells;
    for (;;)
    {
        while (kept.count != 0)
        {
            segment_cell& cell = kept_cell(chunks, kept.places[--kept.count]);
            if (try_reserve(lane, cell))
                return &cell;
        }
        for (auto chunk = chunks.rbegin(); chunk != chunks.rend() && kept.count == 0; ++chunk)
            kept.take(chunk->hints, lane.index, chunk->first);
        if (kept.count == 0)
            return nullptr;
    }
}

error_code add_cells(memory_state& memory, deadline until)
{
    std::uint32_t const lanes = memory.in->lane_count();
    for (std::size_t number = 0; number < chunk_count; ++number)
    {
        auto& slot = memory.header->cell_chunks[number];
        if (slot.load(relaxed) != 0)
            continue;
        std::uint64_t const count = first_cell_chunk << number;
        std::uint64_t const hints = hint_bytes(count, lanes);
        return add_chunk(memory, slot, hints + count * sizeof(segment_cell), until, [&](std::byte* at) {
            place_hints const fresh(at, count, lanes);
            for (std::uint64_t n = 0; n < count; ++n)
                fresh.set(n);
        });
    }
    return errc::out_of_memory;
}

// The largest first: most are there.
cell_chunk const* chunk_around(memory_state& memory, segment_cell const* cell) noexcept
{
    auto const chunks = cell_chunks_of(memory);
    auto const found  = std::find_if(chunks.rbegin(), chunks.rend(), [&](auto const& c) { return c.contains(cell); });
    return found == chunks.rend() ? nullptr : &*found;
}

} // namespace

std::span<cell_chunk const> cell_chunks_of(memory_state& memory) noexcept
{
    std::size_t known = memory.cell_chunks_known.load(std::memory_order_acquire); // V1
    if (known < chunk_count && memory.header->cell_chunks[known].load(relaxed) != 0)
        known = look_for_more(memory);
    return {memory.cell_chunks.data(), known};
}

bool has_cells(memory_state const& memory) noexcept
{
    return memory.header->cell_chunks[0].load(relaxed) != 0;
}

result<segment_cell*> reserve_cell(memory_state& memory, std::chrono::nanoseconds patience)
{
    for (;;)
    {
        {
            lane_use const lane(memory);
            if (segment_cell* const cell = reserve_hinted(memory, *lane))
                return cell;
        }
        if (error_code const error = add_cells(memory, patience))
            return error;
    }
}

void free_cell(memory_state& memory, lane_state& lane, segment_cell& cell) noexcept
{
    cell_chunk const& chunk = *chunk_around(memory, &cell);
    auto const        place = static_cast<std::uint64_t>(&cell - chunk.cells);
    lane.cells.announce(chunk.hints, lane.index);
    cell.holder.store(0, std::memory_order_release); // S1
    ATRIUM_CRASH_POINT("cell.freed");
    lane.cells.add(chunk.hints, chunk.first, place);
}

result<segment_cell*> cell_at(memory_state& memory, std::uint64_t offset) noexcept
{
    auto* const       cell  = reinterpret_cast<segment_cell*>(memory.in->base() + offset);
    cell_chunk const* chunk = chunk_around(memory, cell);
    // Not between two cells.
    if (chunk == nullptr || (offset - memory.in->offset_of(chunk->cells)) % sizeof(segment_cell) != 0)
        return errc::corrupted;
    return cell;
}

void end_cell_lane(memory_state& memory, lane_state& lane) noexcept
{
    auto const chunks = cell_chunks_of(memory);
    while (lane.cells.count != 0)
    {
        std::uint64_t const index = lane.cells.places[--lane.cells.count];
        cell_chunk const&   chunk = chunks[chunk_of(index, first_cell_chunk)];
        chunk.hints.set(index - chunk.first);
    }
    for (cell_chunk const& chunk : chunks)
    {
        if (chunk.hints.is_keeping(lane.index))
            chunk.hints.set_keeping(lane.index, false);
    }
}

namespace {

bool lies_in(std::vector<byte_range> const& ranges, std::uint64_t offset) noexcept
{
    auto const behind = std::upper_bound(ranges.begin(), ranges.end(), offset,
                                         [](std::uint64_t at, byte_range const& range) { return at < range.begin; });
    return behind != ranges.begin() && offset < std::prev(behind)->end;
}

} // namespace

void release_cell(memory_state& memory, segment_cell& cell) noexcept
{
    std::uint64_t const offset = memory.in->offset_of(&cell);
    object_id const     id(cell.object.load(relaxed));
    auto const          found = locate(memory, id);
    bool                last  = false;
    {
        auto const lane  = lane_use::shared(memory);
        auto const empty = [&] {
            cell.object.store(0, relaxed);
            ATRIUM_CRASH_POINT("cell.emptied");
        };
        if (found && look_at(found->word()).value.state() == object_state::live)
            last =
                detach(*lane, record_kind::detach_process, found->word(), id, object_state::pending, {.cell = offset},
                       empty); // as a process's: the holder is not to be written
        else
            empty();
        free_cell(memory, *lane, cell);
    }
    if (last)
        announce_pending(memory, found->table);
}

namespace {

// Whether somebody is in the middle of writing to the cell, or was when he died.
bool is_recorded(memory_state const& memory, std::uint64_t cell) noexcept
{
    for (std::uint32_t lane = 0; lane < memory.in->lane_count(); ++lane)
    {
        lane_row const& row = memory.in->row_of_lane(lane);
        if (has_open_record(row) && row.record[record_cell].load(relaxed) == cell)
            return true;
    }
    return false;
}

// The cell that the bytes there would hold if they were a reference; the cell knows.
segment_cell* cell_held_at(memory_state& memory, std::byte const* at) noexcept
{
    std::uint64_t value = 0;
    std::memcpy(&value, at, sizeof value);
    if (value == 0 || value % sizeof(segment_cell) != 0 || value >= memory.in->maximum_size())
        return nullptr;
    auto const cell = cell_at(memory, value);
    return cell && (*cell)->holder.load(relaxed) == memory.in->offset_of(at) ? *cell : nullptr;
}

void recover(memory_state& memory) noexcept
{
    try
    {
        static_cast<void>(memory.in->recover(patience_for_recovery));
    }
    catch (std::bad_alloc const&)
    {} // then nothing is recovered
}

} // namespace

void release_cells_at(memory_state& memory, std::byte const* at, std::size_t size) noexcept
{
    if (!has_cells(memory) || reinterpret_cast<std::uintptr_t>(at) % alignof(segment_reference) != 0)
        return;
    for (; size >= sizeof(segment_reference); at += alignof(segment_reference), size -= alignof(segment_reference))
    {
        segment_cell* const cell = cell_held_at(memory, at);
        if (cell == nullptr)
            continue;
        std::uint64_t const offset = memory.in->offset_of(cell);
        if (is_recorded(memory, offset))
            recover(memory);
        if (!is_recorded(memory, offset) && cell_held_at(memory, at) == cell)
            release_cell(memory, *cell);
    }
}

void release_dead_cells(memory_state& memory, std::function<bool(std::uint32_t lane)> const& is_dead)
{
    std::uint32_t const lanes = memory.in->lane_count();
    for_each_segment_cell(memory, [&](segment_cell& cell, std::uint64_t) {
        std::uint64_t const holder = cell.holder.load(relaxed);
        std::uint64_t const lane   = holder & ~cell_reserved;
        if ((holder & cell_reserved) != 0 && (lane >= lanes || is_dead(static_cast<std::uint32_t>(lane))))
            release_cell(memory, cell);
    });
    for (cell_chunk const& chunk : cell_chunks_of(memory))
    {
        for (std::uint32_t lane = 0; lane < lanes; ++lane)
        {
            if (!chunk.hints.is_keeping(lane) || !is_dead(lane))
                continue;
            for (std::uint64_t n = 0; n < chunk.count; ++n)
            {
                if (chunk.cells[n].holder.load(relaxed) == 0)
                    chunk.hints.set(n);
            }
            chunk.hints.set_keeping(lane, false);
        }
    }
}

std::size_t release_cells_in(memory_state& memory, std::vector<byte_range> ranges)
{
    std::sort(ranges.begin(), ranges.end(), [](auto const& a, auto const& b) { return a.begin < b.begin; });
    std::size_t released = 0;
    if (ranges.empty())
        return released;
    for_each_segment_cell(memory, [&](segment_cell& cell, std::uint64_t) {
        std::uint64_t const holder = cell.holder.load(relaxed);
        if (holder == 0 || (holder & cell_reserved) != 0 || !lies_in(ranges, holder))
            return;
        release_cell(memory, cell);
        ++released;
    });
    return released;
}

} // namespace atrium::detail
