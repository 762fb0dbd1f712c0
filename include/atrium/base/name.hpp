/// \file
/// Names that were checked, and the domain they are valid in.
#pragma once

#include <atrium/base/result.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace atrium {

/// The longest name of a segment or of an object in it, in bytes.
inline constexpr std::size_t max_name_length = 63;

/// The longest domain, in bytes.
inline constexpr std::size_t max_domain_length = 31;

/// Succeeds when `name` is 1 to 63 letters, digits, `_`, `-` or `.`, and does not begin with a dot.
/// \par Errors  `name_invalid`
[[nodiscard]] result<> check_name(std::string_view name) noexcept;

/// Succeeds when `domain` is 1 to 31 letters, digits, `_` or `-`.
/// \par Errors  `name_invalid`
[[nodiscard]] result<> check_domain(std::string_view domain) noexcept;

/// The domain a program works in: the environment variable `ATRIUM_DOMAIN`, or `default` where it is unset or empty.
/// Programs of different domains do not meet, also when they use the same names.
[[nodiscard]] std::string default_domain();

} // namespace atrium
