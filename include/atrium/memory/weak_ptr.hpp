/// \file
/// References that do not keep what they refer to.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/counted.hpp>
#include <atrium/memory/shared_ptr.hpp>

namespace atrium {

/// Refers to an object without keeping it, and can tell whether it still lives. Lies in ordinary memory.
/// \par Thread safety  As `std::weak_ptr`.
/// \par Lifetime  Keeps the object's pool, or else the mapping, but not the object.
/// \par If a process dies  Nothing is left of it: no count was changed for it.
template <class T> class weak_ptr
{
public:
    weak_ptr() = default;

    /// Refers to what `from` does. Allocates ordinary memory.
    weak_ptr(shared_ptr<T> const& from) : object_(from.object_)
    {
        if (from.reference_ != nullptr)
            origin_ = detail::weak_origin_of(*from.reference_);
    }

    /// A counted reference, if the object still lives.
    /// \par Errors  `expired`, `too_many_references`, `out_of_memory`, `timed_out`, `forked`
    [[nodiscard]] result<shared_ptr<T>> lock() const
    {
        auto const reference = detail::lock_weak(origin_);
        if (!reference)
            return reference.error();
        return shared_ptr<T>(object_, *reference);
    }

    /// Whether the object is gone. False may be wrong by the time it is heard.
    [[nodiscard]] bool expired() const noexcept { return detail::is_expired(origin_); }

    void reset() noexcept { *this = weak_ptr(); }

private:
    typename shared_ptr<T>::element_type* object_ = nullptr;
    detail::weak_origin                   origin_;
};

} // namespace atrium
