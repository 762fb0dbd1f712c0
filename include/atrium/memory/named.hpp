/// \file
/// Objects that several processes find by name.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/allocator.hpp>
#include <atrium/memory/detail/named_core.hpp>
#include <atrium/memory/named_options.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/segment/tags.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atrium {

namespace detail {

template <class... Args> inline constexpr bool begins_with_options = false;
template <class First, class... Rest>
inline constexpr bool begins_with_options<First, Rest...> = std::is_same_v<std::remove_cvref_t<First>, named_options>;

} // namespace detail

/// A handle to an object in a segment that goes by a name there. The object is constructed by whoever comes first, with
/// an allocator of its own where it takes one, and destroyed when the last handle of the last process goes, unless it
/// is kept. Handles are copied like `std::shared_ptr`s.
/// \par Thread safety  Of the handle: as `std::shared_ptr`. Of the
/// object: what `T` says; see `guarded`.
/// \par Lifetime  Keeps the segment. \par If a process dies  Its hold goes with
/// its recovery; if it was the last, the object is destroyed by the recoverer or, if that does not know `T`, by the
/// next process that uses `T`. An object cut off in its constructor or destructor is reclaimed without running code of
/// it.
template <shareable T> class named
{
public:
    /// Constructs the object from `args`.
    /// \par Errors  throws `already_exists`, and as open_or_create
    template <class... Args>
        requires(!detail::begins_with_options<Args...>)
    named(create_only_t tag, segment const& in, std::string_view name, Args&&... args)
        : named(tag, in, name, named_options{}, std::forward<Args>(args)...)
    {}
    template <class... Args>
    named(create_only_t, segment const& in, std::string_view name, named_options const& options, Args&&... args)
        : in_(in.attached())
    {
        open_or_construct(detail::named_mode::create_only, name, options, std::forward<Args>(args)...);
    }

    /// Opens the object.
    /// \par Errors  throws `not_found`, `type_mismatch`, `too_many_holders`, `under_construction`,
    /// `recovery_busy`, `name_invalid`, `corrupted`, `timed_out`, `forked`, `read_only`, `flat_segment`
    named(open_only_t, segment const& in, std::string_view name, named_options const& options = {}) : in_(in.attached())
    {
        slot_   = detail::acquire_named(*in_, detail::named_mode::open_only, name, type(), options);
        object_ = reinterpret_cast<T*>(slot_.object);
    }

    /// Opens the object, or constructs it from `args`: of many that try at once, one does.
    /// \par Errors  throws as opening does, but for `not_found`; also `directory_full`, `out_of_memory`, and what the
    /// constructor throws
    template <class... Args>
        requires(!detail::begins_with_options<Args...>)
    named(open_or_create_t tag, segment const& in, std::string_view name, Args&&... args)
        : named(tag, in, name, named_options{}, std::forward<Args>(args)...)
    {}
    template <class... Args>
    named(open_or_create_t, segment const& in, std::string_view name, named_options const& options, Args&&... args)
        : in_(in.attached())
    {
        open_or_construct(detail::named_mode::open_or_create, name, options, std::forward<Args>(args)...);
    }

    named(named const& other) noexcept
        : in_(other.in_), slot_(other.slot_), object_(other.object_), created_(other.created_)
    {
        if (object_ != nullptr)
            detail::hold_named(*in_, slot_.index);
    }
    named(named&& other) noexcept
        : in_(std::move(other.in_)),
          slot_(other.slot_),
          object_(std::exchange(other.object_, nullptr)),
          created_(other.created_)
    {}
    named& operator=(named other) noexcept
    {
        std::swap(in_, other.in_);
        std::swap(slot_, other.slot_);
        std::swap(object_, other.object_);
        std::swap(created_, other.created_);
        return *this;
    }
    ~named()
    {
        if (object_ != nullptr)
            detail::release_named(*in_, slot_.index);
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() const noexcept { return object_; }

    /// True when this handle's constructor constructed the object.
    [[nodiscard]] bool created() const noexcept { return created_; }

    /// Whether the object stays after its last handle.
    /// \par Errors  `timed_out`, `forked`, `read_only`
    [[nodiscard]] result<> set_keep(bool keep, deadline until)
    {
        return detail::set_named_keep(*in_, slot_.index, keep, until);
    }

private:
    template <class... Args>
    void open_or_construct(detail::named_mode mode, std::string_view name, named_options const& options, Args&&... args)
    {
        slot_   = detail::acquire_named(*in_, mode, name, type(), options);
        object_ = reinterpret_cast<T*>(slot_.object);
        if (!slot_.to_construct)
            return;
        try
        {
            allocator<std::byte> const own(detail::block_source(in_->base(), slot_.of));
            object_ = std::uninitialized_construct_using_allocator(object_, own, std::forward<Args>(args)...);
        }
        catch (...)
        {
            detail::abandon_named(*in_, slot_);
            throw;
        }
        detail::publish_named(*in_, slot_);
        created_ = true;
    }

    static void destroy(std::byte* object) noexcept { std::destroy_at(reinterpret_cast<T*>(object)); }

    static detail::object_type const& type()
    {
        static detail::object_type const t{fingerprint_of<T>(), std::is_trivially_destructible_v<T>, &destroy};
        return t;
    }

    std::shared_ptr<attachment> in_;
    detail::named_slot          slot_{};
    T*                          object_  = nullptr;
    bool                        created_ = false;
};

} // namespace atrium
