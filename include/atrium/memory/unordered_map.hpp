/// \file
/// A hash map in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_map.hpp>

#include <functional>
#include <utility>

namespace atrium {

/// Boost.Unordered's map on a segment's memory. All programs that share one must hash alike: `boost::hash` does.
template <class Key, class T, class Hash = boost::hash<Key>, class Equal = std::equal_to<Key>>
using unordered_map = boost::unordered_map<Key, T, Hash, Equal, allocator<std::pair<Key const, T>>>;

template <class Key, class T, class Hash, class Equal>
inline constexpr bool is_shareable<unordered_map<Key, T, Hash, Equal>> = shareable<Key>&& shareable<T>;
template <class Key, class T, class Hash, class Equal>
inline constexpr bool depends_on_boost_layout<unordered_map<Key, T, Hash, Equal>> = true;

} // namespace atrium
