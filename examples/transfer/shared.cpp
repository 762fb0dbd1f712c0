#include "shared.hpp"

namespace transfer {

atrium::guarded_access<block_queue> shared::lock_queue()
{
    auto access = queue->lock_for_repair(patience);
    if (!access)
        atrium::throw_error(access.error(), "waiting for the queue");
    if (access->is_torn())
    {
        access->rebuild();
        work->rebuilt.fetch_add(1, std::memory_order_relaxed);
    }
    return std::move(*access);
}

} // namespace transfer
