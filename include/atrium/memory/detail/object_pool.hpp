/// \file
/// The untyped half of pools of counted objects in a segment.
#pragma once

#include <atrium/base/fingerprint.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/named_core.hpp>
#include <atrium/memory/named_options.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace atrium::detail {

class object_pool;

/// The elements of a pool, as its maker wants them; an opener takes what it finds, but for type and length.
struct pool_shape
{
    object_type   element;          ///< the type of one object
    std::uint64_t capacity = 0;     ///< places
    std::uint64_t length   = 1;     ///< objects in a place, more than one in an array pool
    bool          padded   = false; ///< each place begins a cache line
};

/// Opens or makes a pool; what this process has open already is shared. The pool lives while somebody has it open, or
/// an element is there. Throws `system_error` as `acquire_named`.
[[nodiscard]] std::shared_ptr<object_pool> open_pool(std::shared_ptr<attachment> const& in, named_mode mode,
                                                     std::string_view name, pool_shape const& shape,
                                                     named_options const& options);

/// A place for an element, and a reference with one use to it. The place is constructing: the caller constructs the
/// element, then publishes or abandons it.
/// \par Errors  `exhausted`, `out_of_memory` (of cells), `timed_out`, `forked`, `corrupted`
[[nodiscard]] result<local_reference*> claim_element_slowly(object_pool& pool);

/// The same of what the calling thread has at hand; null where that is not enough.
[[nodiscard]] local_reference* claim_element_at_hand(object_pool& pool) noexcept;

/// The frequent case first.
[[nodiscard]] inline result<local_reference*> claim_element(object_pool& pool)
{
    if (local_reference* const at_hand = claim_element_at_hand(pool))
        return at_hand;
    return claim_element_slowly(pool);
}

/// The element is whole.
void publish_object(local_reference& reference) noexcept;

/// The constructor threw: what it had allocated goes, and the place is free.
void abandon_object(local_reference& reference) noexcept;

/// What a pool holds at the moment; each number is true for itself.
struct pool_counts
{
    std::uint64_t capacity    = 0; ///< places
    std::uint64_t outstanding = 0; ///< not free, pending ones included
    std::uint64_t pending     = 0; ///< whole, left to whoever knows their type
    std::uint64_t low_water   = 0; ///< never were fewer places free than this; a bound, not the exact number
    std::uint64_t length      = 1;
};

/// Counted from the words of the elements, so they cost time in proportion to the capacity. In a forked child: none.
[[nodiscard]] pool_counts counts_of(object_pool const& pool) noexcept;

/// The most elements that the pool can have.
[[nodiscard]] std::uint64_t capacity_of(object_pool const& pool) noexcept;
[[nodiscard]] std::uint64_t length_of(object_pool const& pool) noexcept;

/// The owner on whose behalf an object under construction allocates.
[[nodiscard]] owner owner_of_object(local_reference const& reference) noexcept;

/// Where this process has the segment of the object.
[[nodiscard]] std::byte* base_of(local_reference const& reference) noexcept;

} // namespace atrium::detail
