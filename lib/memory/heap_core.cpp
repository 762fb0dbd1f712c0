#include "memory/heap_core.hpp"

#include "memory/block_change.hpp"
#include "memory/given_back.hpp"

#include <algorithm>
#include <new>

namespace atrium::detail {

namespace {

constexpr owner    sentinel_owner    = owner::library(0);
constexpr unsigned searched_per_list = 16; ///< Blocks looked at in the one list some of whose blocks may be too small.

static_assert(heap_core::maximum_size + heap_core::maximum_alignment + 64 < size_class_limit / 2);
static_assert(searched_per_list > heap_core::drained_per_allocate); // what `extend` put first is found after draining

/// What to look for, or why there can be none.
result<block_request> make_request(std::uint64_t size, std::uint64_t alignment) noexcept
{
    // Not has_single_bit, which calls a function of the compiler's library where no instruction counts bits.
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > heap_core::maximum_alignment)
        return errc::invalid_argument;
    if (size > heap_core::maximum_size)
        return errc::too_large;
    auto const whole = (size + heap_space::header_size + heap_space::granule - 1) & ~(heap_space::granule - 1);
    return block_request{std::max(whole, heap_space::minimum_block), std::max(alignment, heap_space::granule)};
}

/// A free block and where in it the request goes.
struct found_room
{
    std::uint64_t block = 0; ///< 0: there is none.
    placement     where{0, 0, 0};
};

/// Reads and checks a block that a free list has, and looks whether the request goes there. False: it cannot be one.
bool look_at(heap_space const& space, block_request const& wanted, std::uint64_t block, found_room& room) noexcept
{
    if (!is_free_block(space, block))
        return false;
    auto const size = space.size_and_flags(block); // with the flag set it is no size
    if (!space.can_be_size(block, size))
        return false;
    if (auto const where = place(wanted, block, size, space.is_last(block, size)); where.size != 0)
        room = {block, where};
    return true;
}

/// Tries the first few blocks of the list of exactly that size, some of which may be large enough: else the last
/// large block could not be used whole.
bool search_list(heap_space const& space, block_request const& wanted, size_class list, found_room& room) noexcept
{
    auto block = space.header().first[list.row][list.column].load(std::memory_order_relaxed);
    for (unsigned i = 0; i != searched_per_list && block != 0 && room.block == 0; ++i)
    {
        if (!look_at(space, wanted, block, room))
            return false;
        block = space.tag(block).next_offset();
    }
    return true;
}

/// Looks for room in the free memory. False: the heap is corrupted.
bool find_room(heap_space const& space, block_request const& wanted, found_room& room) noexcept
{
    auto const size = wanted.sure_size();
    auto const list = class_of(size);
    auto const sure = class_above(size);
    if (auto const block = first_from(space.header(), sure); block != 0)
        return look_at(space, wanted, block, room) && room.block != 0;
    return list == sure || search_list(space, wanted, list, room);
}

/// Takes the room, in one transaction.
[[gnu::flatten]] result<std::uint64_t> take_room(heap_space const& space, found_room const& room, owner of) noexcept
{
    transaction   changes(space.base(), space.header().undo);
    std::uint64_t block = 0;
    if (!block_change(space, changes).carve(room.block, room.where, of, block))
        return errc::corrupted;
    changes.commit();
    return block + heap_space::header_size;
}

/// Merges the first block of the chain, if there is one. Without it the blocks of a mass free would go round for ever,
/// each reused from memory that has long left the cache.
bool shorten_chain(heap_space const& space) noexcept
{
    auto const block = space.header().draining.load(std::memory_order_relaxed);
    if (block == 0)
        return true;
    chained_block chained{};
    std::uint64_t start = 0;
    std::uint64_t size  = 0;
    return read_chained(space, block, chained) && merge_chained(space, block, chained, start, size);
}

/// Looks for room in what was given back, in at most `limit` blocks: one that fits as it is, or with `once_merged` one
/// that does then. All others are merged.
bool find_given_back(heap_space const& space, block_request const& wanted, owner of, std::uint64_t limit,
                     bool once_merged, found_room& room, std::uint64_t& reused) noexcept
{
    for (std::uint64_t i = 0; i != limit; ++i)
    {
        auto const block = first_given_back(space.header());
        if (block == 0)
            return true;
        chained_block chained{};
        if (!read_chained(space, block, chained))
            return false;
        if (wanted.is_met_by(block, chained.size))
        {
            reuse_chained(space, block, chained, of);
            reused = block + heap_space::header_size;
            return shorten_chain(space);
        }
        std::uint64_t start = 0;
        std::uint64_t size  = 0;
        if (!merge_chained(space, block, chained, start, size))
            return false;
        if (auto const where = place(wanted, start, size, space.is_last(start, size)); once_merged && where.size != 0)
        {
            room = {start, where};
            return true;
        }
    }
    return true;
}

} // namespace

// Flattened, as take_room is: the number of records then stays in a register, which is a fifth of the whole.
[[gnu::flatten]] bool merge_chained(heap_space const& space, std::uint64_t block, chained_block const& chained,
                                    std::uint64_t& start, std::uint64_t& size) noexcept
{
    transaction changes(space.base(), space.header().undo);
    if (!block_change(space, changes).merge(block, start, size))
        return false;
    changes.write(space.header().draining, chained.next);
    changes.commit();
    return true;
}

result<> heap_core::format(std::byte* base, std::uint64_t header_offset, std::uint64_t begin,
                           std::uint64_t end) noexcept
{
    bool const aligned = header_offset % alignof(heap_header) == 0 && (begin | end) % granule == 0;
    if (!aligned || begin == 0 || end < begin || end - begin < minimum_capacity || end > size_class_limit)
        return errc::invalid_argument;
    auto* const header = new (base + header_offset) heap_header;
    header->begin.store(begin, std::memory_order_relaxed);
    header->end.store(end, std::memory_order_relaxed);
    heap_space const space(base, header);
    auto const       size = space.sentinel() - begin;
    block_change::store_fresh(space.block(begin).size_and_flags, size);
    block_change::store_fresh(space.size_at_end(space.sentinel()), size);
    block_change::store_fresh(space.block(space.sentinel()).size_and_flags, heap_space::prev_is_free);
    block_change::store_fresh(space.block(space.sentinel()).tag, block_tag::in_use(sentinel_owner).word());
    transaction changes(base, header->undo);
    if (!free_index(space, changes).insert_fresh(begin, size))
        return errc::corrupted;
    changes.commit();
    return {};
}

result<heap_core> heap_core::attach(std::byte* base, std::uint64_t header_offset, std::uint64_t limit) noexcept
{
    if (header_offset % alignof(heap_header) != 0 || limit < sizeof(heap_header) ||
        header_offset > limit - sizeof(heap_header))
        return errc::corrupted;
    auto* const      header = reinterpret_cast<heap_header*>(base + header_offset);
    heap_space const space(base, header);
    if (!space.has_sane_bounds(limit) || space.begin() < header_offset + sizeof(heap_header))
        return errc::corrupted;
    return heap_core(base, header, limit);
}

result<std::uint64_t> heap_core::allocate(std::uint64_t size, std::uint64_t alignment, owner of,
                                          std::uint64_t merge_limit) noexcept
{
    auto const wanted = make_request(size, alignment);
    if (!wanted)
        return wanted.error();
    heap_space const space(base_, header_);
    if (!space.can_change(limit_))
        return errc::corrupted;
    found_room    room;
    std::uint64_t reused = 0;
    // What was given back serves first where it fits as it is, and else is merged bit by bit. Only when the free
    // memory has no room is all of it looked at.
    if (!find_given_back(space, *wanted, of, drained_per_allocate, false, room, reused))
        return errc::corrupted;
    if (reused == 0 && !find_room(space, *wanted, room))
        return errc::corrupted;
    if (reused == 0 && room.block == 0 && !find_given_back(space, *wanted, of, merge_limit, true, room, reused))
        return errc::corrupted;
    if (reused != 0)
        return reused;
    if (room.block == 0)
        return errc::out_of_memory;
    return take_room(space, room, of);
}

result<std::uint64_t> heap_core::needed_growth(std::uint64_t size, std::uint64_t alignment) const noexcept
{
    auto const wanted = make_request(size, alignment);
    if (!wanted)
        return wanted.error();
    heap_space const space(base_, header_);
    if (!space.has_sane_bounds(limit_))
        return errc::corrupted;
    std::uint64_t last_size = 0;
    if ((space.size_and_flags(space.sentinel()) & heap_space::prev_is_free) != 0)
    {
        last_size = space.size_at_end(space.sentinel()).load(std::memory_order_relaxed);
        if (last_size > space.sentinel() - space.begin())
            return errc::corrupted;
    }
    // What is added becomes free to the last byte: the new sentinel takes the room that the old one gives.
    auto const sure = wanted->sure_size();
    return last_size >= sure ? 0 : std::max(sure - last_size, heap_space::minimum_block);
}

result<> heap_core::extend(std::uint64_t new_end) noexcept
{
    heap_space const space(base_, header_);
    if (!space.can_change(limit_))
        return errc::corrupted;
    auto const old   = space.sentinel();
    auto const added = new_end - header_->end.load(std::memory_order_relaxed);
    if (new_end % granule != 0 || new_end > limit_ || new_end > size_class_limit || new_end < old ||
        added < heap_space::minimum_block || added > new_end)
        return errc::invalid_argument;

    auto const   sentinel = new_end - heap_space::header_size;
    transaction  changes(base_, header_->undo);
    block_change blocks(space, changes);
    block_change::store_fresh(space.block(sentinel).size_and_flags, heap_space::prev_is_free);
    block_change::store_fresh(space.block(sentinel).tag, block_tag::in_use(sentinel_owner).word());
    std::uint64_t start = old;
    std::uint64_t size  = 0;
    if ((space.size_and_flags(old) & heap_space::prev_is_free) != 0)
    {
        if (!blocks.find_previous(old, start, size) || !blocks.index().remove(start, size))
            return errc::corrupted;
    }
    // First in its list even if it stays in it: there the allocation that asked for it looks.
    if (!blocks.index().insert(start, sentinel - start))
        return errc::corrupted;
    changes.write(space.block(start).size_and_flags, sentinel - start);
    block_change::store_fresh(space.size_at_end(sentinel), sentinel - start);
    changes.write(header_->end, new_end);
    changes.commit();
    return {};
}

transaction heap_core::begin_transaction() const noexcept
{
    return transaction(base_, header_->undo);
}

std::uint64_t heap_core::end() const noexcept
{
    return header_->end.load(std::memory_order_relaxed);
}

} // namespace atrium::detail
