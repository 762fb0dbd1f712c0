/// \file
/// The bytes of a segment that do not depend on what is kept in it.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/name.hpp>
#include <atrium/segment/lane.hpp>
#include <atrium/segment/participant.hpp>

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

inline constexpr std::uint64_t segment_magic          = 0x314d'5549'5254'4100; // "\0ATRIUM1" as a little-endian word
inline constexpr std::uint32_t segment_layout_version = 1;
inline constexpr std::uint32_t byte_order_mark        = 0x01020304;

inline constexpr std::size_t   header_size      = 4096;
inline constexpr std::uint32_t max_participants = 1024;
inline constexpr std::uint32_t max_lanes        = 8192;
inline constexpr std::size_t   max_areas        = 8;
inline constexpr std::uint64_t max_segment_size = std::uint64_t{1} << 46; // what a 47-bit address space can map

/// Byte locks lie far beyond any file's end.
inline constexpr std::uint64_t life_cycle_byte        = std::uint64_t{1} << 62;
inline constexpr std::uint64_t recovery_byte          = life_cycle_byte + 1;
inline constexpr std::uint64_t first_participant_byte = life_cycle_byte + 16;

enum segment_flag : std::uint32_t
{
    flag_flat       = 1,
    flag_keep       = 2,
    flag_huge_pages = 4,
    flag_prefault   = 8,
};
inline constexpr std::uint32_t all_flags = 15;

enum status_bit : std::uint32_t
{
    status_close_requested = 1,
    status_retired         = 2,
};

enum class area_kind : std::uint32_t
{
    whole  = 0, ///< has memory from the beginning
    sparse = 1, ///< gets memory piece by piece, by those who need it; whole pages
};

/// A fixed piece of the segment that belongs to one part.
struct area
{
    std::uint32_t part   = 0; ///< which part's; 0: unused
    area_kind     kind   = area_kind::whole;
    std::uint64_t offset = 0; ///< bytes from the start of the segment
    std::uint64_t size   = 0; ///< bytes
};
static_assert(sizeof(area) == 24);

/// Never changed after the segment got its name; `crc` covers all bytes before it.
struct segment_identity
{
    std::uint64_t magic               = segment_magic;
    std::uint32_t layout_version      = segment_layout_version;
    std::uint32_t byte_order          = byte_order_mark;
    std::uint32_t word_size           = sizeof(void*);
    std::uint32_t page_size           = 0;
    std::uint64_t creation_id[2]      = {};
    std::uint64_t maximum_size        = 0; ///< bytes, whole pages
    std::uint64_t initial_size        = 0; ///< bytes committed at creation, whole pages
    std::uint64_t detection_time      = 0; ///< nanoseconds
    std::uint32_t participants        = 0; ///< rows
    std::uint32_t lanes               = 0; ///< rows behind the participants' shared ones
    std::uint32_t holders_limit       = 0; ///< living participants at a time; 0: no limit but the rows
    std::uint32_t flags               = 0; ///< segment_flag
    std::uint32_t owner               = 0; ///< user id of the creator
    std::uint32_t area_count          = 0;
    std::uint64_t participants_offset = 0;
    std::uint64_t lanes_offset        = 0;
    std::uint64_t data_offset         = 0; ///< first byte behind the fixed areas
    area          areas[max_areas]    = {};
    std::uint32_t reserved            = 0;
    std::uint32_t crc                 = 0; ///< CRC-32C of all the bytes before it
};
static_assert(offsetof(segment_identity, crc) == 308 && sizeof(segment_identity) == 312);

/// The first page of a segment.
struct segment_header
{
    segment_identity identity;

    /// Bytes that have memory, from the start; only grows. Written by whoever grows (heap: under its mutex).
    alignas(64) atomic<std::uint64_t> committed{0};

    /// status_bit; set by anybody, `close_requested` cleared by the first to open after all have left.
    alignas(64) atomic<std::uint32_t> status{0};

    /// Counts leavers and recoveries: whoever waits for others to go sleeps on it.
    atomic<std::uint32_t> departures{0};

    /// The next participant's incarnation; written under the life-cycle lock.
    atomic<std::uint64_t> next_incarnation{1};

    /// How many recoveries found somebody dead; written under the recovery lock.
    atomic<std::uint64_t> recoveries{0};
};
static_assert(offsetof(segment_header, committed) == 320 && offsetof(segment_header, status) == 384);
static_assert(sizeof(segment_header) <= header_size);
static_assert(atomic<std::uint64_t>::is_always_lock_free && atomic<std::uint32_t>::is_always_lock_free);

enum class row_state : std::uint64_t
{
    free     = 0,
    attached = 1,
};

/// One participant. Written by its process only, under its own byte lock; by a recoverer once it holds that lock.
/// `former` also by a joiner, under the life-cycle lock, and by any recoverer.
struct participant_row
{
    /// incarnation * 2 + row_state. Decides; the rest is for people.
    alignas(128) atomic<std::uint64_t> state{0};
    atomic<std::uint64_t> pid{0};
    atomic<std::uint64_t> namespace_device{0};
    atomic<std::uint64_t> namespace_inode{0};
    atomic<std::uint64_t> attached_at{0};
    atomic<std::uint64_t> program[2] = {};

    /// participant_id::word() of a user of this row that is known to be dead and is being taken over, with
    /// former_recovered once somebody has recovered for it; 0 otherwise. Means something only while `state` says
    /// attached.
    atomic<std::uint64_t> former{0};
};
inline constexpr std::uint64_t former_recovered = std::uint64_t{1} << 63;
static_assert(participant_id::word_bits < 63);

/// Whether that user is the row's former one.
[[nodiscard]] constexpr bool is_former(std::uint64_t former, participant_id id) noexcept
{
    return (former & ~former_recovered) == id.word();
}
static_assert(sizeof(participant_row) == 128 && offsetof(participant_row, former) == 56);

} // namespace atrium::detail
