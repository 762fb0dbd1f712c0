/// \file
/// The half of a 64-bit word that the kernel compares.
#pragma once

#include <atrium/base/atomic.hpp>

#include <bit>
#include <cstdint>

namespace atrium::detail {

/// The low 32 bits, as the futex calls want them; only their address is used.
[[nodiscard]] inline std::atomic<std::uint32_t>& low_half(atomic<std::uint64_t>& word) noexcept
{
    auto* const halves = reinterpret_cast<std::atomic<std::uint32_t>*>(&word);
    return halves[std::endian::native == std::endian::little ? 0 : 1];
}

} // namespace atrium::detail
