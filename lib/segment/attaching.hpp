/// \file
/// The steps that creating and joining a segment have in common.
#pragma once

#include "segment/file_access.hpp"
#include "segment/implementation.hpp"

#include <atrium/base/result.hpp>

#include <cstdint>
#include <memory>

namespace atrium::detail {

using implementation_ptr = std::unique_ptr<attachment::implementation>;

/// What an opening or creation came to.
struct opened
{
    std::shared_ptr<attachment> handle;
    bool                        created = false;
};

/// Maps the whole segment; `identity` is the checked copy of what the file's header says.
[[nodiscard]] result<implementation_ptr> map_file(std::shared_ptr<os::file> file, os::file_status const& status,
                                                  segment_identity const& identity, bool writable);

/// Whether the file still is what was mapped: it may have been cut since its header was read, and the mapped bytes are
/// touched only after this.
/// \par Errors  `corrupted`; as `check_header`
[[nodiscard]] error_code check_mapping(attachment::implementation const& in);

/// Makes the row, whose byte is locked, this process's.
void write_row(participant_row& row, std::uint64_t incarnation);

/// Lets the parts check their areas.
[[nodiscard]] error_code validate_parts(attachment const& handle);

/// Lets the parts make what they keep in this process.
/// \par Errors  what they throw
[[nodiscard]] error_code attach_parts(attachment& handle);

/// Makes all pages present, but for those of the sparse tables.
void prefault_all(attachment const& handle) noexcept;

} // namespace atrium::detail
