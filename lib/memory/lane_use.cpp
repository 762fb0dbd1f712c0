#include "memory/lane_use.hpp"

namespace atrium::detail {

namespace {

// Null where the thread can have none at the moment.
lane_state* find_own_lane(memory_state& memory) noexcept
{
    auto const index = memory.in->try_lane();
    if (!index || prepare_lane(memory, *index))
        return nullptr;
    own = {memory.serial, &memory.lanes[*index]};
    return own.lane;
}

} // namespace

void lane_use::take(memory_state& memory) noexcept
{
    lane_ = find_own_lane(memory);
    if (lane_ == nullptr)
        *this = shared(memory);
}

lane_use::lane_use(memory_state& memory, bool) noexcept
    : lane_(&memory.lanes[memory.in->shared_lane()]), held_(memory.shared_lane_mutex)
{
    // N2. A recoverer may have moved it, of a former user of this process's row.
    lane_->era = lane_->row->era.load(std::memory_order_acquire);
}

void free_kept_blocks(memory_state& memory) noexcept
{
    if (lane_state* const lane = known_own_lane(memory))
        lane->blocks.free_all(memory);
    lane_use::shared(memory)->blocks.free_all(memory);
}

void forget_own_lane(memory_state& memory, std::uint32_t lane) noexcept
{
    if (own.serial == memory.serial)
        own = {};
    memory.lanes[lane].row = nullptr; // another process may use it before we do again
}

} // namespace atrium::detail
