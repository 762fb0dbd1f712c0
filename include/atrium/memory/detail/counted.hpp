/// \file
/// What the smart pointers do to counts.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/segment/attachment.hpp>

#include <boost/interprocess/offset_ptr.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace atrium::detail {

/// What keeps an object's pool, or else its segment, open for a `weak_ptr`.
struct weak_origin
{
    std::shared_ptr<void> keeper; ///< a handle to the pool, or to the attachment
    control_word*         word   = nullptr;
    std::byte*            object = nullptr;
    object_id             id;
    memory_state*         memory         = nullptr;
    object_pool*          pool           = nullptr;
    std::uint64_t         generation     = 0;
    void (*destroy)(std::byte*) noexcept = nullptr;
};

/// The origin of what is referred to.
[[nodiscard]] weak_origin weak_origin_of(local_reference const& reference);

/// A reference with one use to the same object, if it still lives.
/// \par Errors  `expired`, `too_many_references`, `out_of_memory`, `timed_out`, `forked`
[[nodiscard]] result<local_reference*> lock_weak(weak_origin const& origin);

/// Whether the object still lives; may be wrong by the time it is heard.
[[nodiscard]] bool is_expired(weak_origin const& origin) noexcept;

/// How many cells refer to the object, in all processes; 0 in a forked child.
[[nodiscard]] std::uint64_t count_of(local_reference const& reference) noexcept;

/// The untyped insides of a `segment_ptr`; lies in the segment.
struct segment_reference
{
    std::uint64_t                              cell = 0; ///< offset of the segment_cell; 0: refers to nothing
    boost::interprocess::offset_ptr<std::byte> object;
};

/// Makes an empty one refer to what the reference does.
/// \par Errors  `invalid_argument` (it lies in no segment, or the object in another one), `too_many_references`,
/// `out_of_memory`, `timed_out`, `forked`, `read_only`
[[nodiscard]] error_code attach_segment(segment_reference& to, local_reference const& from, std::byte* object);

/// Makes it refer to nothing, and destroys the object if that was the last reference. Nothing in a forked child.
void drop_segment(segment_reference& from) noexcept;

/// A reference of the process with one use to the same object.
/// \par Errors  `too_many_references`, `out_of_memory`, `timed_out`, `forked`, `corrupted`
[[nodiscard]] result<local_reference*> share_segment(segment_reference const& from);

/// Whether what one holds may be moved to another: that lies in the object's segment, or in ordinary memory.
[[nodiscard]] bool may_hold_segment(segment_reference const& to, segment_reference const& from) noexcept;

/// Moves what one holds to another, which is empty, and may hold it.
void move_segment(segment_reference& to, segment_reference& from) noexcept;

} // namespace atrium::detail
