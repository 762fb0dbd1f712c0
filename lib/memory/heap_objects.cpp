#include "memory/heap_objects.hpp"

#include "memory/count_change.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_pool.hpp"
#include "memory/process_references.hpp"

#include <atrium/base/log.hpp>
#include <atrium/memory/detail/heap_object.hpp>

#include <chrono>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 10s; // as allocators have it

table_shape shape_of_chunk(std::size_t chunk) noexcept
{
    table_shape shape;
    shape.capacity     = first_record_chunk << chunk;
    shape.stride       = sizeof(object_record);
    shape.alignment    = 64;
    shape.element_size = sizeof(object_record);
    shape.flags        = table_is_record;
    shape.first        = first_of_chunk(chunk, first_record_chunk);
    return shape;
}

// From what the lane keeps.
std::optional<object_id> claim_kept(memory_state const& memory, lane_state& lane) noexcept
{
    auto& kept = lane.records;
    while (kept.count != 0)
    {
        object_id const     id    = object_id::in_heap(kept.places[--kept.count]);
        object_table const& table = known_chunk_of(memory, id);
        if (begin_construction(lane, table.word(id.index() - table.first())))
            return id;
    }
    return std::nullopt;
}

// Then from the hints of the chunks, the newest and largest first.
result<object_id> claim_hinted(memory_state& memory, lane_state& lane) noexcept
{
    for (;;)
    {
        if (auto const claimed = claim_kept(memory, lane))
            return *claimed;
        auto& kept = lane.records;
        for (std::size_t chunk = chunk_count; chunk-- != 0 && kept.count == 0;)
        {
            auto const table = record_chunk(memory, chunk);
            if (!table)
                return table.error();
            if (!*table)
                continue;
            kept.take((*table)->hints(), lane.index, (*table)->first());
        }
        if (kept.count == 0)
            return errc::exhausted;
    }
}

error_code add_records(memory_state& memory, deadline until)
{
    for (std::size_t chunk = 0; chunk < chunk_count; ++chunk)
    {
        auto& slot = memory.header->record_chunks[chunk];
        if (slot.load(std::memory_order_relaxed) != 0)
            continue;
        table_shape const   shape = shape_of_chunk(chunk);
        std::uint32_t const lanes = memory.in->lane_count();
        return add_chunk(memory, slot, *object_table::size(shape, lanes), until,
                         [&](std::byte* at) { static_cast<void>(object_table::format(at, shape, lanes)); });
    }
    return errc::out_of_memory;
}

result<object_id> claim_record(memory_state& memory, deadline until)
{
    for (;;)
    {
        {
            lane_use const lane(memory);
            auto           claimed = claim_hinted(memory, *lane);
            if (claimed || claimed.error() != errc::exhausted)
                return claimed;
        }
        if (error_code const error = add_records(memory, until))
            return error;
    }
}

} // namespace

object_table const& known_chunk_of(memory_state const& memory, object_id id) noexcept
{
    return memory.record_tables[chunk_of(id.index(), first_record_chunk)];
}

void free_heap_object(memory_state& memory, lane_state& lane, object_table const& table, object_id id) noexcept
{
    std::uint64_t const index  = id.index() - table.first();
    auto&               block  = table.record(index).block;
    std::uint64_t const offset = block.load(std::memory_order_relaxed);
    // First the record, then the block: a death in between leaves a block of the object, which goes with it.
    block.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("object.block_forgotten");
    if (offset != 0 && !lane.blocks.keep_or_free(memory, offset, owner::object(id, 0)))
        log(severity::warning, "the block of a counted object was not its own");

    lane.records.announce(table.hints(), lane.index);
    free_place(table.word(index));
    lane.records.add(table.hints(), table.first(), index);
}

void end_heap_lane(memory_state& memory, lane_state& lane) noexcept
{
    lane.blocks.free_all(memory);
    while (lane.records.count != 0)
    {
        if (auto const place = locate(memory, object_id::in_heap(lane.records.places[--lane.records.count])))
            place->table.hints().set(place->index);
    }
    for (std::size_t chunk = 0; chunk < chunk_count; ++chunk)
    {
        if (auto const table = record_chunk(memory, chunk); table && *table && (*table)->hints().is_keeping(lane.index))
            (*table)->hints().set_keeping(lane.index, false);
    }
}

namespace {

// The object under construction is one of that type; a block is still to come.
object_record& describe(object_table const& table, object_id id, object_type const& type) noexcept
{
    object_record& record = table.record(id.index() - table.first());
    record.type.store(type.print.hash, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("object.record.type");
    record.size.store(type.print.size, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("object.record.size");
    record.flags.store(type.trivial ? std::uint64_t{table_trivial} : 0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("object.record_written");
    return record;
}

// Gives an object under construction its block.
void set_block(object_record& record, std::uint64_t block) noexcept
{
    ATRIUM_CRASH_POINT("object.block_allocated");
    record.block.store(block, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("object.block_written");
}

void release(memory_state& memory, object_id id) noexcept
{
    lane_use const lane(memory);
    free_heap_object(memory, *lane, known_chunk_of(memory, id), id);
}

void bind(memory_state& memory, lane_state const& lane, object_id id, object_type const& type,
          local_reference& made) noexcept
{
    object_table const& table = known_chunk_of(memory, id);
    std::uint64_t const index = id.index() - table.first();
    std::uint64_t const block = table.record(index).block.load(std::memory_order_relaxed);
    bind_reference(made, table.word(index), id, nullptr, memory.in->base() + block, type.destroy);
    memory.home->count_taken(lane.index);
}

// The block of an object under construction, and a reference to it.
result<local_reference*> refer(memory_state& memory, object_id id, object_type const& type)
{
    object_record& record = describe(known_chunk_of(memory, id), id, type);
    auto const     block  = allocate(memory, type.print.size, type.print.align, owner::object(id, 0), patience);
    if (!block)
        return block.error();
    set_block(record, *block);
    return with_reference(memory, [&](lane_use const& lane, local_reference& made) -> result<local_reference*> {
        bind(memory, *lane, id, type, made);
        return &made;
    });
}

// Of what the thread has at hand; null where that is not enough.
local_reference* claim_at_hand(memory_state& memory, object_type const& type) noexcept
{
    lane_state* const lane = known_own_lane(memory);
    if (lane == nullptr || lane->free_references == nullptr || has_new_pending(memory))
        return nullptr;
    auto const kept = lane->blocks.find(type.print.size, type.print.align);
    auto const id   = kept ? claim_kept(memory, *lane) : std::nullopt;
    if (!id)
        return nullptr;
    object_table const& table = known_chunk_of(memory, *id);
    std::uint64_t const block = lane->blocks.take(memory, *kept, owner::object(*id, 0));
    if (block == 0) // somebody has scribbled
    {
        free_heap_object(memory, *lane, table, *id);
        return nullptr;
    }
    set_block(describe(table, *id, type), block);
    local_reference* const made = take_reference(*lane);
    bind(memory, *lane, *id, type, *made);
    return made;
}

} // namespace

result<local_reference*> claim_heap_object(attachment& in, object_type const& type)
{
    auto const known = memory_of(in);
    if (!known)
        return known.error();
    memory_state& memory = **known;
    if (local_reference* const at_hand = claim_at_hand(memory, type))
        return at_hand;
    destroy_pending_if_any(memory);
    auto const id = claim_record(memory, patience);
    if (!id)
        return id.error();
    try
    {
        auto const made = refer(memory, *id, type);
        if (!made)
            release(memory, *id);
        return made;
    }
    catch (...) // of a recovery callback, or no memory here
    {
        release(memory, *id);
        throw;
    }
}

} // namespace atrium::detail
