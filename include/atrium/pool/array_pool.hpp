/// \file
/// Runs of objects of one type and length, in places that are made once.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_construction.hpp>
#include <atrium/memory/detail/object_pool.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pool/detail/pool_handle.hpp>
#include <atrium/pool/pool_options.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/segment/tags.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace atrium {

/// As `pool`, but each element is a run of `length` objects, constructed from the same arguments one after the other
/// and destroyed in reverse order: images, buffers, samples. The length belongs to the type: who opens the pool with
/// another is refused with `type_mismatch`.
/// \par Thread safety  As `pool`.
/// \par Lifetime  As `pool`.
/// \par If a process dies  As `pool`.
template <shareable T> class array_pool
{
public:
    /// \par Errors  as `pool`; throws `invalid_argument` where `length` is 0
    array_pool(create_only_t, segment const& in, std::string_view name, std::size_t length,
               pool_options const& options = {})
        : core_(open(in, detail::named_mode::create_only, name, length, options))
    {}
    array_pool(open_only_t, segment const& in, std::string_view name, std::size_t length,
               pool_options const& options = {})
        : core_(open(in, detail::named_mode::open_only, name, length, options))
    {}
    array_pool(open_or_create_t, segment const& in, std::string_view name, std::size_t length,
               pool_options const& options = {})
        : core_(open(in, detail::named_mode::open_or_create, name, length, options))
    {}

    /// Constructs a run, each object from `args`; a run of a trivial type without arguments is zeroed.
    /// \par Errors  as `pool::make`; where a constructor throws, those before it are destroyed in reverse order
    template <class... Args> [[nodiscard]] result<shared_ptr<T[]>> make(Args const&... args)
    {
        auto const claimed = detail::claim_element(*core_);
        if (!claimed)
            return claimed.error();
        detail::local_reference& run   = **claimed;
        std::size_t              whole = 0;
        try
        {
            for (; whole < length(); ++whole)
                detail::construct_counted<T>(run, run.object + whole * sizeof(T), args...);
        }
        catch (...)
        {
            while (whole-- != 0)
                std::destroy_at(reinterpret_cast<T*>(run.object) + whole);
            detail::abandon_object(run);
            throw;
        }
        detail::publish_object(run);
        return shared_ptr<T[]>(reinterpret_cast<T*>(run.object), &run);
    }

    /// Objects in a run.
    [[nodiscard]] std::size_t     length() const noexcept { return detail::length_of(*core_); }
    [[nodiscard]] std::size_t     capacity() const noexcept { return detail::capacity_of(*core_); }
    [[nodiscard]] pool_statistics statistics() const noexcept { return detail::statistics_of(*core_); }

    /// The objects of a run of this pool.
    [[nodiscard]] std::span<T> objects(shared_ptr<T[]> const& run) const noexcept { return {run.get(), length()}; }

private:
    static auto open(segment const& in, detail::named_mode mode, std::string_view name, std::size_t length,
                     pool_options const& options)
    {
        return detail::open_pool_of(in.attached(), mode, name, options, detail::counted_type<T>(), length);
    }

    std::shared_ptr<detail::object_pool> core_;
};

} // namespace atrium
