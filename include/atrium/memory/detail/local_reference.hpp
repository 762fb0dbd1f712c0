/// \file
/// What the copies of one `shared_ptr` share.
#pragma once

#include <atrium/memory/detail/object_layout.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace atrium::detail {

struct memory_state;
class object_pool;

/// One counted reference of this process: a cell in the segment, and how many handles share it. Process-local, from a
/// free list, and bound to its cell for good.
struct local_reference
{
    std::atomic<std::uint64_t> uses{0};
    atomic<std::uint64_t>*     cell   = nullptr;
    control_word*              word   = nullptr;
    std::byte*                 object = nullptr;
    object_id                  id;
    memory_state*              memory    = nullptr;
    object_pool*               pool      = nullptr; ///< kept while there are references; null: a heap object
    void (*destroy)(std::byte*) noexcept = nullptr; ///< of the made type; null: asked for when it is needed
    local_reference* next                = nullptr; ///< in a free list
};

/// Gives the cell's reference back, and destroys the object if that was the last. Never fails; in a forked child, where
/// the cell is the parent's, does nothing.
void drop_reference(local_reference& reference) noexcept;

/// A handle more. Relaxed: there is one already.
inline void add_use(local_reference& reference) noexcept
{
    reference.uses.fetch_add(1, std::memory_order_relaxed);
}

/// A handle less.
inline void drop_use(local_reference& reference) noexcept
{
    // Acquire and release U1 among each other: who drops the last handle comes after all who used the object. The only
    // user there is has nobody to race with, and need not lock the line.
    if (reference.uses.load(std::memory_order_acquire) == 1 ||
        reference.uses.fetch_sub(1, std::memory_order_acq_rel) == 1)
        drop_reference(reference);
}

} // namespace atrium::detail
