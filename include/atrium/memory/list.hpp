/// \file
/// A doubly linked list in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>

#include <boost/container/list.hpp>

namespace atrium {

/// Boost.Container's list on a segment's memory.
template <class T> using list = boost::container::list<T, allocator<T>>;

template <class T> inline constexpr bool is_shareable<list<T>>            = shareable<T>;
template <class T> inline constexpr bool depends_on_boost_layout<list<T>> = true;

} // namespace atrium
