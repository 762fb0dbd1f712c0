/// \file
/// A barrier between threads of this process whose price the rarer side pays.
#pragma once

#include <atomic>

namespace atrium::os {

/// False where the kernel cannot do it: then both sides pay.
[[nodiscard]] bool has_process_barrier() noexcept;

/// Keeps what this thread stored before and loads afterwards in that order.
inline void full_barrier() noexcept
{
#if defined(__SANITIZE_THREAD__)
    // The thread sanitizer knows no fences.
    static thread_local std::atomic<int> full{0};
    full.exchange(1, std::memory_order_seq_cst);
#else
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

/// The rarer side: when it returns, every other thread of this process has passed a full barrier since it was called.
void process_barrier() noexcept;

/// The frequent side: what this thread stored before is seen by whoever calls `process_barrier` and then looks, or this
/// thread sees, in what it loads afterwards, what the other one stored before it called.
inline void light_barrier() noexcept
{
    static bool const for_free = has_process_barrier();
    if (for_free)
        return std::atomic_signal_fence(std::memory_order_seq_cst);
    full_barrier();
}

} // namespace atrium::os
