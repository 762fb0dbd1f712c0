/// \file
/// Which types may lie in a segment.
#pragma once

#include <atrium/base/atomic.hpp>

#include <type_traits>

namespace atrium {

/// Opts a type in that is not trivially copyable: by specialisation, or by a member
/// `static constexpr bool is_shareable = true;`. Whoever does it says: no virtual functions, no references, no raw
/// pointers, no heap containers of the process anywhere in it; only values, `offset_ptr`s within the segment and
/// atrium's own containers and pointers.
template <class T> inline constexpr bool is_shareable = requires
{
    requires T::is_shareable;
};

template <class T>
inline constexpr bool is_shareable<atomic<T>> = std::is_trivially_copyable_v<T>&& atomic<T>::is_always_lock_free;

/// Types that mean the same in every process that maps the segment: trivially copyable types at once, others when they
/// opt in by `is_shareable`.
template <class T>
concept shareable = std::is_object_v<T> && !std::is_pointer_v<std::remove_all_extents_t<T>> &&
                    !std::is_member_pointer_v<T> && !std::is_polymorphic_v<T> && !std::is_const_v<T> &&
                    !std::is_volatile_v<T> && (std::is_trivially_copyable_v<T> || is_shareable<T>);

} // namespace atrium
