/// \file
/// How a segment comes into being, is joined, left and removed; the steps are in DESIGN.md.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/segment/segment.hpp>

#include <memory>
#include <string>

namespace atrium::detail {

/// What an opening came to.
struct opened
{
    std::shared_ptr<attachment> handle;
    bool                        created = false;
};

[[nodiscard]] result<opened> create(std::string const& file_name, segment_options const& options);
[[nodiscard]] result<opened> open(std::string const& file_name, segment_options const& options);
[[nodiscard]] result<opened> open_or_create_file(std::string const& file_name, segment_options const& options);
[[nodiscard]] result<opened> open_for_reading(std::string const& file_name, segment_options const& options);

/// Removes the name, see `segment::remove`.
[[nodiscard]] error_code remove(std::string const& file_name, bool force);

/// Removes the name if nobody alive uses the segment. \param kept  also when it is to be kept.
/// \par Errors  `segment_in_use`; as `open`
[[nodiscard]] error_code remove_abandoned(std::string const& file_name, bool kept);

/// Makes every opening of this thread a participant of its own, as another process would be. For tests.
class unshared_opening
{
public:
    unshared_opening() noexcept;
    ~unshared_opening();
    unshared_opening(unshared_opening const&)            = delete;
    unshared_opening& operator=(unshared_opening const&) = delete;

    [[nodiscard]] static bool active() noexcept;
};

} // namespace atrium::detail
