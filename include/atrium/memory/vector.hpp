/// \file
/// A vector in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>

#include <boost/container/vector.hpp>

namespace atrium {

/// Boost.Container's vector on a segment's memory.
template <class T> using vector = boost::container::vector<T, allocator<T>>;

template <class T> inline constexpr bool is_shareable<vector<T>>            = shareable<T>;
template <class T> inline constexpr bool depends_on_boost_layout<vector<T>> = true;

} // namespace atrium
