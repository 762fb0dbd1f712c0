#include <atrium/memory/heap.hpp>

#include "memory/lane_use.hpp"
#include "memory/memory_state.hpp"

namespace atrium {

heap::heap(segment const& in) : in_(in.attached())
{
    if (auto const memory = detail::memory_of(*in_, true); !memory)
        throw_error(memory.error(), "heap of segment '" + in.name() + "'");
}

result<void*> heap::allocate(std::size_t size, deadline until, std::size_t alignment)
{
    auto const memory = detail::memory_of(*in_);
    if (!memory)
        return memory.error();
    // Relaxed: only this process reads it, when its last handle goes.
    if (!(*memory)->owns_blocks.load(std::memory_order_relaxed))
        (*memory)->owns_blocks.store(true, std::memory_order_relaxed);
    auto const block = detail::allocate(**memory, size, alignment, detail::owner_of(in_->self()), until);
    if (!block)
        return block.error();
    return static_cast<void*>(in_->base() + *block);
}

result<> heap::deallocate(void* block) noexcept
{
    auto const memory = detail::memory_of(*in_);
    if (!memory)
        return memory.error();
    if (!in_->contains(block))
        return errc::not_owned;
    auto const self = detail::owner_of(in_->self());
    return (*memory)->core.push_free(in_->offset_of(block), self, self);
}

result<heap_statistics> heap::statistics(deadline until) const
{
    auto const memory = detail::memory_of(*in_, true);
    if (!memory)
        return memory.error();
    if (!in_->is_read_only())
    {
        detail::free_kept_blocks(**memory);
        auto const lock = detail::heap_lock::take(**memory, until);
        if (!lock)
            return lock.error();
        if (auto const drained = (*memory)->core.drain(); !drained)
            return drained.error();
    }
    auto const numbers = (*memory)->core.statistics();
    if (!numbers)
        return numbers.error();
    return heap_statistics{numbers->capacity, numbers->used_bytes, numbers->free_bytes, numbers->used_blocks};
}

std::string heap::check(deadline until) const
{
    auto const memory = detail::memory_of(*in_);
    if (!memory)
        return memory.error().message();
    auto const lock = detail::heap_lock::take(**memory, until);
    if (!lock)
        return lock.error().message();
    return (*memory)->core.check();
}

} // namespace atrium
