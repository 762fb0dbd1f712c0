#include "memory/ring_recovery.hpp"

#include "memory/count_change.hpp"
#include "memory/lane_use.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_space.hpp"

#include <atrium/base/detail/crash_point.hpp>

namespace atrium::detail {

void ring_recovery::finish_push(std::uint64_t position, object_id id, std::uint64_t pointee) const noexcept
{
    if (!ring_)
        return;
    if (!ring_.is_filled(position))
        ring_.fill(position, id, memory_.in->base() + pointee);
    else if (ring_.tail() <= position)
        ring_.header().tail.store(position + 1, std::memory_order_release);
    ATRIUM_CRASH_POINT("ring.recover.pushed");
}

void ring_recovery::finish_drain(std::uint64_t position) const noexcept
{
    if (ring_ && ring_.head() == position)
        ring_.header().head.position.store(position + 1, std::memory_order_release);
    ATRIUM_CRASH_POINT("ring.recover.drained");
}

std::size_t ring_recovery::drain() const noexcept
{
    std::size_t count = 0;
    if (!ring_)
        return count;
    for (std::uint64_t position = ring_.head(); ring_.is_filled(position); ++position, ++count)
    {
        if (count == ring_.capacity())
            break; // more than there can be
        object_id const id    = ring_.object_at(position);
        auto const      found = locate(memory_, id);
        bool            last  = false;
        {
            auto const lane = lane_use::shared(memory_);
            if (found)
                last = detach(*lane, record_kind::drain, found->word(), id, object_state::pending,
                              {.holder = ring_.offset(), .source = position}, [&] { finish_drain(position); });
            else
                finish_drain(position);
        }
        if (last)
            announce_pending(memory_, found->table);
    }
    return count;
}

} // namespace atrium::detail
