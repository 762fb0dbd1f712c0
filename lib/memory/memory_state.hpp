/// \file
/// What this process keeps of a segment's memory, and how the parts of the memory part get at it.
#pragma once

#include "memory/cell_chunk.hpp"
#include "memory/heap_core.hpp"
#include "memory/lane_state.hpp"
#include "memory/object_table.hpp"
#include "memory/reference_home.hpp"

#include <atrium/base/deadline.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/memory_area.hpp>
#include <atrium/segment/attachment.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace atrium::detail {

class object_pool;

/// Process-local; made at attach.
struct memory_state
{
    memory_state(attachment& of, area_bytes area, std::uint32_t entry_count, heap_core heap);
    memory_state(memory_state const&)            = delete;
    memory_state& operator=(memory_state const&) = delete;
    ~memory_state();

    attachment*            in;
    memory_header*         header;
    directory_entry*       entries;
    std::uint32_t          entry_count;
    atomic<std::uint64_t>* first_cells; ///< by participant row: the offset of its first process_cells
    atomic<std::uint64_t>* era_rows;    ///< a bit for each lane
    area_bytes             eras;        ///< the table of eras: a row for each lane, in each a word for each lane
    heap_core              core;

    std::mutex                              pools_mutex;
    std::vector<std::weak_ptr<object_pool>> pools;      ///< by entry: those that this process has open
    std::vector<bool>                       pools_here; ///< by entry: also those that are ending
    std::condition_variable                 pool_ended;

    /// How many handles this process has to each entry. Leave 0 under the heap mutex only, or by who has made the
    /// entry.
    std::vector<std::atomic<std::uint64_t>> holds;

    /// True where this process may hold entries without a handle to them.
    std::atomic<bool> owes_holds{false};

    /// Which state it is; no two have had the same number.
    std::uint64_t const serial;

    std::vector<lane_state> lanes; ///< by index; each belongs to the thread that has the lane
    std::mutex              shared_lane_mutex;

    /// Chunks of the table of heap objects that were looked at once: they stay.
    std::array<object_table, chunk_count>      record_tables;
    std::array<std::atomic<bool>, chunk_count> record_tables_known{};

    /// Chunks of segment cells that were looked at once: they stay, and come in the order of their numbers.
    std::array<cell_chunk, chunk_count> cell_chunks;
    std::atomic<std::size_t>            cell_chunks_known{0};

    std::mutex tables_mutex; ///< to write what is known of chunks

    reference_home* home = nullptr; ///< of references to heap objects, and of everything that keeps the segment

    std::mutex                                      references_mutex; ///< over what follows
    std::vector<std::unique_ptr<local_reference[]>> references;
    local_reference*                                free_references = nullptr;

    /// `memory_header::pending_epoch`, and how many types were known, when this process looked for pending objects the
    /// last time.
    std::atomic<std::uint64_t> seen_pending_epoch{0};
    std::atomic<std::uint64_t> seen_known_types{0};
    std::atomic<std::int64_t>  look_for_pending_at{0}; ///< not before this time of the steady clock, in nanoseconds

    /// True once this process has had a block of its own: only then leaving must look for such.
    std::atomic<bool> owns_blocks{false};

    [[nodiscard]] directory_entry& entry(std::uint32_t index) const noexcept { return entries[index]; }
};

/// The memory of a segment.
/// \par Errors  `flat_segment`, `forked`; `read_only` unless `reading`
[[nodiscard]] result<memory_state*> memory_of(attachment& in, bool reading = false) noexcept;

/// Whether these bytes have memory: an offset from the segment is asked before it is used.
[[nodiscard]] inline bool has_memory(memory_state const& memory, std::uint64_t offset, std::uint64_t size) noexcept
{
    std::uint64_t const end = memory.in->committed();
    return offset <= end && size <= end - offset;
}

/// This process as an owner of blocks.
[[nodiscard]] inline owner owner_of(participant_id id) noexcept
{
    return owner::participant(id.row(), id.incarnation());
}

/// The way back.
[[nodiscard]] inline participant_id participant_of(owner o) noexcept
{
    return {static_cast<std::uint32_t>(o.row()), o.incarnation()};
}

/// The heap mutex held, and what a dead holder left half-done undone.
class heap_lock
{
public:
    /// \par Errors  `timed_out`; `corrupted` when there is no undoing it, or the heap cannot be where it says
    [[nodiscard]] static result<heap_lock> take(memory_state& memory, deadline until);

    heap_lock(heap_lock&& other) noexcept
        : mutex_(std::exchange(other.mutex_, nullptr)), rolled_back_(other.rolled_back_)
    {}
    heap_lock& operator=(heap_lock&&) = delete;
    ~heap_lock() { release(); }

    void release() noexcept
    {
        if (auto* const mutex = std::exchange(mutex_, nullptr))
            mutex->release();
    }

    /// True when there was something to undo.
    [[nodiscard]] bool rolled_back() const noexcept { return rolled_back_; }

private:
    explicit heap_lock(recoverable_mutex& mutex) noexcept : mutex_(&mutex) {}

    recoverable_mutex* mutex_;
    bool               rolled_back_ = false;
};

/// Gets a block, growing the segment and, as a last resort, recovering for dead participants.
/// \returns the offset of the payload
/// \par Errors  `out_of_memory`, `too_large`, `invalid_argument`, `timed_out`, `corrupted`, `descriptor_lost`
[[nodiscard]] result<std::uint64_t> allocate(memory_state& memory, std::uint64_t size, std::uint64_t alignment,
                                             owner of, deadline until);

} // namespace atrium::detail
