#include "memory/object_space.hpp"

#include "memory/directory.hpp"
#include "segment/part.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <bit>
#include <cstring>

namespace atrium::detail {

namespace {

constexpr std::uint64_t chunk_structure = 1; // as owner of blocks; 0 is the heap's own

// The block must be in use and belong to whom it should; its size is what the table must fit into.
result<object_table> table_in(memory_state const& memory, std::uint64_t block) noexcept
{
    if (!has_memory(memory, block, sizeof(table_header)))
        return errc::corrupted;
    auto const room = memory.core.payload_size(block);
    if (!room || !has_memory(memory, block, *room))
        return errc::corrupted;
    return object_table::attach(memory.in->base() + block, *room, memory.in->lane_count());
}

} // namespace

result<located_object> locate(memory_state& memory, object_id id) noexcept
{
    if (!id || id.index() > object_id::largest_index)
        return errc::corrupted;
    located_object found;
    found.id = id;
    if (id.is_in_pool())
    {
        if (id.pool() >= memory.entry_count)
            return errc::corrupted;
        auto const table = pool_table(memory, id.pool());
        if (!table)
            return table.error();
        found.table = *table;
        found.index = id.index();
    }
    else
    {
        std::size_t const chunk = chunk_of(id.index(), first_record_chunk);
        if (chunk >= chunk_count)
            return errc::corrupted;
        // Acquire V2, pairs with the release V2 in record_chunk().
        if (memory.record_tables_known[chunk].load(std::memory_order_acquire))
            found.table = memory.record_tables[chunk];
        else if (auto const table = record_chunk(memory, chunk); table && *table)
            found.table = **table;
        else
            return errc::corrupted;
        found.index = id.index() - first_of_chunk(chunk, first_record_chunk);
    }
    if (found.index >= found.table.capacity())
        return errc::corrupted;
    return found;
}

std::byte* object_at(memory_state const& memory, located_object const& object) noexcept
{
    if (!object.table.has(table_is_record))
        return object.table.place(object.index);
    std::uint64_t const block = object.table.record(object.index).block.load(std::memory_order_relaxed);
    if (block == 0 || !has_memory(memory, block, size_of(object)))
        return nullptr;
    auto const tag = memory.core.tag_of(block);
    if (!tag || !tag->is_in_use(owner::object(object.id, 0)))
        return nullptr;
    return memory.in->base() + block;
}

bool is_trivial(object_table const& table, std::uint64_t index) noexcept
{
    if (!table.has(table_is_record))
        return table.has(table_trivial);
    return (table.record(index).flags.load(std::memory_order_relaxed) & table_trivial) != 0;
}

std::uint64_t size_of(located_object const& object) noexcept
{
    if (!object.table.has(table_is_record))
        return object.table.length() * object.table.element_size();
    return object.table.record(object.index).size.load(std::memory_order_relaxed);
}

std::uint64_t type_of(located_object const& object) noexcept
{
    return object.table.has(table_is_record) ? object.table.record(object.index).type.load(std::memory_order_relaxed)
                                             : object.table.type();
}

result<object_table> pool_table(memory_state const& memory, std::uint32_t entry) noexcept
{
    if (!is_pool(memory.entry(entry)))
        return errc::corrupted;
    auto const object = object_of(memory, entry);
    if (!object)
        return object.error();
    auto const table = table_in(memory, memory.in->offset_of(*object));
    if (table && (table->has(table_is_record) || table->peak(0) == nullptr))
        return errc::corrupted;
    return table;
}

bool is_pool(directory_entry const& entry) noexcept
{
    auto const status = status_of(entry);
    return status && (status->state == entry_state::live || status->state == entry_state::orphaned) &&
           (entry.flags.load(std::memory_order_relaxed) & entry_pool) != 0;
}

namespace {

result<std::optional<object_table>> look_at_chunk(memory_state const& memory, std::size_t chunk) noexcept
{
    // Acquire K1, pairs with the release K1 in finish_chunk(): the chunk is laid out.
    std::uint64_t const block = memory.header->record_chunks[chunk].load(std::memory_order_acquire);
    if (block == 0)
        return std::optional<object_table>();
    auto const table = table_in(memory, block);
    if (!table)
        return table.error();
    if (!table->has(table_is_record) || table->stride() != sizeof(object_record) ||
        table->first() != first_of_chunk(chunk, first_record_chunk) || table->capacity() != first_record_chunk << chunk)
        return errc::corrupted;
    return std::optional(*table);
}

} // namespace

result<std::optional<object_table>> record_chunk(memory_state& memory, std::size_t chunk) noexcept
{
    // Acquire V2, pairs with the release V2 below: chunks stay where they are.
    if (memory.record_tables_known[chunk].load(std::memory_order_acquire))
        return std::optional(memory.record_tables[chunk]);
    auto const found = look_at_chunk(memory, chunk);
    if (!found || !*found)
        return found;
    std::lock_guard const held(memory.tables_mutex);
    if (!memory.record_tables_known[chunk].load(std::memory_order_relaxed))
        memory.record_tables[chunk] = **found;
    memory.record_tables_known[chunk].store(true, std::memory_order_release); // V2
    return found;
}

std::size_t chunk_of(std::uint64_t index, std::uint64_t first) noexcept
{
    return static_cast<std::size_t>(std::bit_width(index / first + 1) - 1);
}

std::uint64_t first_of_chunk(std::size_t chunk, std::uint64_t first) noexcept
{
    return first * ((std::uint64_t{1} << chunk) - 1);
}

result<std::uint64_t> begin_chunk(memory_state& memory, std::uint64_t size, deadline until)
{
    // This process's own until it is linked: who dies in between leaves nothing.
    memory.owns_blocks.store(true, std::memory_order_relaxed);
    auto const block = allocate(memory, size, 64, owner_of(memory.in->self()), until);
    ATRIUM_CRASH_POINT("object.chunk.allocated");
    if (block)
        std::memset(memory.in->base() + *block, 0, size);
    return block;
}

void adopt_chunks(memory_state& memory, dead_set const& dead) noexcept
{
    for (auto const* const slots : {&memory.header->record_chunks, &memory.header->cell_chunks})
    {
        for (auto const& slot : *slots)
        {
            std::uint64_t const block = slot.load(std::memory_order_acquire); // K1
            if (block == 0 || !has_memory(memory, block, 0))
                continue;
            auto const tag = memory.core.tag_of(block);
            if (!tag || !tag->is_in_use() || !tag->who().is_participant() || !dead.gone(participant_of(tag->who())))
                continue;
            static_cast<void>(memory.core.change_owner(block, tag->who(), owner::library(chunk_structure)));
        }
    }
}

error_code finish_chunk(memory_state& memory, atomic<std::uint64_t>& slot, std::uint64_t block, deadline until)
{
    owner const self = owner_of(memory.in->self());
    auto const  lock = heap_lock::take(memory, until);
    if (!lock || slot.load(std::memory_order_relaxed) != 0)
    {
        static_cast<void>(memory.core.push_free(block, self, self));
        return lock ? error_code() : lock.error();
    }
    // Linked first, and for good: others look at the slot without the mutex. Who dies in between leaves a block of its
    // own in a slot, which its recoverer gives to the library.
    slot.store(block, std::memory_order_release); // K1
    ATRIUM_CRASH_POINT("object.chunk.linked");
    static_cast<void>(memory.core.change_owner(block, self, owner::library(chunk_structure)));
    return {};
}

} // namespace atrium::detail
