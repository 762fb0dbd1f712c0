#include <atrium/memory/detail/allocation.hpp>

#include "memory/directory.hpp"
#include "memory/memory_state.hpp"
#include "os/fork.hpp"

#include <atrium/base/log.hpp>

#include <chrono>
#include <new>
#include <string>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

// Containers have no deadline to hand down; whoever holds the heap this long stands still.
constexpr auto patience = 10s;

result<memory_state*> memory_at(std::byte const* base) noexcept
{
    attachment* const in = attachment::containing(base);
    if (in == nullptr)
        return os::is_forked_child() ? errc::forked : errc::invalid_argument;
    return memory_of(*in);
}

memory_state& memory_or_throw(std::byte const* base)
{
    auto const memory = memory_at(base);
    if (!memory)
        throw_error(memory.error(), "allocator");
    return **memory;
}

} // namespace

void* block_source::allocate(std::size_t size, std::size_t alignment) const
{
    if (base() == nullptr)
    {
        if (is_misplaced())
            throw_error(errc::invalid_argument, "a container in a segment was made without the segment's allocator");
        return ::operator new(size, std::align_val_t(alignment));
    }
    memory_state& memory = memory_or_throw(base());
    owner const   who    = of();
    if (who.is_participant() && !memory.owns_blocks.load(std::memory_order_relaxed))
        memory.owns_blocks.store(true, std::memory_order_relaxed);
    auto const block = detail::allocate(memory, size, alignment, who, patience);
    if (!block)
        throw_error(block.error(), "allocator, " + std::to_string(size) + " bytes");
    return memory.in->base() + *block;
}

void block_source::deallocate(void* block, std::size_t alignment) const noexcept
{
    if (base() == nullptr)
        return ::operator delete(block, std::align_val_t(alignment));
    auto const memory = memory_at(base());
    if (!memory)
        return; // a forked child: the block is the parent's
    attachment const& in = *(*memory)->in;
    auto const done = in.contains(block) ? (*memory)->core.push_free(in.offset_of(block), of(), owner_of(in.self()))
                                         : result<>(errc::not_owned);
    if (!done)
        log(severity::warning, "a block was not freed: " + done.error().message());
}

block_source block_source::sub_source() const
{
    memory_state& memory = memory_or_throw(base());
    owner const   who    = of();
    if (who.kind() != owner_kind::directory_entry || who.index() >= memory.entry_count)
        throw_error(errc::invalid_argument, "a sub-owner needs an owner that is a shared object");
    auto const sub = draw_sub_owner(memory, static_cast<std::uint32_t>(who.index()));
    if (!sub)
        throw_error(sub.error(), "sub-owner");
    return {base(), *sub};
}

bool block_source::reclaim() const noexcept
{
    auto const memory = memory_at(base());
    if (!memory)
        return false;
    auto const lock = heap_lock::take(**memory, patience);
    if (!lock)
        return false;
    owner const going = of();
    return reclaim_blocks(**memory, [&](owner who) noexcept { return who == going; }).has_value();
}

block_source source_of(attachment& in)
{
    auto const memory = memory_of(in);
    if (!memory)
        throw_error(memory.error(), "allocator");
    return {in.base(), owner_of(in.self())};
}

} // namespace atrium::detail
