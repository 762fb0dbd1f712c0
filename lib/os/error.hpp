/// \file
/// How failed system calls become error codes.
#pragma once

#include <atrium/base/error.hpp>

namespace atrium::os {

/// The library's code for `errno`'s value where it has one, else the system's own.
[[nodiscard]] error_code error_from(int number) noexcept;

/// The same for the current `errno`.
[[nodiscard]] error_code last_error() noexcept;

} // namespace atrium::os
