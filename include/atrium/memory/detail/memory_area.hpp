/// \file
/// The fixed area of the memory part: mutex, heap header, and the directory of named objects behind it.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/name.hpp>
#include <atrium/memory/detail/heap_layout.hpp>
#include <atrium/sync/doorbell.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

inline constexpr std::size_t holder_words    = 1024 / 64; ///< one bit for each participant row
inline constexpr std::size_t name_words      = (max_name_length + 1) / 8;
inline constexpr std::size_t type_name_words = 12;

/// What an entry is; bits 0 to 2 of its state word, above them the participant that constructs or destroys.
enum class entry_state : std::uint64_t
{
    free         = 0, ///< no object; `next_sub` is all that counts
    constructing = 1, ///< by that participant: its own until it is live
    live         = 2, ///< the holders hold it
    orphaned     = 3, ///< live, but the last holder died; the next process that knows the type destroys it
    dying        = 4, ///< by that participant: its destructor runs
};

enum entry_flag : std::uint64_t
{
    entry_kept    = 1, ///< stays without a holder
    entry_trivial = 2, ///< has no destructor to run
};

/// A named object. Written under the heap mutex only. Everything is written before `state` leaves `free`, so that
/// whoever dies before that has changed nothing.
struct alignas(64) directory_entry
{
    atomic<std::uint64_t> state{0};
    atomic<std::uint64_t> next_sub{0}; ///< the next sub-owner of its blocks; drawn without the mutex, never reset
    atomic<std::uint64_t> block{0};    ///< offset of the object
    atomic<std::uint64_t> hash{0};     ///< fingerprint
    atomic<std::uint64_t> size{0};     ///< bytes of the type
    atomic<std::uint64_t> align_and_version{0}; ///< alignment in the low half, the user's version in the high one
    atomic<std::uint64_t> flags{0};
    atomic<std::uint64_t> holder_limit{0}; ///< 0: none
    atomic<std::uint64_t> name[name_words]{};
    atomic<std::uint64_t> type_name[type_name_words]{}; ///< for messages; may be cut
    atomic<std::uint64_t> holders[holder_words]{};      ///< bit r: the participant in row r holds it
};
static_assert(sizeof(directory_entry) == 384 && offsetof(directory_entry, name) == 64);
static_assert(offsetof(directory_entry, holders) == 224);

/// The start of the area; as many entries follow as it has room for.
struct memory_header
{
    recoverable_mutex mutex;         ///< over the heap's metadata and the directory
    doorbell          entry_changed; ///< rung when an entry stops being constructed or destroyed
    heap_header       heap;
};
static_assert(sizeof(memory_header) % alignof(directory_entry) == 0);

} // namespace atrium::detail
