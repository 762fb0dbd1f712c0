/// \file
/// Counted objects of one type, in places that are made once.
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
#include <string_view>
#include <utility>

namespace atrium {

/// A fixed number of places for objects of one type, in a segment and under a name. Making and dropping an element
/// allocates nothing, waits for nobody and makes no system call, once the thread has done both; but now and then a thread
/// destroys first what others have left to whoever knows its type, and one for which the segment has no lane left asks for
/// one again.
/// \par Thread safety  Safe.
/// \par Lifetime  The handle keeps the segment. The pool lives until nobody has it open and its last element is gone;
/// until then its name is taken, and who opens it finds it as it is.
/// \par If a process dies  An element it was constructing or destroying is reclaimed without a (further) destructor; its
/// references go with its recovery.
template <shareable T> class pool
{
public:
    /// \par Errors  throws `already_exists`, and as open_or_create
    pool(create_only_t, segment const& in, std::string_view name, pool_options const& options = {})
        : core_(open(in, detail::named_mode::create_only, name, options))
    {}

    /// \par Errors  throws `not_found`, `type_mismatch`, `under_construction`, `recovery_busy`, `name_invalid`,
    /// `corrupted`, `timed_out`, `forked`, `read_only`, `flat_segment`
    pool(open_only_t, segment const& in, std::string_view name, pool_options const& options = {})
        : core_(open(in, detail::named_mode::open_only, name, options))
    {}

    /// Of many that try at once, one makes it.
    /// \par Errors  throws as open_only, but for `not_found`; also `invalid_argument` (capacity 0), `too_large`,
    /// `directory_full`, `out_of_memory`
    pool(open_or_create_t, segment const& in, std::string_view name, pool_options const& options = {})
        : core_(open(in, detail::named_mode::open_or_create, name, options))
    {}

    /// Constructs an element from `args`, with an allocator of its own where it takes one.
    /// \par Complexity  Constant; in proportion to the capacity where there are no places but those that other threads
    /// keep for themselves, or none at all.
    /// \par Errors  `exhausted`, `forked`; where this process needs memory for more references: `out_of_memory`,
    /// `timed_out`. Throws what the constructor throws, and the place is free again.
    template <class... Args> [[nodiscard]] result<shared_ptr<T>> make(Args&&... args)
    {
        auto const claimed = detail::claim_element(*core_);
        if (!claimed)
            return claimed.error();
        return detail::construct_claimed<T>(**claimed, std::forward<Args>(args)...);
    }

    [[nodiscard]] std::size_t     capacity() const noexcept { return detail::capacity_of(*core_); }
    [[nodiscard]] pool_statistics statistics() const noexcept { return detail::statistics_of(*core_); }

private:
    static auto open(segment const& in, detail::named_mode mode, std::string_view name, pool_options const& options)
    {
        return detail::open_pool_of(in.attached(), mode, name, options, detail::counted_type<T>(), 1);
    }

    std::shared_ptr<detail::object_pool> core_;
};

} // namespace atrium
