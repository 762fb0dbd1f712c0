#include "memory/given_back.hpp"
#include "memory/heap_core.hpp"

namespace atrium::detail {

namespace {

/// The block with that payload, 0 if there can be none.
std::uint64_t block_of(heap_space const& space, std::uint64_t limit, std::uint64_t payload) noexcept
{
    auto const block    = payload - heap_space::header_size;
    bool const possible = space.has_sane_bounds(limit) && payload >= heap_space::header_size;
    return possible && space.can_be_block(block) ? block : 0;
}

/// Whether a chain of blocks given back contains that block; false also in `ok` if the chain cannot be one.
bool chain_contains(heap_space const& space, std::uint64_t first, std::uint64_t wanted, bool& ok) noexcept
{
    auto left = (space.sentinel() - space.begin()) / heap_space::minimum_block; // there are no more blocks than that
    for (auto block = first; block != 0; block = space.link(block).load(std::memory_order_relaxed))
    {
        if (block == wanted)
            return true;
        ok = left-- != 0 && space.can_be_block(block);
        if (!ok)
            return false;
    }
    return false;
}

} // namespace

result<> heap_core::push_free(std::uint64_t payload, owner of, owner self) const noexcept
{
    heap_space const space(base_, header_);
    auto const       block = block_of(space, limit_, payload);
    if (block == 0 || !space.can_be_size(block, space.size(block)))
        return errc::not_owned;
    auto expected = block_tag::in_use(of).word();
    // Relaxed: it decides who gives the block back, and orders nothing. The next user of the memory is ordered
    // behind this one by G1.
    if (!space.block(block).tag.compare_exchange_strong(expected, block_tag::freeing(self).word(),
                                                        std::memory_order_relaxed, std::memory_order_relaxed))
        return errc::not_owned;
    ATRIUM_CRASH_POINT("heap.push.marked");

    auto& pushed = header_->pushed;
    auto  first  = pushed.load(std::memory_order_relaxed);
    do
    {
        space.link(block).store(first, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.push.linked");
        // Release G1, pairs with the acquire G1 in first_given_back: link and last use of the payload come before.
        // That the stack was emptied and filled again since `first` was read (ABA) is no harm: what counts is that
        // `first` is on top at the moment of the exchange, and what is below it is in its own link.
    } while (!pushed.compare_exchange_weak(first, block, std::memory_order_release, std::memory_order_relaxed));
    ATRIUM_CRASH_POINT("heap.push.pushed");
    return {};
}

result<> heap_core::change_owner(std::uint64_t payload, owner from, owner to) const noexcept
{
    heap_space const space(base_, header_);
    auto const       block    = block_of(space, limit_, payload);
    auto             expected = block_tag::in_use(from).word();
    // Relaxed: the tag orders nothing.
    if (block == 0 || !space.block(block).tag.compare_exchange_strong(
                          expected, block_tag::in_use(to).word(), std::memory_order_relaxed, std::memory_order_relaxed))
        return errc::not_owned;
    ATRIUM_CRASH_POINT("heap.owner.changed");
    return {};
}

result<std::uint64_t> heap_core::payload_size(std::uint64_t payload) const noexcept
{
    heap_space const space(base_, header_);
    auto const       block = block_of(space, limit_, payload);
    if (block == 0 || !space.tag(block).is_in_use())
        return errc::not_owned;
    auto const size = space.size(block);
    if (!space.can_be_size(block, size))
        return errc::not_owned;
    return size - heap_space::header_size;
}

result<block_tag> heap_core::tag_of(std::uint64_t payload) const noexcept
{
    heap_space const space(base_, header_);
    auto const       block = block_of(space, limit_, payload);
    if (block == 0)
        return errc::not_owned;
    return space.tag(block);
}

bool heap_core::has_given_back() const noexcept
{
    // Relaxed: nothing of the blocks is looked at.
    return header_->draining.load(std::memory_order_relaxed) != 0 ||
           header_->pushed.load(std::memory_order_relaxed) != 0;
}

result<std::uint64_t> heap_core::drain(std::uint64_t limit) noexcept
{
    heap_space const space(base_, header_);
    if (!space.can_change(limit_))
        return errc::corrupted;
    for (std::uint64_t drained = 0; drained != limit; ++drained)
    {
        auto const block = first_given_back(*header_);
        if (block == 0)
            return drained;
        chained_block chained{};
        std::uint64_t start = 0;
        std::uint64_t size  = 0;
        if (!read_chained(space, block, chained) || !merge_chained(space, block, chained, start, size))
            return errc::corrupted;
    }
    return limit;
}

result<> heap_core::recover(std::uint64_t accessible) noexcept
{
    if (auto const done = roll_back(base_, header_->undo, accessible); !done)
        return done;
    heap_space const space(base_, header_);
    if (!space.has_sane_bounds(limit_))
        return errc::corrupted;
    // A dead holder may have noted the top of the stack and not taken it any more. Nothing leaves the stack
    // otherwise, so the note is void exactly if the block is still there.
    auto const noted = header_->draining.load(std::memory_order_relaxed);
    if (noted == 0)
        return {};
    bool ok = true;
    // Acquire G1: the links of the blocks pushed are there.
    if (chain_contains(space, header_->pushed.load(std::memory_order_acquire), noted, ok))
        header_->draining.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("heap.recover.settled");
    if (!ok)
        return errc::corrupted;
    return {};
}

} // namespace atrium::detail
