/// \file
/// What a constructor does with a name: the tags of Boost.Interprocess, under our own roof.
#pragma once

namespace atrium {

/// Makes it; an error when the name is taken.
struct create_only_t
{
    explicit constexpr create_only_t() = default;
};
inline constexpr create_only_t create_only{};

/// Opens it; an error when there is none.
struct open_only_t
{
    explicit constexpr open_only_t() = default;
};
inline constexpr open_only_t open_only{};

/// Opens it, or makes it where there is none.
struct open_or_create_t
{
    explicit constexpr open_or_create_t() = default;
};
inline constexpr open_or_create_t open_or_create{};

/// Attaches for looking: the process becomes no participant, and can change nothing.
struct open_read_only_t
{
    explicit constexpr open_read_only_t() = default;
};
inline constexpr open_read_only_t open_read_only{};

} // namespace atrium
