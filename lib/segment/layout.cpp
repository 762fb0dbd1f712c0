#include "segment/layout.hpp"

#include "os/mapping.hpp"
#include "os/process.hpp"
#include "segment/part.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace atrium::detail {

namespace {

constexpr std::uint64_t      default_maximum   = std::uint64_t{1} << 30;
constexpr std::uint64_t      area_alignment    = 64;
constexpr std::uint32_t      max_named_objects = 65535;     // their number and one more fit 16 bits
constexpr std::uint64_t      minimum_data      = 16u << 10; // bytes for the heap that a new segment has at least
constexpr std::chrono::hours longest_detection_time{1};

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept
{
    return (value + to - 1) / to * to;
}

// 64-bit arithmetic that cannot wrap: both are compared with the limit before they are added.
constexpr bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) noexcept
{
    return offset <= limit && size <= limit - offset;
}

bool in_range(segment_options const& o) noexcept
{
    return o.participants >= 1 && o.participants <= max_participants && o.lanes >= 1 && o.lanes <= max_lanes &&
           o.named_objects >= 1 && o.named_objects <= max_named_objects && o.detection_time.count() >= 1 &&
           o.detection_time <= longest_detection_time && (o.permissions & ~0777u) == 0;
}

std::uint32_t flags_of(segment_options const& o) noexcept
{
    return (o.flat ? std::uint32_t{flag_flat} : 0u) | (o.keep ? std::uint32_t{flag_keep} : 0u) |
           (o.huge_pages ? std::uint32_t{flag_huge_pages} : 0u) | (o.prefault ? std::uint32_t{flag_prefault} : 0u);
}

void add_area(segment_identity& identity, std::uint64_t& at, part_id part, area_kind kind, std::uint64_t size)
{
    area& a  = identity.areas[identity.area_count++];
    a.part   = static_cast<std::uint32_t>(part);
    a.kind   = kind;
    a.offset = at;
    a.size   = size;
    at += size;
}

// Hands out the fixed tables one after the other, the sparse ones last; returns the end of the last.
std::uint64_t place_tables(segment_identity& identity, segment_options const& options)
{
    std::uint64_t at             = header_size;
    identity.participants_offset = at;
    at += std::uint64_t{identity.participants} * sizeof(participant_row);
    identity.lanes_offset = at;
    at += lane_rows(identity) * sizeof(lane_row);
    if (options.flat)
        return at;
    for (part const& p : all_parts())
    {
        at = round_up(at, area_alignment);
        if (p.area_size != nullptr)
            add_area(identity, at, p.id, area_kind::whole, p.area_size(options));
    }
    for (part const& p : all_parts())
    {
        at = round_up(at, identity.page_size);
        if (p.sparse_size != nullptr)
            add_area(identity, at, p.id, area_kind::sparse, round_up(p.sparse_size(options), identity.page_size));
    }
    return at;
}

// Each table begins behind the one before, as place_tables() lays them: what is written into one changes no other.
bool follows(std::uint64_t& at, std::uint64_t offset, std::uint64_t size, std::uint64_t align,
             std::uint64_t end) noexcept
{
    if (offset < at || offset % align != 0 || !fits(offset, size, end))
        return false;
    at = offset + size;
    return true;
}

bool tables_are_sound(segment_identity const& i) noexcept
{
    std::uint64_t const end = i.data_offset;
    std::uint64_t       at  = header_size;
    bool sound = (end & (i.page_size - 1)) == 0 && i.participants >= 1 && i.participants <= max_participants &&
                 i.lanes >= 1 && i.lanes <= max_lanes && i.area_count <= max_areas &&
                 follows(at, i.participants_offset, std::uint64_t{i.participants} * sizeof(participant_row),
                         alignof(participant_row), end) &&
                 follows(at, i.lanes_offset, lane_rows(i) * sizeof(lane_row), alignof(lane_row), end);
    for (std::uint32_t n = 0; sound && n < i.area_count; ++n)
    {
        area const&         a     = i.areas[n];
        std::uint64_t const align = a.kind == area_kind::whole ? area_alignment : i.page_size;
        sound                     = a.kind <= area_kind::sparse && follows(at, a.offset, a.size, align, end);
    }
    return sound;
}

} // namespace

result<std::string> file_name(std::string_view name, std::string_view domain)
{
    std::string const effective = domain.empty() ? default_domain() : std::string(domain);
    if (auto checked = check_domain(effective); !checked)
        return checked.error();
    if (auto checked = check_name(name); !checked)
        return checked.error();
    return file_name_prefix(effective) + std::string(name);
}

std::string file_name_prefix(std::string_view domain)
{
    std::string prefix = "atrium.";
    if (!domain.empty())
        prefix.append(domain).append(1, '.');
    return prefix;
}

area_bytes sparse_bytes(segment_identity const& identity) noexcept
{
    for (std::uint32_t n = 0; n < identity.area_count; ++n)
    {
        area const& a = identity.areas[n];
        if (a.kind == area_kind::sparse) // the last, up to the data
            return {a.offset, identity.data_offset - a.offset};
    }
    return {identity.data_offset, 0};
}

std::uint64_t usable_maximum(segment_identity const& identity) noexcept
{
    return identity.maximum_size - sparse_bytes(identity).size;
}

result<segment_identity> make_identity(segment_options const& options)
{
    if (!in_range(options))
        return errc::invalid_argument;
    if (options.size > max_segment_size || options.maximum_size > max_segment_size)
        return errc::too_large;

    segment_identity    identity;
    auto const          id   = os::random_id();
    std::uint64_t const page = os::page_size();
    identity.page_size       = static_cast<std::uint32_t>(page);
    std::copy(id.begin(), id.end(), identity.creation_id);
    identity.detection_time    = static_cast<std::uint64_t>(std::chrono::nanoseconds(options.detection_time).count());
    identity.participants      = options.participants;
    identity.lanes             = options.lanes;
    identity.holders_limit     = options.holders_limit;
    identity.flags             = flags_of(options);
    identity.owner             = os::effective_user();
    identity.data_offset       = round_up(place_tables(identity, options), page);
    std::uint64_t const sparse = sparse_bytes(identity).size; // does not count: most of it never gets memory
    identity.initial_size      = round_up(
             std::max<std::uint64_t>(options.size + sparse, identity.data_offset + (options.flat ? 0 : minimum_data)), page);
    std::uint64_t const wanted =
        options.maximum_size != 0 ? options.maximum_size : std::max<std::uint64_t>(options.size, default_maximum);
    identity.maximum_size = round_up(std::max(wanted + sparse, identity.initial_size), page);
    identity.crc          = checksum(identity);
    return identity;
}

std::uint32_t checksum(segment_identity const& identity) noexcept
{
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc; // Castagnoli
    crc.process_bytes(&identity, offsetof(segment_identity, crc));
    return crc.checksum();
}

error_code check_header(segment_identity const& i, std::uint64_t committed, std::uint64_t file_size) noexcept
{
    if (i.magic == __builtin_bswap64(segment_magic))
        return errc::platform_mismatch;
    if (i.magic != segment_magic)
        return errc::not_a_segment;
    if (i.byte_order != byte_order_mark || i.word_size != sizeof(void*) || i.page_size != os::page_size())
        return errc::platform_mismatch;
    if (i.layout_version != segment_layout_version)
        return errc::version_mismatch;
    if (i.crc != checksum(i))
        return errc::corrupted;
    // A checksum says that the bytes are the creator's, not that they make sense: whoever can write can also sum.
    if (i.maximum_size > max_segment_size || (i.maximum_size & (i.page_size - 1)) != 0 ||
        i.initial_size > i.maximum_size || i.data_offset > i.initial_size || !tables_are_sound(i) ||
        (i.flags & ~all_flags) != 0 || i.detection_time == 0 ||
        i.detection_time > static_cast<std::uint64_t>(std::chrono::nanoseconds(longest_detection_time).count()))
        return errc::corrupted;
    if (committed < i.data_offset || committed > i.maximum_size)
        return errc::corrupted;
    return file_size < committed ? make_error_code(errc::too_short) : error_code();
}

result<header_copy> read_header(std::span<std::byte const> bytes, std::uint64_t file_size) noexcept
{
    // What cannot even hold a magic number was not made by us; what has ours and then ends was cut.
    segment_identity identity;
    if (bytes.size() < sizeof(identity.magic))
        return errc::too_short;
    std::memcpy(&identity.magic, bytes.data(), sizeof(identity.magic));
    if (identity.magic != segment_magic && identity.magic != __builtin_bswap64(segment_magic))
        return errc::not_a_segment;
    if (bytes.size() < sizeof(segment_header) || file_size < sizeof(segment_header))
        return errc::too_short;

    header_copy copy;
    std::memcpy(&copy.identity, bytes.data(), sizeof(copy.identity));
    std::memcpy(&copy.committed, bytes.data() + offsetof(segment_header, committed), sizeof(copy.committed));
    std::memcpy(&copy.status, bytes.data() + offsetof(segment_header, status), sizeof(copy.status));
    if (error_code const error = check_header(copy.identity, copy.committed, file_size))
        return error;
    return copy;
}

} // namespace atrium::detail
