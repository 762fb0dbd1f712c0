/// \file
/// What this process keeps of a segment's memory, and how the parts of the memory part get at it.
#pragma once

#include "memory/heap_core.hpp"

#include <atrium/base/deadline.hpp>
#include <atrium/memory/detail/memory_area.hpp>
#include <atrium/segment/attachment.hpp>

#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

namespace atrium::detail {

/// Process-local; made at attach.
struct memory_state
{
    memory_state(attachment& of, memory_header& at, directory_entry* first, std::uint32_t count, heap_core heap)
        : in(&of), header(&at), entries(first), entry_count(count), core(heap), holds(count)
    {}

    attachment*      in;
    memory_header*   header;
    directory_entry* entries;
    std::uint32_t    entry_count;
    heap_core        core;

    /// How many handles this process has to each entry. Leave 0 under the heap mutex only, or by who has made the
    /// entry.
    std::vector<std::atomic<std::uint64_t>> holds;

    /// True once this process has had a block of its own: only then leaving must look for such.
    std::atomic<bool> owns_blocks{false};

    [[nodiscard]] directory_entry& entry(std::uint32_t index) const noexcept { return entries[index]; }
};

/// The memory of a segment.
/// \par Errors  `flat_segment`, `forked`; `read_only` unless `reading`
[[nodiscard]] result<memory_state*> memory_of(attachment& in, bool reading = false) noexcept;

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

/// Frees every block for which `goes(owner)` is true, and what the dead left half-freed. For owners that are going.
template <class Goes> [[nodiscard]] result<reclaimed> reclaim_blocks(memory_state& memory, Goes const& goes) noexcept
{
    return memory.core.reclaim(owner_of(memory.in->self()), [&](block_tag tag) noexcept {
        return tag.is_in_use() ? goes(tag.who()) : memory.in->has_left(participant_of(tag.who()));
    });
}

} // namespace atrium::detail
