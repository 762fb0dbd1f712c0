/// \file
/// Where counted objects lie: the pools of the directory, and the table of heap objects.
#pragma once

#include "memory/memory_state.hpp"
#include "memory/object_table.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_layout.hpp>

#include <cstdint>
#include <optional>

namespace atrium::detail {

class dead_set;

/// An object found.
struct located_object
{
    object_table  table;
    std::uint64_t index = 0; ///< in the table
    object_id     id;

    [[nodiscard]] control_word& word() const noexcept { return table.word(index); }
};

/// Finds the object that a cell names. It must not be free, or its pool be held: else both may be gone.
/// \par Errors  `corrupted`
[[nodiscard]] result<located_object> locate(memory_state& memory, object_id id) noexcept;

/// Where the object's bytes are; null where a heap object has none.
[[nodiscard]] std::byte* object_at(memory_state const& memory, located_object const& object) noexcept;

/// True where there is no destructor to run.
[[nodiscard]] bool is_trivial(object_table const& table, std::uint64_t index) noexcept;

/// Bytes of the object, all of an array's together.
[[nodiscard]] std::uint64_t size_of(located_object const& object) noexcept;

/// The fingerprint of what was made.
[[nodiscard]] std::uint64_t type_of(located_object const& object) noexcept;

/// The table of the pool in that entry of the directory.
/// \par Errors  `corrupted`
[[nodiscard]] result<object_table> pool_table(memory_state const& memory, std::uint32_t entry) noexcept;

/// True of an entry that has, or may have, objects: a pool that is live or closing.
[[nodiscard]] bool is_pool(directory_entry const& entry) noexcept;

/// The chunk of heap objects; nothing where there is none yet.
/// \par Errors  `corrupted`
[[nodiscard]] result<std::optional<object_table>> record_chunk(memory_state& memory, std::size_t chunk) noexcept;

/// The number of the chunk that begins with `first` places and has that index, each twice as large as the one before.
[[nodiscard]] std::size_t chunk_of(std::uint64_t index, std::uint64_t first) noexcept;

/// The index of the chunk's first place.
[[nodiscard]] std::uint64_t first_of_chunk(std::size_t chunk, std::uint64_t first) noexcept;

/// The first half of `add_chunk`: zeroed memory, this process's own.
[[nodiscard]] result<std::uint64_t> begin_chunk(memory_state& memory, std::uint64_t size, deadline until);

/// The second half: puts it into the slot, and makes it the library's.
[[nodiscard]] error_code finish_chunk(memory_state& memory, atomic<std::uint64_t>& slot, std::uint64_t block,
                                      deadline until);

/// Makes the library's what dead makers of chunks have put into slots. The heap mutex is held.
void adopt_chunks(memory_state& memory, dead_set const& dead) noexcept;

/// Fills an empty slot with a new chunk, unless somebody else does so meanwhile; `write(at)` lays it out before.
/// \par Errors  `out_of_memory`, `timed_out`
template <class Write>
[[nodiscard]] error_code add_chunk(memory_state& memory, atomic<std::uint64_t>& slot, std::uint64_t size,
                                   deadline until, Write write)
{
    auto const block = begin_chunk(memory, size, until);
    if (!block)
        return block.error();
    write(memory.in->base() + *block);
    ATRIUM_CRASH_POINT("object.chunk.laid_out");
    return finish_chunk(memory, slot, *block, until);
}

/// Calls `visit(object_table const&, object_id of its first place)` for every table there is.
/// \par Thread safety  A pool may go meanwhile unless the heap mutex is held, or recovery.
template <class Visit> void for_each_table(memory_state& memory, Visit visit)
{
    for (std::size_t chunk = 0; chunk < chunk_count; ++chunk)
    {
        if (auto const table = record_chunk(memory, chunk); table && *table)
            visit(**table, object_id::in_heap((*table)->first()));
    }
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        if (!is_pool(memory.entry(index)))
            continue;
        if (auto const table = pool_table(memory, index))
            visit(*table, object_id::in_pool(index, 0));
    }
}

/// The id of another place of the same table.
[[nodiscard]] inline object_id at_index(object_id first, std::uint64_t index) noexcept
{
    return object_id(first.word() + index);
}

} // namespace atrium::detail
