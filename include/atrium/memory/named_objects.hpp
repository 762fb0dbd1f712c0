/// \file
/// What lies in a segment by name, for people and tools.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace atrium {

/// What becomes of a named object at the moment.
enum class named_object_state
{
    constructing = 1,
    live,
    pending, ///< its last holder died; the next process that knows its type destroys it
    closing, ///< a pool that nobody has open: it goes with its last element
    dying,
};

/// What a named object is to the library.
enum class named_object_kind
{
    object = 1,
    pool, ///< of counted objects: `pools` tells more; `size` is that of an element
};

/// One named object. Looked at without a lock: each field is true for itself.
struct named_object_info
{
    std::string        name;
    std::string        type;              ///< readable, may be cut
    std::uint64_t      size          = 0; ///< bytes of the type
    std::uint32_t      alignment     = 0;
    std::uint32_t      version       = 0; ///< the user's version of the type
    named_object_kind  kind          = named_object_kind::object;
    named_object_state state         = named_object_state::live;
    std::uint32_t      holders       = 0; ///< processes, the dead not yet recovered included
    std::uint64_t      holders_limit = 0;
    bool               kept          = false;
};

/// All named objects of a segment, which may be attached for reading only. What the parts above build is not among them:
/// `routers` tells of that.
/// \par Errors  `flat_segment`, `corrupted`, `forked`
[[nodiscard]] result<std::vector<named_object_info>> named_objects(segment const& in);

/// A word for a state, and for a kind.
[[nodiscard]] std::string_view to_string(named_object_state state) noexcept;
[[nodiscard]] std::string_view to_string(named_object_kind kind) noexcept;

} // namespace atrium
