/// \file
/// The directory's own moves, all under the heap mutex unless they say otherwise; the steps are in DESIGN.md.
#pragma once

#include "memory/memory_state.hpp"

#include <atrium/memory/detail/named_core.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace atrium::detail {

/// An entry's state word taken apart.
struct entry_status
{
    entry_state    state = entry_state::free;
    participant_id by; ///< who constructs or destroys
};

[[nodiscard]] constexpr std::uint64_t pack(entry_state state, participant_id by = {}) noexcept
{
    return by.word() << 3 | static_cast<std::uint64_t>(state);
}

/// \par Errors  `corrupted`
[[nodiscard]] result<entry_status> status_of(directory_entry const& entry) noexcept;

[[nodiscard]] std::string name_of(directory_entry const& entry);
[[nodiscard]] std::string type_name_of(directory_entry const& entry);

/// The entry with that name, live or on its way.
/// \par Errors  `corrupted`
[[nodiscard]] result<std::optional<std::uint32_t>> find_entry(memory_state const& memory, std::string_view name);

/// Makes a free entry the calling process's, to construct in.
/// \par Errors  `directory_full`
[[nodiscard]] result<std::uint32_t> claim_entry(memory_state& memory, std::string_view name, object_type const& type,
                                                named_options const& options);

/// How many participants hold it, the dead not yet recovered included.
[[nodiscard]] std::uint32_t holders_of(directory_entry const& entry) noexcept;
[[nodiscard]] bool          is_held_by(directory_entry const& entry, std::uint32_t row) noexcept;
void                        set_holder(directory_entry& entry, std::uint32_t row) noexcept;

/// This process holds the entry, live or a pool without a holder, once more.
void hold_entry(memory_state& memory, std::uint32_t index) noexcept;

/// Makes a pool that nobody holds and that has no elements dying by this process.
/// \returns false where it is not such a one
[[nodiscard]] bool claim_empty_pool(memory_state& memory, std::uint32_t index) noexcept;

/// Takes holders out in one transaction, and gives the entry the state that it then has: unchanged, or `next` where
/// nobody holds it any more and it is not kept. \returns true when nobody holds it any more
[[nodiscard]] bool drop_holders(memory_state& memory, directory_entry& entry, std::span<std::uint32_t const> rows,
                                std::uint64_t next) noexcept;

/// Where the object lies: in a block of the entry's own.
/// \par Errors  `corrupted`
[[nodiscard]] result<std::byte*> object_of(memory_state const& memory, std::uint32_t index) noexcept;

/// Draws a sub-owner of the entry. Needs no mutex.
/// \par Errors  `too_many_owners`
[[nodiscard]] result<owner> draw_sub_owner(memory_state const& memory, std::uint32_t index) noexcept;

/// Reclaims the blocks of an entry that this process constructs or destroys, and frees the entry. Takes the mutex.
/// \par Errors  `timed_out`: the entry stays this process's until it leaves
[[nodiscard]] error_code clear_entry(memory_state& memory, std::uint32_t index, deadline until) noexcept;

/// Destroys the object of an entry that is `dying` by this process: user code runs, no lock is held.
void destroy_object(memory_state& memory, std::uint32_t index, void (*destroy)(std::byte*) noexcept) noexcept;

/// What became of orphans.
struct orphans_report
{
    std::size_t destroyed = 0;
    std::size_t left      = 0;    ///< their type is unknown here
    bool        complete  = true; ///< false where the heap could not be had by the deadline
};

/// Destroys orphans whose type this process knows. No lock is held.
[[nodiscard]] orphans_report destroy_orphans(memory_state& memory, deadline until) noexcept;

/// Gives up what this process holds without a handle, since somebody stood still with the heap when the last one went.
void drop_owed_holds(memory_state& memory) noexcept;

/// How the object of an entry is destroyed, null where there is nothing to run; nothing where that is unknown here.
[[nodiscard]] std::optional<void (*)(std::byte*) noexcept> destroyer_of(directory_entry const& entry) noexcept;

/// The part whose structure the entry is; 0: an ordinary object's, or a pool's.
[[nodiscard]] std::uint32_t structure_of(directory_entry const& entry) noexcept;

/// How a type's objects are destroyed; nothing where this process has not used the type by name.
[[nodiscard]] std::optional<void (*)(std::byte*) noexcept> destroyer_of(std::uint64_t hash) noexcept;

/// How many types this process knows: grows with every one it learns.
[[nodiscard]] std::uint64_t known_type_count() noexcept;

} // namespace atrium::detail
