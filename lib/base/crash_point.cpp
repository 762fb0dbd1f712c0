#include <atrium/base/detail/crash_point.hpp>

namespace atrium::detail {

std::atomic<void (*)(char const* name) noexcept> crash_point_hook{nullptr};

void crash_point(char const* name) noexcept
{
    // Relaxed: a hook is set before the threads that meet points are started.
    if (auto* const hook = crash_point_hook.load(std::memory_order_relaxed))
        hook(name);
}

} // namespace atrium::detail
