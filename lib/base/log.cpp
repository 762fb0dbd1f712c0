#include <atrium/base/log.hpp>

#include <atomic>

namespace atrium {

namespace {

std::atomic<log_hook> current_hook{nullptr};

} // namespace

log_hook set_log_hook(log_hook hook) noexcept
{
    // Release, pairs with the acquire in log(): what the hook needs is there before the hook is called.
    return current_hook.exchange(hook, std::memory_order_acq_rel);
}

void log(severity level, std::string_view message) noexcept
{
    // Acquire, pairs with the exchange in set_log_hook().
    if (auto const hook = current_hook.load(std::memory_order_acquire))
        hook(level, message);
}

} // namespace atrium
