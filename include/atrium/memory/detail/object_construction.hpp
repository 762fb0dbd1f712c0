/// \file
/// Constructing counted objects.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/named_core.hpp>
#include <atrium/memory/detail/object_pool.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/memory/shared_ptr.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace atrium::detail {

template <class T> void destroy_object_of(std::byte* object) noexcept
{
    std::destroy_at(reinterpret_cast<T*>(object));
}

/// `T` as the library must know it to destroy it; from then on this process can.
template <class T> [[nodiscard]] object_type const& counted_type()
{
    static object_type const type = [] {
        object_type t;
        t.print   = fingerprint_of<T>();
        t.trivial = std::is_trivially_destructible_v<T>;
        t.destroy = t.trivial ? nullptr : &destroy_object_of<T>;
        know_type(t);
        return t;
    }();
    return type;
}

/// Constructs one object; what takes an allocator, a pair's part included, gets one on behalf of the counted object that
/// it belongs to.
template <class T, class... Args> T* construct_counted(local_reference const& reference, std::byte* at, Args&&... args)
{
    auto* const object = reinterpret_cast<T*>(at);
    if constexpr (std::uses_allocator_v<T, allocator<std::byte>> || takes_allocator<T>)
    {
        allocator<std::byte> const own(block_source(base_of(reference), owner_of_object(reference)));
        return std::uninitialized_construct_using_allocator(object, own, std::forward<Args>(args)...);
    }
    else if constexpr (std::is_constructible_v<T, Args...>)
        return std::construct_at(object, std::forward<Args>(args)...);
    else
        return ::new (static_cast<void*>(at)) T{std::forward<Args>(args)...}; // an aggregate, for clang before 16
}

/// Constructs the object of a place that was claimed, and gives it out; when the constructor throws, the place goes back.
template <class T, class... Args>
[[nodiscard]] shared_ptr<T> construct_claimed(local_reference& claimed, Args&&... args)
{
    T* object = nullptr;
    try
    {
        object = construct_counted<T>(claimed, claimed.object, std::forward<Args>(args)...);
    }
    catch (...)
    {
        abandon_object(claimed);
        throw;
    }
    publish_object(claimed);
    return shared_ptr<T>(object, &claimed);
}

} // namespace atrium::detail
