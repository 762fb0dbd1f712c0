#include <atrium/memory/detail/allocation.hpp>

#include "memory/directory.hpp"
#include "memory/memory_state.hpp"
#include "memory/object_destruction.hpp"
#include "memory/object_space.hpp"
#include "memory/reclaim.hpp"
#include "memory/segment_cells.hpp"
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

void block_source::give_up_references(void const* at, std::size_t size) const noexcept
{
    if (base() == nullptr)
        return; // those in ordinary memory go with this process
    if (auto const memory = memory_at(base()))
        release_cells_at(**memory, static_cast<std::byte const*>(at), size);
}

namespace {

// A counted object draws no numbers: its parts are told apart by where they lie in it, from 1.
std::uint64_t number_of_part(std::byte const* object, void const* part) noexcept
{
    auto const at = reinterpret_cast<std::uintptr_t>(part) - reinterpret_cast<std::uintptr_t>(object);
    return at / alignof(std::uint64_t) + 1;
}

result<owner> owner_of_part(memory_state& memory, object_id id, void const* part) noexcept
{
    auto const object = locate(memory, id);
    if (!object)
        return object.error();
    std::byte const* const begin = object_at(memory, *object);
    auto const             at    = reinterpret_cast<std::uintptr_t>(part) - reinterpret_cast<std::uintptr_t>(begin);
    std::uint64_t const    sub   = number_of_part(begin, part);
    if (begin == nullptr || at >= size_of(*object) || sub >> owner::object_sub_bits != 0)
        return errc::too_many_owners;
    return owner::object(id, sub);
}

result<owner> owner_of_part(memory_state& memory, owner of, void const* part) noexcept
{
    if (of.kind() == owner_kind::object)
        return owner_of_part(memory, of.as_object(), part);
    if (of.kind() == owner_kind::directory_entry && of.index() < memory.entry_count)
        return draw_sub_owner(memory, static_cast<std::uint32_t>(of.index()));
    return errc::invalid_argument;
}

} // namespace

block_source block_source::sub_source(void const* part) const
{
    auto const sub = owner_of_part(memory_or_throw(base()), of(), part);
    if (!sub)
        throw_error(sub.error(), "a sub-owner, which needs an owner that is a shared object");
    return {base(), *sub};
}

namespace {

// The owners of what is in a value: its own, and those of guarded values that lie in it, where they can be told.
class owners_in_value
{
public:
    owners_in_value(memory_state& memory, owner own, void const* value, std::size_t size) noexcept : own_(own)
    {
        if (own.kind() != owner_kind::object)
            return;
        auto const             object = locate(memory, own.as_object());
        std::byte const* const begin  = object ? object_at(memory, *object) : nullptr;
        if (begin == nullptr)
            return;
        first_ = number_of_part(begin, value);
        end_   = number_of_part(begin, static_cast<std::byte const*>(value) + size - 1) + 1;
    }

    [[nodiscard]] bool contains(owner who) const noexcept
    {
        return who == own_ || (who.kind() == owner_kind::object && who.same_index(own_) && who.object_sub() >= first_ &&
                               who.object_sub() < end_);
    }

private:
    owner         own_;
    std::uint64_t first_ = 0;
    std::uint64_t end_   = 0;
};

} // namespace

bool block_source::reclaim(void const* value, std::size_t size) const noexcept
{
    auto const memory = memory_at(base());
    if (!memory)
        return false;
    try
    {
        std::uint64_t const begin = (*memory)->in->offset_of(value);
        {
            auto const lock = heap_lock::take(**memory, patience);
            if (!lock)
                return false;
            owners_in_value const going(**memory, of(), value, size);
            auto const            goes = [&](owner who) noexcept { return going.contains(who); };
            if (!reclaim_blocks(**memory, goes, {begin, begin + size}))
                return false;
        }
        destroy_pending_if_any(**memory); // of what was referred to from there
        return true;
    }
    catch (std::bad_alloc const&) // for the list of blocks
    {
        return false;
    }
}

block_source source_of(attachment& in)
{
    auto const memory = memory_of(in);
    if (!memory)
        throw_error(memory.error(), "allocator");
    return {in.base(), owner_of(in.self())};
}

} // namespace atrium::detail
