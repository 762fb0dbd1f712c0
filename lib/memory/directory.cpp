#include "memory/directory.hpp"

#include "memory/object_space.hpp"
#include "memory/reclaim.hpp"
#include "segment/part.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/log.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstring>
#include <mutex>
#include <new>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

template <std::size_t Words> std::string read_text(atomic<std::uint64_t> const (&words)[Words])
{
    std::array<char, Words* 8 + 1> text = {};
    for (std::size_t n = 0; n < Words; ++n)
    {
        std::uint64_t const word = words[n].load(std::memory_order_relaxed);
        std::memcpy(text.data() + n * 8, &word, sizeof(word));
    }
    return text.data();
}

// Cuts what is too long, at the end of which there is always a zero.
template <std::size_t Words> void write_text(atomic<std::uint64_t> (&words)[Words], std::string_view value) noexcept
{
    std::array<char, Words* 8> text = {};
    value.copy(text.data(), text.size() - 1);
    for (std::size_t n = 0; n < Words; ++n)
    {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + n * 8, sizeof(word));
        words[n].store(word, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("directory.claim.text");
    }
}

// A type that this process knows. Never destroyed: handles in static storage are released after the destructors of this
// file would have run. A list without a mutex, which a forked child could find held.
struct known_type
{
    std::uint64_t hash;
    void (*destroy)(std::byte*) noexcept;
    known_type const* next;
};

constinit std::atomic<known_type const*> types{nullptr};
constinit std::atomic<std::uint64_t>     type_count{0};

known_type const* find_type(std::uint64_t hash) noexcept
{
    // Acquire Y1, pairs with the release Y1 in know_type().
    known_type const* type = types.load(std::memory_order_acquire);
    while (type != nullptr && type->hash != hash)
        type = type->next;
    return type;
}

} // namespace

result<entry_status> status_of(directory_entry const& entry) noexcept
{
    // Acquire E1, pairs with the release E1 in publish_named(): an object seen live is whole.
    std::uint64_t const word  = entry.state.load(std::memory_order_acquire);
    std::uint64_t const state = word & 7;
    if (state > static_cast<std::uint64_t>(entry_state::dying))
        return errc::corrupted;
    return entry_status{static_cast<entry_state>(state), participant_id::from_word(word >> 3)};
}

std::string name_of(directory_entry const& entry)
{
    return read_text(entry.name);
}

std::string type_name_of(directory_entry const& entry)
{
    return read_text(entry.type_name);
}

result<std::optional<std::uint32_t>> find_entry(memory_state const& memory, std::string_view name)
{
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        directory_entry const& entry  = memory.entry(index);
        auto const             status = status_of(entry);
        if (!status)
            return status.error();
        if (status->state != entry_state::free && name_of(entry) == name)
            return std::optional(index);
    }
    return std::optional<std::uint32_t>();
}

result<std::uint32_t> claim_entry(memory_state& memory, std::string_view name, object_type const& type,
                                  named_options const& options)
{
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        directory_entry& e = memory.entry(index);
        if (auto const status = status_of(e); !status || status->state != entry_state::free)
            continue;
        if (e.next_sub.load(std::memory_order_relaxed) >= owner::ring_sub)
            continue; // has had four thousand million owners: retired
        // Relaxed all: until the state changes nobody reads them, and the state changes under the mutex.
        auto const put = [](atomic<std::uint64_t>& field, std::uint64_t value) {
            field.store(value, std::memory_order_relaxed);
            ATRIUM_CRASH_POINT("directory.claim.field");
        };
        write_text(e.name, name);
        write_text(e.type_name, type.print.name);
        put(e.block, 0);
        put(e.hash, type.print.hash);
        put(e.size, type.print.size);
        put(e.align_and_version, type.print.align | std::uint64_t{type.print.version} << 32);
        put(e.flags,
            (options.keep ? std::uint64_t{entry_kept} : 0) | (type.trivial ? std::uint64_t{entry_trivial} : 0) |
                (type.pool ? std::uint64_t{entry_pool} : 0) | std::uint64_t{type.structure} << entry_structure_shift);
        put(e.holder_limit, options.holders_limit);
        for (auto& word : e.holders)
            put(word, 0);
        compiler_barrier(); // all of it is there before a death could leave the entry claimed
        e.state.store(pack(entry_state::constructing, memory.in->self()), std::memory_order_release);
        ATRIUM_CRASH_POINT("directory.claim.after_state");
        return index;
    }
    return errc::directory_full;
}

std::uint32_t holders_of(directory_entry const& entry) noexcept
{
    int count = 0;
    for (auto const& word : entry.holders)
        count += std::popcount(word.load(std::memory_order_relaxed));
    return static_cast<std::uint32_t>(count);
}

bool is_held_by(directory_entry const& entry, std::uint32_t row) noexcept
{
    return (entry.holders[row / 64].load(std::memory_order_relaxed) >> (row % 64) & 1) != 0;
}

void set_holder(directory_entry& entry, std::uint32_t row) noexcept
{
    auto& word = entry.holders[row / 64];
    word.store(word.load(std::memory_order_relaxed) | std::uint64_t{1} << (row % 64), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("directory.holder.set");
}

void hold_entry(memory_state& memory, std::uint32_t index) noexcept
{
    directory_entry&    entry  = memory.entry(index);
    std::uint32_t const row    = memory.in->self().row();
    auto&               word   = entry.holders[row / 64];
    transaction         change = memory.core.begin_transaction();
    change.write(word, word.load(std::memory_order_relaxed) | std::uint64_t{1} << (row % 64));
    if (entry.state.load(std::memory_order_relaxed) != pack(entry_state::live))
        change.write(entry.state, pack(entry_state::live));
    change.commit();
    ATRIUM_CRASH_POINT("directory.holder.added");
    memory.holds[index].fetch_add(1, std::memory_order_relaxed); // under the mutex
}

bool claim_empty_pool(memory_state& memory, std::uint32_t index) noexcept
{
    directory_entry& entry  = memory.entry(index);
    auto const       status = status_of(entry);
    if (!is_pool(entry) || !status || status->state != entry_state::orphaned)
        return false;
    auto const table = pool_table(memory, index);
    if (!table || table->has_objects() || table->hints().anybody_keeps()) // the latter write to it still
        return false;
    entry.state.store(pack(entry_state::dying, memory.in->self()), std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("directory.pool.claimed");
    return true;
}

bool drop_holders(memory_state& memory, directory_entry& entry, std::span<std::uint32_t const> rows,
                  std::uint64_t next) noexcept
{
    std::array<std::uint64_t, holder_words> words = {};
    for (std::size_t n = 0; n < holder_words; ++n)
        words[n] = entry.holders[n].load(std::memory_order_relaxed);
    for (std::uint32_t const row : rows)
        words[row / 64] &= ~(std::uint64_t{1} << (row % 64));
    bool const nobody = std::all_of(words.begin(), words.end(), [](std::uint64_t word) { return word == 0; });
    bool const kept   = (entry.flags.load(std::memory_order_relaxed) & entry_kept) != 0;

    transaction change = memory.core.begin_transaction();
    for (std::size_t n = 0; n < holder_words; ++n)
    {
        if (words[n] != entry.holders[n].load(std::memory_order_relaxed))
            change.write(entry.holders[n], words[n]);
    }
    if (nobody && !kept)
        change.write(entry.state, next);
    change.commit();
    ATRIUM_CRASH_POINT("directory.holder.dropped");
    return nobody && !kept;
}

result<std::byte*> object_of(memory_state const& memory, std::uint32_t index) noexcept
{
    directory_entry const& entry = memory.entry(index);
    std::uint64_t const    block = entry.block.load(std::memory_order_relaxed);
    if (!has_memory(memory, block, 0)) // the heap may say that it goes on behind what has memory
        return errc::corrupted;
    auto const tag  = memory.core.tag_of(block);
    auto const room = memory.core.payload_size(block);
    if (!tag || !tag->is_in_use() || !tag->who().same_index(owner::directory_entry(index, 0)))
        return errc::corrupted;
    if (!room || *room < entry.size.load(std::memory_order_relaxed))
        return errc::corrupted;
    return memory.in->base() + block;
}

result<owner> draw_sub_owner(memory_state const& memory, std::uint32_t index) noexcept
{
    auto& next = memory.entry(index).next_sub;
    // Relaxed: a number nobody else has, no more.
    std::uint64_t const sub = next.fetch_add(1, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("directory.sub_owner.drawn");
    if (sub >= owner::ring_sub)
    {
        next.fetch_sub(1, std::memory_order_relaxed);
        return errc::too_many_owners;
    }
    return owner::directory_entry(index, sub);
}

error_code clear_entry(memory_state& memory, std::uint32_t index, deadline until) noexcept
{
    try
    {
        auto const lock = heap_lock::take(memory, until);
        if (!lock)
            return lock.error();
        owner const going = owner::directory_entry(index, 0);
        if (auto const gone = reclaim_blocks(memory, [&](owner of) noexcept { return of.same_index(going); }); !gone)
            return gone.error();
        ATRIUM_CRASH_POINT("directory.clear.before_state");
        memory.entry(index).state.store(pack(entry_state::free), std::memory_order_release);
        ATRIUM_CRASH_POINT("directory.clear.after_state");
        return {};
    }
    catch (std::bad_alloc const&) // for the list of blocks
    {
        return errc::out_of_memory;
    }
}

void destroy_object(memory_state& memory, std::uint32_t index, void (*destroy)(std::byte*) noexcept) noexcept
{
    if (auto const object = object_of(memory, index); object && destroy != nullptr)
        destroy(*object);
    ATRIUM_CRASH_POINT("directory.destroy.after_destructor");
    if (error_code const error = clear_entry(memory, index, 1s))
        log(severity::warning, "a named object's memory waits for this process to leave: " + error.message());
    memory.header->entry_changed.ring();
}

orphans_report destroy_orphans(memory_state& memory, deadline until) noexcept
{
    orphans_report report;
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        directory_entry& entry = memory.entry(index);
        if (auto const seen = status_of(entry); !seen || seen->state != entry_state::orphaned)
            continue;
        void (*destroy)(std::byte*) noexcept = nullptr;
        {
            auto const lock = heap_lock::take(memory, until);
            if (!lock)
            {
                report.complete = false;
                return report;
            }
            auto const now = status_of(entry);
            if (!now || now->state != entry_state::orphaned)
                continue;
            if (is_pool(entry))
            {
                if (!claim_empty_pool(memory, index))
                    continue; // its elements keep it
            }
            auto const known = destroyer_of(entry);
            if (!known)
            {
                ++report.left;
                continue;
            }
            destroy = *known;
            entry.state.store(pack(entry_state::dying, memory.in->self()), std::memory_order_relaxed);
            ATRIUM_CRASH_POINT("directory.orphan.claimed");
        }
        destroy_object(memory, index, destroy);
        ++report.destroyed;
    }
    return report;
}

std::optional<void (*)(std::byte*) noexcept> destroyer_of(directory_entry const& entry) noexcept
{
    if ((entry.flags.load(std::memory_order_relaxed) & entry_trivial) != 0)
        return nullptr;
    std::uint32_t const structure = structure_of(entry);
    if (structure == 0)
        return destroyer_of(entry.hash.load(std::memory_order_relaxed));
    for (part const& p : all_parts())
    {
        if (static_cast<std::uint32_t>(p.id) == structure && p.end_structure != nullptr)
            return p.end_structure;
    }
    return std::nullopt; // of a later version of the library
}

std::uint32_t structure_of(directory_entry const& entry) noexcept
{
    return static_cast<std::uint32_t>(entry.flags.load(std::memory_order_relaxed) >> entry_structure_shift & 0xff);
}

std::optional<void (*)(std::byte*) noexcept> destroyer_of(std::uint64_t hash) noexcept
{
    known_type const* const type = find_type(hash);
    return type != nullptr ? std::optional(type->destroy) : std::nullopt;
}

void know_type(object_type const& type)
{
    if (find_type(type.print.hash) != nullptr)
        return;
    auto* const fresh = new known_type{type.print.hash, type.destroy, types.load(std::memory_order_relaxed)};
    // Release Y1. Two threads may note the same type: then one of the notes is never found.
    while (!types.compare_exchange_weak(fresh->next, fresh, std::memory_order_release, std::memory_order_relaxed))
    {}
    // Release E3, pairs with the acquire E3 in known_type_count(): who counts the type finds it.
    type_count.fetch_add(1, std::memory_order_release);
}

std::uint64_t known_type_count() noexcept
{
    return type_count.load(std::memory_order_acquire); // E3
}

} // namespace atrium::detail
