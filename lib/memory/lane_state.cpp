#include "memory/lane_state.hpp"

#include "memory/memory_state.hpp"

#include <bit>

namespace atrium::detail {

namespace {

std::uint64_t row_bytes(memory_state const& memory) noexcept
{
    return std::uint64_t{memory.in->lane_count()} * sizeof(atomic<std::uint64_t>);
}

atomic<std::uint64_t>* row_of_eras(memory_state const& memory, std::uint32_t lane) noexcept
{
    return reinterpret_cast<atomic<std::uint64_t>*>(memory.in->base() + memory.eras.offset + lane * row_bytes(memory));
}

} // namespace

error_code prepare_lane(memory_state& memory, std::uint32_t index) noexcept
{
    if (memory.lanes[index].row != nullptr)
        return {}; // the thread has used another segment meanwhile
    if (error_code const error = memory.in->commit_sparse(
            {.offset = memory.eras.offset + index * row_bytes(memory), .size = row_bytes(memory)}))
        return error;
    ATRIUM_CRASH_POINT("reference.lane.row_committed");
    // Release N3, pairs with the acquire N3 in noted_era(): the row has memory.
    memory.era_rows[index / 64].fetch_or(std::uint64_t{1} << (index % 64), std::memory_order_release);
    ATRIUM_CRASH_POINT("reference.lane.row_marked");
    lane_state& lane = memory.lanes[index];
    lane.row         = &memory.in->row_of_lane(index);
    lane.noted       = row_of_eras(memory, index);
    lane.index       = index;
    lane.lanes       = memory.in->lane_count();
    lane.era         = lane.row->era.load(std::memory_order_acquire); // N2; where another process has left it
    if (lane.cells.cursor == 0)
    {
        // Lanes begin their searches apart from each other.
        lane.cells.cursor   = index;
        lane.records.cursor = index;
    }
    return {};
}

std::uint64_t noted_era(memory_state const& memory, std::uint32_t of_lane) noexcept
{
    std::uint64_t largest = 0;
    for (std::uint32_t word = 0; word < (memory.in->lane_count() + 63) / 64; ++word)
    {
        for (auto rows = memory.era_rows[word].load(std::memory_order_acquire); rows != 0; rows &= rows - 1) // N3
        {
            auto const row = word * 64 + static_cast<std::uint32_t>(std::countr_zero(rows));
            if (row >= memory.in->lane_count())
                continue;
            // Acquire N1.
            std::uint64_t const era = row_of_eras(memory, row)[of_lane].load(std::memory_order_acquire);
            largest                 = era > largest ? era : largest;
        }
    }
    return largest;
}

} // namespace atrium::detail
