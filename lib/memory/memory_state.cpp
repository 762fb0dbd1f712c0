#include "memory/memory_state.hpp"

#include "memory/lane_use.hpp"

#include <algorithm>

namespace atrium::detail {

namespace {

constexpr std::uint64_t smallest_growth = 64u << 10; // bytes
constexpr std::uint64_t merged_per_hold = 4096; // blocks given back; after a mass free, some tenths of a millisecond

// Called with the mutex held. Grows by an eighth of what there is, so that a growing program seldom asks the kernel;
// where the machine has not got that much, by what is needed.
error_code grow(memory_state& memory, std::uint64_t size, std::uint64_t alignment)
{
    auto const needed = memory.core.needed_growth(size, alignment);
    if (!needed)
        return needed.error();
    std::uint64_t const end     = memory.core.end();
    std::uint64_t const maximum = memory.in->maximum_size();
    if (end > maximum || *needed > maximum - end)
        return errc::out_of_memory;
    std::uint64_t const room = maximum - end;
    for (std::uint64_t const wish : {std::max({*needed, smallest_growth, end / 8}), *needed})
    {
        std::uint64_t const page = 4096;
        std::uint64_t const more = std::min((wish + page - 1) / page * page, room);
        std::uint64_t const to   = std::max(end + more, memory.in->committed());
        if (to == end)
            break; // there is no more to be had
        error_code const error = memory.in->commit(to);
        if (!error)
        {
            auto const extended = memory.core.extend(to);
            return extended ? error_code() : extended.error();
        }
        if (error != errc::out_of_memory)
            return error;
    }
    return errc::out_of_memory;
}

result<std::uint64_t> allocate_or_grow(memory_state& memory, std::uint64_t size, std::uint64_t alignment, owner of,
                                       deadline until)
{
    for (;;)
    {
        auto const lock = heap_lock::take(memory, until);
        if (!lock)
            return lock.error();
        auto block = memory.core.allocate(size, alignment, of, merged_per_hold);
        if (block || block.error() != errc::out_of_memory)
            return block;
        if (memory.core.has_given_back() && until.passed())
            return errc::timed_out;
        if (memory.core.has_given_back())
            continue; // there may yet be room in what was given back; others get their turn first
        if (error_code const error = grow(memory, size, alignment))
            return error;
        return memory.core.allocate(size, alignment, of);
    }
}

std::atomic<std::uint64_t> states_made{0};

} // namespace

memory_state::memory_state(attachment& of, area_bytes area, std::uint32_t count, heap_core heap)
    : in(&of),
      header(reinterpret_cast<memory_header*>(of.base() + area.offset)),
      entry_count(count),
      core(heap),
      pools(count),
      pools_here(count),
      holds(count),
      serial(states_made.fetch_add(1, std::memory_order_relaxed) + 1)
{
    memory_area_layout const layout(count, of.participant_count(), of.lane_count() - of.participant_count());
    std::byte* const         base = of.base() + area.offset;
    entries                       = reinterpret_cast<directory_entry*>(base + layout.entries_at);
    first_cells                   = reinterpret_cast<atomic<std::uint64_t>*>(base + layout.cells_at);
    era_rows                      = reinterpret_cast<atomic<std::uint64_t>*>(base + layout.era_rows_at);
    if (auto const sparse = of.sparse_area_of(part_id::memory))
        eras = *sparse;
    lanes = std::vector<lane_state>(of.is_read_only() ? 0 : of.lane_count());
    home  = reference_home::acquire(of.is_read_only() ? 0 : of.lane_count());
}

memory_state::~memory_state()
{
    if (!in->is_forked()) // else it may count what is the parent's
        reference_home::release(home);
}

result<memory_state*> memory_of(attachment& in, bool reading) noexcept
{
    error_code const error = in.usable();
    if (error && !(reading && error == errc::read_only))
        return error;
    auto* const memory = static_cast<memory_state*>(in.local_state(part_id::memory));
    if (memory == nullptr)
        return errc::flat_segment;
    return memory;
}

result<heap_lock> heap_lock::take(memory_state& memory, deadline until)
{
    auto const outcome = memory.header->mutex.acquire(*memory.in, until);
    if (!outcome)
        return outcome.error();
    heap_lock lock(memory.header->mutex);
    // Something to undo without a dead owner: an undoing that failed before, since the log is broken. It fails again.
    lock.rolled_back_ = memory.header->heap.undo.count.load(std::memory_order_relaxed) != 0;
    if (*outcome == lock_outcome::owner_died || lock.rolled_back_)
    {
        if (auto const recovered = memory.core.recover(memory.in->committed()); !recovered)
            return recovered.error();
    }
    // Nobody lets go with a change half-done, unless it could not be undone; and nothing beyond `committed` may be
    // read.
    if (memory.header->heap.undo.count.load(std::memory_order_relaxed) != 0 ||
        memory.core.end() > memory.in->committed())
        return errc::corrupted;
    return lock;
}

result<std::uint64_t> allocate(memory_state& memory, std::uint64_t size, std::uint64_t alignment, owner of,
                               deadline until)
{
    auto block = allocate_or_grow(memory, size, alignment, of, until);
    if (block || block.error() != errc::out_of_memory)
        return block;
    free_kept_blocks(memory);
    // Dead participants may have what we need; or had it, and somebody else has just recovered for them.
    if (!memory.in->recover(until))
        return block;
    return allocate_or_grow(memory, size, alignment, of, until);
}

} // namespace atrium::detail
