#include <atrium/memory/detail/structure.hpp>

#include "memory/directory.hpp"
#include "memory/lane_use.hpp"
#include "memory/memory_state.hpp"
#include "memory/object_space.hpp"
#include "memory/ring_recovery.hpp"

#include <atrium/base/detail/crash_point.hpp>

namespace atrium::detail {

namespace {

memory_state& memory_in(attachment const& in) noexcept
{
    return *static_cast<memory_state*>(in.local_state(part_id::memory));
}

// The tag word of a block in use under that owner.
result<atomic<std::uint64_t>*> tag_word(memory_state const& memory, std::uint64_t block, owner of) noexcept
{
    auto const tag = memory.core.tag_of(block);
    if (!tag || !tag->is_in_use(of))
        return errc::not_owned;
    return &reinterpret_cast<block_header*>(memory.in->base() + block - sizeof(block_header))->tag;
}

// Owner and link change at once. The heap mutex is held, and nobody else may give the block away meanwhile.
error_code change(memory_state& memory, std::uint64_t block, owner from, owner to, atomic<std::uint64_t>& link,
                  std::uint64_t value, deadline until)
{
    auto const lock = heap_lock::take(memory, until);
    if (!lock)
        return lock.error();
    auto const word = tag_word(memory, block, from);
    if (!word)
        return word.error();
    std::uint64_t const linked = link.load(std::memory_order_relaxed);
    if (value != 0 && linked != 0 && linked != value)
        return errc::already_exists; // somebody was faster
    transaction changing = memory.core.begin_transaction();
    changing.write(**word, block_tag::in_use(to).word());
    changing.write(link, value, std::memory_order_release); // the block is whole for whoever finds it
    changing.commit();
    return {};
}

} // namespace

result<std::uint64_t> allocate_own(attachment& in, std::uint64_t size, std::uint64_t alignment, deadline until)
{
    memory_state& memory = memory_in(in);
    memory.owns_blocks.store(true, std::memory_order_relaxed);
    return allocate(memory, size, alignment, owner_of(in.self()), until);
}

void free_own(attachment& in, std::uint64_t block) noexcept
{
    owner const self = owner_of(in.self());
    static_cast<void>(memory_in(in).core.push_free(block, self, self));
}

error_code give_block(attachment& in, std::uint64_t block, owner to, atomic<std::uint64_t>& link, std::uint64_t value,
                      deadline until)
{
    return change(memory_in(in), block, owner_of(in.self()), to, link, value, until);
}

error_code free_block(attachment& in, std::uint64_t block, owner of, atomic<std::uint64_t>& link, deadline until)
{
    memory_state& memory = memory_in(in);
    if (of.is_ring())
        ring_recovery(memory, block).drain();
    memory.owns_blocks.store(true, std::memory_order_relaxed);
    if (error_code const error = change(memory, block, of, owner_of(in.self()), link, 0, until))
        return error;
    free_own(in, block);
    return {};
}

bool is_owned(attachment const& in, std::uint64_t block, owner of) noexcept
{
    auto const tag = memory_in(in).core.tag_of(block);
    return tag && tag->is_in_use(of);
}

error_code hold_structure(attachment& in, owner of, std::uint64_t block, deadline until)
{
    memory_state& memory = memory_in(in);
    if (of.kind() != owner_kind::directory_entry || of.index() >= memory.entry_count)
        return errc::corrupted;
    auto const index = static_cast<std::uint32_t>(of.index());
    auto const lock  = heap_lock::take(memory, until);
    if (!lock)
        return lock.error();
    auto const status = status_of(memory.entry(index));
    bool const there  = status && (status->state == entry_state::live || status->state == entry_state::orphaned) &&
                       is_owned(in, block, of) && memory.entry(index).block.load(std::memory_order_relaxed) == block;
    if (!there)
        return errc::not_found;
    hold_entry(memory, index);
    return {};
}

bool is_holder(attachment const& in, std::uint32_t entry, participant_id who) noexcept
{
    return is_held_by(memory_in(in).entry(entry), who.row());
}

std::optional<structure_place> structure_at(attachment& in, part_id of, std::uint32_t entry) noexcept
{
    memory_state const& memory = memory_in(in);
    if (entry >= memory.entry_count)
        return std::nullopt;
    directory_entry const& e      = memory.entry(entry);
    auto const             status = status_of(e);
    if (!status || (status->state != entry_state::live && status->state != entry_state::orphaned) ||
        structure_of(e) != static_cast<std::uint32_t>(of))
        return std::nullopt;
    auto const object = object_of(memory, entry);
    if (!object)
        return std::nullopt;
    std::uint64_t const block = in.offset_of(*object);
    auto const          size  = memory.core.payload_size(block);
    if (!size || !has_memory(memory, block, *size))
        return std::nullopt;
    return structure_place{entry, block, *size, *object};
}

void for_each_structure(attachment& in, part_id of, std::function<void(structure_place const&)> const& visit)
{
    for (std::uint32_t entry = 0; entry < memory_in(in).entry_count; ++entry)
    {
        if (auto const place = structure_at(in, of, entry))
            visit(*place);
    }
}

std::string name_of_entry(attachment& in, std::uint32_t entry)
{
    memory_state const& memory = memory_in(in);
    return entry < memory.entry_count ? name_of(memory.entry(entry)) : std::string();
}

std::string type_of_entry(attachment& in, std::uint32_t entry)
{
    memory_state const& memory = memory_in(in);
    return entry < memory.entry_count ? type_name_of(memory.entry(entry)) : std::string();
}

std::uint32_t holders_of_entry(attachment& in, std::uint32_t entry) noexcept
{
    memory_state const& memory = memory_in(in);
    return entry < memory.entry_count ? holders_of(memory.entry(entry)) : 0;
}

bool is_heap_free(attachment const& in) noexcept
{
    return !memory_in(in).header->mutex.owner();
}

void owe_ending(attachment& in) noexcept
{
    // Relaxed: a hint; what is owed is found by looking.
    memory_in(in).header->owes_ending.fetch_add(1, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("memory.ending_owed");
}

std::optional<std::uint32_t> calling_lane(attachment& in) noexcept
{
    memory_state& memory = memory_in(in);
    if (lane_state const* const lane = known_own_lane(memory))
        return lane->index;
    lane_use const lane(memory); // gets one, and remembers it
    if (lane.is_shared())
        return std::nullopt;
    return lane->index;
}

} // namespace atrium::detail
