/// \file
/// The untyped half of `make_shared`.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/named_core.hpp>
#include <atrium/segment/attachment.hpp>

namespace atrium::detail {

/// A heap object under construction, and a reference with one use to it; then `publish_object` or `abandon_object`.
/// \par Errors  `out_of_memory`, `timed_out`, `forked`, `read_only`, `flat_segment`, `corrupted`
[[nodiscard]] result<local_reference*> claim_heap_object(attachment& in, object_type const& type);

} // namespace atrium::detail
