/// \file
/// Which free list a block size belongs to.
#pragma once

#include <atrium/memory/detail/heap_layout.hpp>

#include <bit>
#include <cstdint>

namespace atrium::detail {

/// A free list: its row and column in `heap_header::first`.
///
/// Row 0 has one list for each size below 512. Row r above it has the sizes [2^(r+8), 2^(r+9)), in 32 equal parts.
struct size_class
{
    std::uint64_t row;
    std::uint64_t column;

    friend constexpr bool operator==(size_class, size_class) noexcept = default;
};

inline constexpr std::uint64_t linear_limit = 512; ///< Below it every size has a list of its own.
inline constexpr unsigned      column_bits  = 5;
static_assert(heap_header::column_count == std::uint64_t{1} << column_bits);
static_assert(linear_limit == heap_header::column_count * 16);

/// No block is larger than what the last row holds.
inline constexpr std::uint64_t size_class_limit = std::uint64_t{1} << (heap_header::row_count + 8);

/// The list in which a free block of that size is.
[[nodiscard]] constexpr size_class class_of(std::uint64_t size) noexcept
{
    if (size < linear_limit)
        return {0, size / 16};
    auto const top = static_cast<unsigned>(std::bit_width(size)) - 1;
    return {top - 8, size >> (top - column_bits) & (heap_header::column_count - 1)};
}

/// The first list all of whose blocks have at least that size; its row may be one too many.
[[nodiscard]] constexpr size_class class_above(std::uint64_t size) noexcept
{
    if (size < linear_limit)
        return {0, size / 16};
    auto const top = static_cast<unsigned>(std::bit_width(size)) - 1;
    return class_of(size + (std::uint64_t{1} << (top - column_bits)) - 1);
}

static_assert(class_of(32) == size_class{0, 2} && class_of(496) == size_class{0, 31});
static_assert(class_of(512) == size_class{1, 0} && class_of(1008) == size_class{1, 31});
static_assert(class_of(1024) == size_class{2, 0} && class_above(1040) == size_class{2, 1});
static_assert(class_of(size_class_limit - 16) == size_class{39, 31});

} // namespace atrium::detail
