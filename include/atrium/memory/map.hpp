/// \file
/// An ordered map in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>

#include <boost/container/map.hpp>

#include <functional>
#include <utility>

namespace atrium {

/// Boost.Container's map on a segment's memory.
template <class Key, class T, class Compare = std::less<Key>>
using map = boost::container::map<Key, T, Compare, allocator<std::pair<Key const, T>>>;

template <class Key, class T, class Compare>
inline constexpr bool is_shareable<map<Key, T, Compare>> = shareable<Key>&& shareable<T>;
template <class Key, class T, class Compare> inline constexpr bool depends_on_boost_layout<map<Key, T, Compare>> = true;

} // namespace atrium
