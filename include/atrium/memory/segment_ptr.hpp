/// \file
/// Counted references that lie in the segment themselves.
#pragma once

#include <atrium/base/error.hpp>
#include <atrium/base/fingerprint.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/counted.hpp>
#include <atrium/memory/detail/object_construction.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/memory/shared_ptr.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace atrium {

/// A reference from one object of a segment to another: a member of shared objects, or an element of their containers.
/// What it refers to lives as long as it does. Objects that refer to each other in a circle stay until the segment
/// goes. One in ordinary memory is meant for a moment only, as when elements of a container are exchanged.
/// \par Thread safety  None: whoever changes it excludes others, as with any member.
/// \par Errors  what gives it a reference throws `system_error`: `too_many_references`, `out_of_memory`, `timed_out`
/// (of the heap), `forked`, `invalid_argument` where the object lies in another segment, or in none. Moving from one
/// segment to another is a caller's bug.
/// \par If a process dies  While it assigns: the pointer refers to the old object, the new one or nothing, and the counts
/// are exact. With the object that it is a member of, reclaimed without a destructor: the reference goes as well.
template <class T> class segment_ptr
{
public:
    using element_type = std::remove_extent_t<T>;

    segment_ptr() = default;
    segment_ptr(std::nullptr_t) noexcept {}

    segment_ptr(shared_ptr<T> const& from) { attach(from); }
    segment_ptr(segment_ptr const& other) { attach(other.share_or_throw()); }
    segment_ptr(segment_ptr&& other) noexcept { detail::move_segment(reference_, other.reference_); }

    segment_ptr& operator=(segment_ptr const& other)
    {
        if (this != &other)
            *this = other.share_or_throw();
        return *this;
    }
    segment_ptr& operator=(segment_ptr&& other) noexcept
    {
        if (this == &other)
            return *this;
        // The old object last: it may be what `other` is a member of.
        segment_ptr old(std::move(*this));
        detail::move_segment(reference_, other.reference_);
        return *this;
    }
    segment_ptr& operator=(shared_ptr<T> const& from)
    {
        segment_ptr fresh(from); // first: where this throws, the old one stays
        if (!detail::may_hold_segment(reference_, fresh.reference_))
            throw_error(errc::invalid_argument, "segment_ptr");
        *this = std::move(fresh);
        return *this;
    }
    segment_ptr& operator=(std::nullptr_t) noexcept
    {
        segment_ptr const old(std::move(*this));
        return *this;
    }

    ~segment_ptr() { detail::drop_segment(reference_); }

    [[nodiscard]] element_type* get() const noexcept
    {
        return reinterpret_cast<element_type*>(reference_.object.get());
    }
    [[nodiscard]] std::add_lvalue_reference_t<element_type> operator*() const noexcept
        requires(!std::is_array_v<T> && !std::is_void_v<T>)
    {
        return *get();
    }
    [[nodiscard]] element_type* operator->() const noexcept requires(!std::is_array_v<T>) { return get(); }
    [[nodiscard]] std::add_lvalue_reference_t<element_type>
    operator[](std::size_t index) const noexcept requires std::is_array_v<T>
    {
        return get()[index];
    }
    [[nodiscard]] explicit operator bool() const noexcept { return get() != nullptr; }

    /// A reference of this process to the same object. Where that is an element of a pool that this process does not have
    /// open, and refers to no other element of, the pool is opened: with system calls, and the heap's mutex, for which it
    /// waits up to ten seconds.
    /// \par Errors  `expired` (refers to nothing), `too_many_references`, `out_of_memory`, `timed_out`, `forked`,
    /// `corrupted`
    [[nodiscard]] result<shared_ptr<T>> share() const
    {
        // Who drops the object last is to know how.
        static_cast<void>(detail::counted_type<std::remove_cv_t<element_type>>());
        auto const reference = detail::share_segment(reference_);
        if (!reference)
            return reference.error();
        return shared_ptr<T>(get(), *reference);
    }

    friend bool operator==(segment_ptr const& a, segment_ptr const& b) noexcept { return a.get() == b.get(); }
    friend bool operator==(segment_ptr const& a, std::nullptr_t) noexcept { return a.get() == nullptr; }

private:
    void attach(shared_ptr<T> const& from)
    {
        if (from == nullptr)
            return;
        if (from.reference_ == nullptr)
            throw_error(errc::invalid_argument, "segment_ptr"); // points at something, and keeps nothing
        auto* const object = reinterpret_cast<std::byte*>(const_cast<std::remove_cv_t<element_type>*>(from.get()));
        if (error_code const error = detail::attach_segment(reference_, *from.reference_, object))
            throw_error(error, "segment_ptr");
    }

    [[nodiscard]] shared_ptr<T> share_or_throw() const
    {
        if (*this == nullptr)
            return nullptr;
        auto shared = share();
        if (!shared)
            throw_error(shared.error(), "segment_ptr");
        return std::move(*shared);
    }

    detail::segment_reference reference_;
};

template <class T> inline constexpr bool is_shareable<segment_ptr<T>>            = true;
template <class T> inline constexpr bool depends_on_boost_layout<segment_ptr<T>> = true; // offset_ptr

} // namespace atrium
