#include "memory/process_references.hpp"

#include <algorithm>
#include <new>

namespace atrium::detail {

namespace {

constexpr std::uint64_t first_cells   = 128;
constexpr std::uint64_t most_cells    = 4096;
constexpr std::size_t   moved_at_once = 32;

local_reference* pop(local_reference*& list) noexcept
{
    local_reference* const first = list;
    if (first != nullptr)
        list = first->next;
    return first;
}

// A block of cells for this process; whoever dies before it is linked has a block of its own, which goes with it.
result<process_cells*> make_cells(memory_state& memory, std::uint64_t count, deadline until)
{
    memory.owns_blocks.store(true, std::memory_order_relaxed);
    auto const block = allocate(memory, sizeof(process_cells) + count * sizeof(std::uint64_t), alignof(process_cells),
                                owner_of(memory.in->self()), until);
    if (!block)
        return block.error();
    auto* const cells = new (memory.in->base() + *block) process_cells;
    for (std::uint64_t n = 0; n < count; ++n)
        new (reinterpret_cast<atomic<std::uint64_t>*>(cells + 1) + n) atomic<std::uint64_t>(0);
    cells->count.store(count, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("reference.cells.made");
    return cells;
}

// Threads that run out at the same time each make some.
error_code grow(memory_state& memory, deadline until)
{
    std::uint64_t count = first_cells;
    {
        std::lock_guard const held(memory.references_mutex);
        count = std::min(first_cells << std::min<std::size_t>(memory.references.size(), 16), most_cells);
    }
    auto const cells = make_cells(memory, count, until);
    if (!cells)
        return cells.error();
    auto fresh = std::make_unique<local_reference[]>(count);

    std::lock_guard const held(memory.references_mutex);
    memory.references.reserve(memory.references.size() + 1);
    auto& first = memory.first_cells[memory.in->self().row()];
    (*cells)->next.store(first.load(std::memory_order_relaxed), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("reference.cells.before_link");
    first.store(memory.in->offset_of(*cells), std::memory_order_release); // P1
    ATRIUM_CRASH_POINT("reference.cells.linked");
    for (std::uint64_t n = 0; n < count; ++n)
    {
        fresh[n].cell   = reinterpret_cast<atomic<std::uint64_t>*>(*cells + 1) + n;
        fresh[n].memory = &memory;
        push(memory.free_references, fresh[n]);
    }
    memory.references.push_back(std::move(fresh));
    return {};
}

void refill(memory_state& memory, lane_state& lane) noexcept
{
    std::lock_guard const held(memory.references_mutex);
    for (std::size_t n = 0; n < moved_at_once; ++n)
    {
        local_reference* const one = pop(memory.free_references);
        if (one == nullptr)
            return;
        push(lane.free_references, *one);
        ++lane.free_count;
    }
}

void share(memory_state& memory, lane_state& lane, std::size_t count) noexcept
{
    std::lock_guard const held(memory.references_mutex);
    for (; count != 0 && lane.free_references != nullptr; --count)
    {
        push(memory.free_references, *pop(lane.free_references));
        --lane.free_count;
    }
}

} // namespace

error_code reserve_references(memory_state& memory, deadline until)
{
    for (;;)
    {
        {
            lane_use const lane(memory);
            refill(memory, *lane);
            if (lane->free_references != nullptr)
                return {};
        }
        if (error_code const error = grow(memory, until))
            return error;
    }
}

void share_some(memory_state& memory, lane_state& lane) noexcept
{
    share(memory, lane, moved_at_once);
}

void share_references(memory_state& memory, lane_state& lane) noexcept
{
    share(memory, lane, lane.free_count);
}

void forget_cells(memory_state& memory) noexcept
{
    memory.first_cells[memory.in->self().row()].store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("reference.cells.forgotten");
}

} // namespace atrium::detail
