/// \file
/// What the parts above build of blocks in the segment, under a name of the directory.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/owner.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace atrium::detail {

/// A block of this process's own, which goes with it, to be written before it is given away.
/// \returns its offset
/// \par Errors  `out_of_memory`, `timed_out`, `too_large`, `corrupted`, `descriptor_lost`
[[nodiscard]] result<std::uint64_t> allocate_own(attachment& in, std::uint64_t size, std::uint64_t alignment,
                                                 deadline until);

/// Frees a block of this process's own.
void free_own(attachment& in, std::uint64_t block) noexcept;

/// A block of this process's own gets another owner, and `link` gets `value`.
/// \par If a process dies  Both have happened, or neither.
/// \par Errors  `already_exists`: the link says something else, since somebody was faster; `timed_out`, `corrupted`. Then the
/// block is still this process's
[[nodiscard]] error_code give_block(attachment& in, std::uint64_t block, owner to, atomic<std::uint64_t>& link,
                                    std::uint64_t value, deadline until);

/// The way back: `link` becomes 0, and the block is freed. References in a ring are given up.
/// \par If a process dies  The block is linked, or free.
/// \par Errors  `timed_out`, `corrupted`, `not_owned`
[[nodiscard]] error_code free_block(attachment& in, std::uint64_t block, owner of, atomic<std::uint64_t>& link,
                                    deadline until);

/// Whether the block is in use under exactly that owner.
[[nodiscard]] bool is_owned(attachment const& in, std::uint64_t block, owner of) noexcept;

/// This process holds the entry once more, if its object is the one with the sub-owner `of`, and nobody destroys it. Given
/// back by `release_named`.
/// \par Errors  `not_found`, `timed_out`, `corrupted`
[[nodiscard]] error_code hold_structure(attachment& in, owner of, std::uint64_t block, deadline until);

/// Whether the participant holds the entry, as far as the directory knows.
[[nodiscard]] bool is_holder(attachment const& in, std::uint32_t entry, participant_id who) noexcept;

/// Calls `visit` for each structure of that part in the directory that is whole; the object may go meanwhile, unless
/// somebody holds it. In a read-only mapping nothing is believed of it but where it lies, and that it has `size` bytes.
struct structure_place
{
    std::uint32_t entry  = 0;
    std::uint64_t block  = 0;
    std::uint64_t size   = 0; ///< bytes that are there
    std::byte*    object = nullptr;
};
void for_each_structure(attachment& in, part_id of, std::function<void(structure_place const&)> const& visit);

/// The structure of that part in the entry, if it is whole.
[[nodiscard]] std::optional<structure_place> structure_at(attachment& in, part_id of, std::uint32_t entry) noexcept;

/// The name and the type of an entry, for people; empty where it is free, or there is no such entry.
[[nodiscard]] std::string name_of_entry(attachment& in, std::uint32_t entry);
[[nodiscard]] std::string type_of_entry(attachment& in, std::uint32_t entry);

/// How many processes hold the entry; 0 where there is no such entry.
[[nodiscard]] std::uint32_t holders_of_entry(attachment& in, std::uint32_t entry) noexcept;

/// Whether nobody has the heap at the moment: a guess.
[[nodiscard]] bool is_heap_free(attachment const& in) noexcept;

/// What could not be ended, since the heap was not to be had or had no memory, is to be ended by whoever looks after the
/// dead next.
void owe_ending(attachment& in) noexcept;

/// The calling thread's lane, if it has one of its own, or can get one.
[[nodiscard]] std::optional<std::uint32_t> calling_lane(attachment& in) noexcept;

} // namespace atrium::detail
