/// \file
/// A string in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>

#include <boost/container/string.hpp>

#include <string>

namespace atrium {

/// Boost.Container's string on a segment's memory; short ones need no block. Made of a `std::string_view` or a literal
/// (of a `std::string` by g++ only).
using string = boost::container::basic_string<char, std::char_traits<char>, allocator<char>>;

template <> inline constexpr bool is_shareable<string>            = true;
template <> inline constexpr bool depends_on_boost_layout<string> = true;

} // namespace atrium
