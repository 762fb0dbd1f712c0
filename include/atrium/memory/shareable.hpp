/// \file
/// Which types may lie in a segment.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/fingerprint.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

namespace atrium {

/// Opts a type in that is not trivially copyable: by specialisation, or by a member
/// `static constexpr bool is_shareable = true;`. Whoever does it says: no virtual functions, no references, no raw
/// pointers, no heap containers of the process anywhere in it; only values, `offset_ptr`s within the segment and
/// atrium's own containers and pointers.
template <class T> inline constexpr bool is_shareable = requires
{
    requires T::is_shareable;
};

namespace detail {

/// What points at memory of one process, or views it.
template <class T>
inline constexpr bool refers_to_memory_of_a_process = std::is_pointer_v<T> || std::is_member_pointer_v<T>;
template <class T> inline constexpr bool refers_to_memory_of_a_process<std::reference_wrapper<T>>                = true;
template <class T> inline constexpr bool refers_to_memory_of_a_process<std::initializer_list<T>>                 = true;
template <class T> inline constexpr bool refers_to_memory_of_a_process<std::coroutine_handle<T>>                 = true;
template <class T, std::size_t Extent> inline constexpr bool refers_to_memory_of_a_process<std::span<T, Extent>> = true;
template <class Char, class Traits>
inline constexpr bool refers_to_memory_of_a_process<std::basic_string_view<Char, Traits>> = true;

/// True for arrays, and for types of the standard library, that hold what may not lie in a segment, or not in them.
template <class T> inline constexpr bool is_refused_for_its_parts = false;

} // namespace detail

/// Types that mean the same in every process that maps the segment: trivially copyable types at once, others when they
/// opt in by `is_shareable`; arrays, `std::array`, `optional`, `pair`, `tuple` and `variant` of such. Only pairs hand an
/// allocator on, also in containers, so the others hold nothing that takes one. What is a pointer or a view is refused,
/// also in one of these; but the library sees no members of your types: a trivially copyable struct with a pointer in it
/// is accepted, and means nothing in another process.
template <class T>
concept shareable = std::is_object_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T> && !std::is_polymorphic_v<T> &&
                    !detail::refers_to_memory_of_a_process<T> && !detail::is_refused_for_its_parts<T> &&
                    (std::is_trivially_copyable_v<T> || is_shareable<T>);

template <class T> inline constexpr bool is_shareable<atomic<T>> = shareable<T>&& atomic<T>::is_always_lock_free;

namespace detail {

/// Whether a type is to be constructed with the allocator of the object that it is, or that it is a part of.
template <class T> inline constexpr bool takes_allocator = requires
{
    typename T::allocator_type;
};
template <class First, class Second>
inline constexpr bool takes_allocator<std::pair<First, Second>> =
    takes_allocator<std::remove_const_t<First>> || takes_allocator<std::remove_const_t<Second>>;

/// A part may be constant, as the key of a map's element is.
template <class T>
concept shareable_part = shareable<std::remove_const_t<T>>;

/// A part of what hands no allocator on.
template <class T>
concept shareable_without_allocator = shareable_part<T> && !takes_allocator<std::remove_const_t<T>>;

} // namespace detail

template <class T> inline constexpr bool is_shareable<std::optional<T>> = detail::shareable_without_allocator<T>;
template <class T, std::size_t Count>
inline constexpr bool is_shareable<std::array<T, Count>> = detail::shareable_without_allocator<T>;
template <class First, class Second>
inline constexpr bool               is_shareable<std::pair<First, Second>> =
    detail::shareable_part<First>&& detail::shareable_part<Second>;
template <class... Parts>
inline constexpr bool is_shareable<std::tuple<Parts...>> = (detail::shareable_without_allocator<Parts> && ...);
template <class... Parts>
inline constexpr bool is_shareable<std::variant<Parts...>> = (detail::shareable_without_allocator<Parts> && ...);

namespace detail {

template <class T> inline constexpr bool                    is_refused_for_its_parts<T[]>      = !shareable<T>;
template <class T, std::size_t Count> inline constexpr bool is_refused_for_its_parts<T[Count]> = !shareable<T>;
template <class T> inline constexpr bool is_refused_for_its_parts<atomic<T>>        = !is_shareable<atomic<T>>;
template <class T> inline constexpr bool is_refused_for_its_parts<std::optional<T>> = !is_shareable<std::optional<T>>;
template <class T, std::size_t Count>
inline constexpr bool is_refused_for_its_parts<std::array<T, Count>> = !is_shareable<std::array<T, Count>>;
template <class First, class Second>
inline constexpr bool is_refused_for_its_parts<std::pair<First, Second>> = !is_shareable<std::pair<First, Second>>;
template <class... Parts>
inline constexpr bool is_refused_for_its_parts<std::tuple<Parts...>> = !is_shareable<std::tuple<Parts...>>;
template <class... Parts>
inline constexpr bool is_refused_for_its_parts<std::variant<Parts...>> = !is_shareable<std::variant<Parts...>>;

} // namespace detail

template <class T, std::size_t Count>
inline constexpr bool                    depends_on_boost_layout<std::array<T, Count>> = depends_on_boost_layout<T>;
template <class T> inline constexpr bool depends_on_boost_layout<std::optional<T>>     = depends_on_boost_layout<T>;
template <class First, class Second>
inline constexpr bool depends_on_boost_layout<std::pair<First, Second>> =
    depends_on_boost_layout<First> || depends_on_boost_layout<Second>;
template <class... Parts>
inline constexpr bool depends_on_boost_layout<std::tuple<Parts...>> = (depends_on_boost_layout<Parts> || ...);
template <class... Parts>
inline constexpr bool depends_on_boost_layout<std::variant<Parts...>> = (depends_on_boost_layout<Parts> || ...);

} // namespace atrium
