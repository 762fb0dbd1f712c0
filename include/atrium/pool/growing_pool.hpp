/// \file
/// A pool that makes a bigger one when it is exhausted.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_construction.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pool/detail/growing_core.hpp>
#include <atrium/pool/pool_options.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/segment/tags.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace atrium {

/// Counted objects of one type whose number is not known beforehand. When a generation of the pool is exhausted, whoever
/// notices makes the next, `factor` times as large, and all processes follow; the old one goes with its last element.
/// The name has at most 59 characters, which leaves room for the number of a generation.
/// \par Thread safety  Safe.
/// \par Lifetime  As `pool`, each generation for itself.
/// \par If a process dies  As `pool`; one that dies while it makes a generation leaves that to the next.
template <shareable T> class growing_pool
{
public:
    /// \par Errors  as `pool`; throws `invalid_argument` where capacity or generations are 0, or the factor is below 2
    growing_pool(create_only_t, segment const& in, std::string_view name, growing_pool_options const& options = {})
        : core_(in, detail::named_mode::create_only, name, options, detail::counted_type<T>())
    {}
    growing_pool(open_only_t, segment const& in, std::string_view name, growing_pool_options const& options = {})
        : core_(in, detail::named_mode::open_only, name, options, detail::counted_type<T>())
    {}
    growing_pool(open_or_create_t, segment const& in, std::string_view name, growing_pool_options const& options = {})
        : core_(in, detail::named_mode::open_or_create, name, options, detail::counted_type<T>())
    {}

    /// As `pool::make`. Where that means a new generation, memory is got, and others who make one are waited for.
    /// \par Errors  as `pool::make`; `exhausted` when the last generation is; also what opening a pool throws, as an
    /// error
    template <class... Args> [[nodiscard]] result<shared_ptr<T>> make(Args&&... args)
    {
        auto const claimed = core_.claim();
        if (!claimed)
            return claimed.error();
        return detail::construct_claimed<T>(**claimed, std::forward<Args>(args)...);
    }

    /// How often the pool has grown.
    [[nodiscard]] std::uint32_t generation() const noexcept { return core_.generation(); }

    /// Of the generation that this process uses at the moment.
    [[nodiscard]] pool_statistics statistics() const { return core_.statistics(); }

private:
    detail::growing_core core_;
};

} // namespace atrium
