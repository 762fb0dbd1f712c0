#include "memory/kept_blocks.hpp"

#include "memory/memory_state.hpp"

namespace atrium::detail {

namespace {

constexpr std::uint64_t granule = 16; // of the sizes of blocks: what has so much left is meant for others

} // namespace

std::optional<std::size_t> kept_blocks::find(std::uint64_t size, std::uint64_t alignment) const noexcept
{
    for (std::size_t n = count_; n-- != 0;)
    {
        block const& kept = blocks_[n];
        if (kept.size >= size && kept.size - size < granule && kept.offset % alignment == 0)
            return n;
    }
    return std::nullopt;
}

std::uint64_t kept_blocks::take(memory_state const& memory, std::size_t number, owner to) noexcept
{
    std::uint64_t const offset = blocks_[number].offset;
    blocks_[number]            = blocks_[--count_];
    return memory.core.change_owner(offset, owner_of(memory.in->self()), to) ? offset : 0;
}

bool kept_blocks::keep_or_free(memory_state& memory, std::uint64_t offset, owner from) noexcept
{
    owner const self = owner_of(memory.in->self());
    auto const  size = memory.core.payload_size(offset);
    if (!size || *size > largest || count_ == blocks_.size())
        return memory.core.push_free(offset, from, self).has_value();
    memory.owns_blocks.store(true, std::memory_order_relaxed);
    if (!memory.core.change_owner(offset, from, self))
        return false;
    blocks_[count_++] = {offset, *size};
    return true;
}

void kept_blocks::free_all(memory_state const& memory) noexcept
{
    owner const self = owner_of(memory.in->self());
    while (count_ != 0)
        static_cast<void>(memory.core.push_free(blocks_[--count_].offset, self, self));
}

} // namespace atrium::detail
