/// \file
/// How a segment's name is removed; the steps are in DESIGN.md. Leaving is the attachment's own.
#pragma once

#include "segment/file_access.hpp"

#include <atrium/base/error.hpp>

#include <string>

namespace atrium::detail {

/// Removes the name, see `segment::remove`.
[[nodiscard]] error_code remove(std::string const& file_name, bool force);

/// Removes the name if nobody alive uses the segment. \param kept  also when it is to be kept.
/// \par Errors  `segment_in_use`; as `open`
[[nodiscard]] error_code remove_abandoned(std::string const& file_name, bool kept);

/// Whether somebody has begun to remove it by force: who does so marks it first, and one who dies in between leaves a
/// name that the next to open it removes.
[[nodiscard]] bool is_retired(locked_file const& opening) noexcept;

/// Removes the name, while it still is this file's.
/// \par Errors  `not_found`, `permission_denied`
[[nodiscard]] error_code remove_locked(std::string const& file_name, locked_file const& opening);

} // namespace atrium::detail
