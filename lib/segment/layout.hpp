/// \file
/// Making and checking the immutable part of a header. Pure functions over bytes: what the fuzzer feeds.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/segment/attachment.hpp>
#include <atrium/segment/detail/layout.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdint>
#include <string>

namespace atrium::detail {

/// The name of a segment's file: `atrium.<domain>.<name>`.
/// \par Errors  `name_invalid`
[[nodiscard]] result<std::string> file_name(std::string_view name, std::string_view domain);

/// What all such names of a domain begin with; of all domains where it is empty.
[[nodiscard]] std::string file_name_prefix(std::string_view domain);

/// How many lanes have rows: one for each participant, then those that threads claim.
[[nodiscard]] constexpr std::uint64_t lane_rows(segment_identity const& identity) noexcept
{
    return std::uint64_t{identity.participants} + identity.lanes;
}

/// The bytes in front of the data that get their memory piece by piece.
[[nodiscard]] area_bytes sparse_bytes(segment_identity const& identity) noexcept;

/// The size that the segment may grow to, as its creator and users mean it: without the sparse bytes.
[[nodiscard]] std::uint64_t usable_maximum(segment_identity const& identity) noexcept;

/// Lays a new segment out.
/// \par Errors  `invalid_argument`, `too_large`
[[nodiscard]] result<segment_identity> make_identity(segment_options const& options);

/// Checks a copy of a header against the size of the file that it was read from. Every offset and size in it may be
/// used after this.
/// \par Errors  `too_short`, `not_a_segment`, `platform_mismatch`, `version_mismatch`, `corrupted`
[[nodiscard]] error_code check_header(segment_identity const& identity, std::uint64_t committed,
                                      std::uint64_t file_size) noexcept;

/// CRC-32C of everything before the checksum.
[[nodiscard]] std::uint32_t checksum(segment_identity const& identity) noexcept;

/// What a header is read into before it is believed.
struct header_copy
{
    segment_identity identity;
    std::uint64_t    committed = 0;
    std::uint32_t    status    = 0;
};

/// Reads a header out of the first bytes of a file, of which there may be too few.
/// \par Errors  as `check_header`
[[nodiscard]] result<header_copy> read_header(std::span<std::byte const> bytes, std::uint64_t file_size) noexcept;

} // namespace atrium::detail
