/// \file
/// The fixed area of the memory part: mutex, heap header, and the directory of named objects behind it.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/name.hpp>
#include <atrium/memory/detail/heap_layout.hpp>
#include <atrium/memory/detail/object_layout.hpp>
#include <atrium/sync/doorbell.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

inline constexpr std::size_t holder_words    = 1024 / 64; ///< one bit for each participant row
inline constexpr std::size_t name_words      = (max_name_length + 1) / 8;
inline constexpr std::size_t type_name_words = 12;

/// What an entry is; bits 0 to 2 of its state word, above them the participant that constructs or destroys.
enum class entry_state : std::uint64_t
{
    free         = 0, ///< no object; `next_sub` is all that counts
    constructing = 1, ///< by that participant: its own until it is live
    live         = 2, ///< the holders hold it
    orphaned     = 3, ///< whole, but nobody holds it: its last holder died, or it is a pool that has elements
    dying        = 4, ///< by that participant: its destructor runs
};

enum entry_flag : std::uint64_t
{
    entry_kept    = 1, ///< stays without a holder
    entry_trivial = 2, ///< has no destructor to run
    entry_pool    = 4, ///< a table of counted objects: stays, also without a holder, until the last of these is gone
};

/// In an entry's flags from this bit on: `object_type::structure`, 8 bits.
inline constexpr unsigned entry_structure_shift = 8;

/// A named object. Written under the heap mutex only. Everything is written before `state` leaves `free`, so that
/// whoever dies before that has changed nothing.
struct alignas(64) directory_entry
{
    atomic<std::uint64_t> state{0};
    atomic<std::uint64_t> next_sub{0}; ///< the next sub-owner of its blocks; drawn without the mutex, never reset
    atomic<std::uint64_t> block{0};    ///< offset of the object
    atomic<std::uint64_t> hash{0};     ///< fingerprint
    atomic<std::uint64_t> size{0};     ///< bytes of the type
    atomic<std::uint64_t> align_and_version{0}; ///< alignment in the low half, the user's version in the high one
    atomic<std::uint64_t> flags{0};
    atomic<std::uint64_t> holder_limit{0}; ///< 0: none
    atomic<std::uint64_t> name[name_words]{};
    atomic<std::uint64_t> type_name[type_name_words]{}; ///< for messages; may be cut
    atomic<std::uint64_t> holders[holder_words]{};      ///< bit r: the participant in row r holds it
};
static_assert(sizeof(directory_entry) == 384 && offsetof(directory_entry, name) == 64);
static_assert(offsetof(directory_entry, holders) == 224);

/// The start of the area; `entries`, the heads of the participants' cells, and the marks of the rows of eras follow.
struct memory_header
{
    recoverable_mutex mutex;         ///< over the heap's metadata and the directory
    doorbell          entry_changed; ///< rung when an entry stops being constructed or destroyed
    heap_header       heap;

    /// Chunks of the tables of heap objects and of segment cells: offsets, 0 where there is none yet. Written once,
    /// under the heap mutex.
    alignas(64) atomic<std::uint64_t> record_chunks[chunk_count]{};
    atomic<std::uint64_t> cell_chunks[chunk_count]{};

    /// Raised when an object is left pending for whoever knows its type.
    atomic<std::uint64_t> pending_epoch{0};

    /// Not 0 where containers of counted objects may have lost blocks when somebody died who was changing them. Written
    /// under the heap mutex.
    atomic<std::uint64_t> may_have_lost{0};

    /// Not 0 from a recovery on until what the dead left to be ended has been: orphans, and structures of other parts.
    atomic<std::uint64_t> owes_ending{0};

    atomic<std::uint64_t> entries{0}; ///< how many; written by the segment's creator
};
static_assert(sizeof(memory_header) % alignof(directory_entry) == 0);

/// Where the pieces of the area lie.
struct memory_area_layout
{
    memory_area_layout(std::uint32_t entries, std::uint32_t participants, std::uint32_t lanes) noexcept
        : entries_at(sizeof(memory_header)),
          cells_at(entries_at + std::uint64_t{entries} * sizeof(directory_entry)),
          era_rows_at(cells_at + std::uint64_t{participants} * sizeof(std::uint64_t)),
          end(era_rows_at + (std::uint64_t{participants} + lanes + 63) / 64 * sizeof(std::uint64_t))
    {}

    std::uint64_t entries_at;
    std::uint64_t cells_at;    ///< offset of the first `process_cells` of each participant
    std::uint64_t era_rows_at; ///< a bit for each lane: its row of the table of eras has memory
    std::uint64_t end;
};

} // namespace atrium::detail
