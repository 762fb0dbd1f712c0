/// \file
/// What the kinds of pools have in common.
#pragma once

#include <atrium/memory/detail/object_pool.hpp>
#include <atrium/pool/pool_options.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstddef>
#include <memory>
#include <string_view>

namespace atrium::detail {

/// Opens or makes a pool with `length` objects in each place. Throws `system_error`.
[[nodiscard]] std::shared_ptr<object_pool> open_pool_of(std::shared_ptr<attachment> const& in, named_mode mode,
                                                        std::string_view name, pool_options const& options,
                                                        object_type const& element, std::size_t length);

[[nodiscard]] pool_statistics statistics_from(pool_counts const& counts) noexcept;
[[nodiscard]] pool_statistics statistics_of(object_pool const& pool) noexcept;

} // namespace atrium::detail
