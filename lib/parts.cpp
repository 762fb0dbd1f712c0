/// The one file that knows every part that keeps an area in segments: whoever links the library recovers all of them.
#include "memory/memory_part.hpp"
#include "pipe/pipe_part.hpp"
#include "segment/part.hpp"

#include <array>

namespace atrium::detail {

std::span<part const> all_parts() noexcept
{
    static std::array const parts = {memory_part(), pipe_part()};
    return parts;
}

} // namespace atrium::detail
