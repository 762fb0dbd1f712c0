/// \file
/// Counted references of a process to objects in a segment.
#pragma once

#include <atrium/memory/detail/counted.hpp>
#include <atrium/memory/detail/local_reference.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

namespace atrium {

template <class T> class segment_ptr;
template <class T> class weak_ptr;

namespace detail {
struct reference_access;
}

namespace detail {

/// A reference to `From` may be one to `To`: as plain pointers convert, but a run only to a run of the same type.
template <class From, class To>
concept refers_as = std::is_array_v<From>
== std::is_array_v<To>&& std::is_convertible_v<std::remove_extent_t<From>*, std::remove_extent_t<To>*> &&
    (!std::is_array_v<From> ||
     std::is_same_v<std::remove_cv_t<std::remove_extent_t<From>>, std::remove_cv_t<std::remove_extent_t<To>>>);

} // namespace detail

/// A reference of this process to an object in a segment, which lives while any process, or any object there, refers
/// to it. Lies in ordinary memory, and is used like `std::shared_ptr`: copies of one handle share one counted reference,
/// so that copying touches no memory of other processes.
/// \par Thread safety  As `std::shared_ptr`: different handles may be used at the same time, also to one object.
/// \par Lifetime  Keeps the object, its pool and the mapping. The destructor of the object runs in the process that
/// drops the last reference, if that knows the type that was made; else in the next process that uses it.
/// \par If a process dies  Its references go with its recovery. The object's destructor begins at most once; it does
/// not run if the process that runs it dies. In a forked child: do not use the object; dropping the handle does nothing.
template <class T> class shared_ptr
{
public:
    using element_type = std::remove_extent_t<T>;

    constexpr shared_ptr() noexcept = default;
    constexpr shared_ptr(std::nullptr_t) noexcept {}

    shared_ptr(shared_ptr const& other) noexcept : object_(other.object_), reference_(other.reference_)
    {
        if (reference_ != nullptr)
            detail::add_use(*reference_);
    }
    shared_ptr(shared_ptr&& other) noexcept
        : object_(std::exchange(other.object_, nullptr)), reference_(std::exchange(other.reference_, nullptr))
    {}

    /// Converts as plain pointers do.
    template <class U>
        requires detail::refers_as<U, T> shared_ptr(shared_ptr<U> other)
    noexcept : object_(other.get()), reference_(std::exchange(other.reference_, nullptr)) { other.object_ = nullptr; }

    /// Shares the reference of `other`, but points at a part of its object.
    template <class U>
    shared_ptr(shared_ptr<U> other, element_type* part) noexcept
        : object_(part), reference_(std::exchange(other.reference_, nullptr))
    {
        other.object_ = nullptr;
    }

    shared_ptr& operator=(shared_ptr other) noexcept
    {
        swap(other);
        return *this;
    }

    ~shared_ptr()
    {
        if (reference_ != nullptr)
            detail::drop_use(*reference_);
    }

    void reset() noexcept { shared_ptr().swap(*this); }
    void swap(shared_ptr& other) noexcept
    {
        std::swap(object_, other.object_);
        std::swap(reference_, other.reference_);
    }

    [[nodiscard]] element_type*                             get() const noexcept { return object_; }
    [[nodiscard]] std::add_lvalue_reference_t<element_type> operator*() const noexcept
        requires(!std::is_array_v<T> && !std::is_void_v<T>)
    {
        return *object_;
    }
    [[nodiscard]] element_type* operator->() const noexcept requires(!std::is_array_v<T>) { return object_; }
    [[nodiscard]] std::add_lvalue_reference_t<element_type>
    operator[](std::size_t index) const noexcept requires std::is_array_v<T>
    {
        return object_[index];
    }
    [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }

    /// How many references all processes and objects of the segment have to the object; copies of a handle count as
    /// one. May be wrong by the time it is heard. In a forked child: 0.
    [[nodiscard]] std::size_t use_count() const noexcept
    {
        return reference_ == nullptr ? 0 : static_cast<std::size_t>(detail::count_of(*reference_));
    }

    template <class U> friend bool operator==(shared_ptr const& a, shared_ptr<U> const& b) noexcept
    {
        return a.get() == b.get();
    }
    friend bool operator==(shared_ptr const& a, std::nullptr_t) noexcept { return a.get() == nullptr; }

    /// For the library: takes over one use of the reference.
    shared_ptr(element_type* object, detail::local_reference* reference) noexcept
        : object_(object), reference_(reference)
    {}

private:
    template <class U> friend class shared_ptr;
    template <class U> friend class weak_ptr;
    template <class U> friend class segment_ptr;
    friend struct detail::reference_access;

    element_type*            object_    = nullptr;
    detail::local_reference* reference_ = nullptr;
};

namespace detail {

/// What a `shared_ptr` is made of, for the parts above.
struct reference_access
{
    /// Null for an empty one.
    template <class T> [[nodiscard]] static local_reference*& reference_of(shared_ptr<T>& p) noexcept
    {
        return p.reference_;
    }
    template <class T> [[nodiscard]] static local_reference* reference_of(shared_ptr<T> const& p) noexcept
    {
        return p.reference_;
    }

    /// The reference is somebody else's by now.
    template <class T> static void forget(shared_ptr<T>& p) noexcept
    {
        p.object_    = nullptr;
        p.reference_ = nullptr;
    }

    template <class T> [[nodiscard]] static shared_ptr<T> make(std::byte* object, local_reference* reference) noexcept
    {
        return {reinterpret_cast<typename shared_ptr<T>::element_type*>(object), reference};
    }
};

} // namespace detail

/// The same object as another type, as `static_cast` has it.
template <class T, class U> [[nodiscard]] shared_ptr<T> static_pointer_cast(shared_ptr<U> from) noexcept
{
    auto* const object = static_cast<typename shared_ptr<T>::element_type*>(from.get());
    return shared_ptr<T>(std::move(from), object);
}

/// The same object, of which a constant view was had.
template <class T, class U> [[nodiscard]] shared_ptr<T> const_pointer_cast(shared_ptr<U> from) noexcept
{
    auto* const object = const_cast<typename shared_ptr<T>::element_type*>(from.get());
    return shared_ptr<T>(std::move(from), object);
}

} // namespace atrium

template <class T> struct std::hash<atrium::shared_ptr<T>>
{
    std::size_t operator()(atrium::shared_ptr<T> const& p) const noexcept
    {
        return std::hash<typename atrium::shared_ptr<T>::element_type*>()(p.get());
    }
};
