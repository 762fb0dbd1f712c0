#include "memory/block_change.hpp"
#include "memory/heap_core.hpp"

namespace atrium::detail {

namespace {

/// Makes a block the walker's own, so that nobody else can give it back: false if somebody else was faster.
bool claim(heap_space const& space, std::uint64_t block, block_tag seen, owner self) noexcept
{
    if (seen.is_freeing())
        return true; // its participant is dead
    auto expected = seen.word();
    // Relaxed, as in push_free. Not recorded: who dies from here on leaves `freeing(self)`, and is dead.
    bool const mine = space.block(block).tag.compare_exchange_strong(
        expected, block_tag::freeing(self).word(), std::memory_order_relaxed, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("heap.reclaim.claimed");
    return mine;
}

/// Merges a claimed block, in one transaction; `end` is where the walk goes on.
bool merge_claimed(heap_space const& space, std::uint64_t block, std::uint64_t& end) noexcept
{
    transaction   changes(space.base(), space.header().undo);
    std::uint64_t start = 0;
    std::uint64_t size  = 0;
    if (!block_change(space, changes).merge(block, start, size))
        return false;
    changes.commit();
    end = start + size;
    return true;
}

} // namespace

result<reclaimed> heap_core::reclaim_if(owner self, goes_function goes, void* context) noexcept
{
    if (auto const drained = drain(); !drained)
        return drained.error();
    heap_space const space(base_, header_);
    reclaimed        sum;
    for (auto block = space.begin(); block != space.sentinel();)
    {
        auto const size = space.size(block);
        if (!space.can_be_size(block, size))
            return errc::corrupted;
        auto       end = block + size;
        auto const tag = space.tag(block);
        if ((tag.is_in_use() || tag.is_freeing()) &&
            goes(context, {block + heap_space::header_size, size - heap_space::header_size, tag}) &&
            claim(space, block, tag, self))
        {
            if (!merge_claimed(space, block, end))
                return errc::corrupted;
            ++sum.blocks;
            sum.bytes += size;
        }
        block = end;
    }
    return sum;
}

result<> heap_core::visit_blocks(visit_function visit, void* context) const
{
    heap_space const space(base_, header_);
    if (!space.has_sane_bounds(limit_))
        return errc::corrupted;
    for (auto block = space.begin(); block != space.sentinel();)
    {
        auto const size = space.size(block);
        if (!space.can_be_size(block, size))
            return errc::corrupted;
        visit(context, {block + heap_space::header_size, size - heap_space::header_size, space.tag(block)});
        block += size;
    }
    return {};
}

result<heap_statistics> heap_core::statistics() const noexcept
{
    // Acquire, pairs with the release in transaction::commit: the end read below is no older than the bytes.
    auto const       used_bytes  = header_->used_bytes.load(std::memory_order_acquire);
    auto const       used_blocks = header_->used_blocks.load(std::memory_order_relaxed);
    heap_space const space(base_, header_);
    if (!space.has_sane_bounds(limit_) || used_bytes > space.sentinel() - space.begin())
        return errc::corrupted;
    auto const capacity = space.sentinel() - space.begin();
    return heap_statistics{capacity, used_bytes, used_blocks, capacity - used_bytes};
}

} // namespace atrium::detail
