/// \file
/// The end of counted objects: destructors run, without recursion, and places become free.
#pragma once

#include "memory/directory.hpp"
#include "memory/memory_state.hpp"
#include "memory/object_space.hpp"

#include <cstddef>
#include <cstdint>

namespace atrium::detail {

class object_pool;

/// What a detach leaves the last object as on this thread: dying, which the caller destroys at once; or pending while
/// this thread is in a destructor already, so that a long chain does not become deep recursion.
[[nodiscard]] object_state state_after_last() noexcept;

/// Destroys an object that this thread made dying, or pending, by its detach; then those that its destructor left
/// pending. User code runs: no lock and no lane is held.
/// \param generation  of the object: what became pending may be another's by now
/// \param pool     the open pool of the object, if there is one
/// \param destroy  of one object; null: the type is looked up by its fingerprint, where it has a destructor at all
/// What has an unknown type stays, or becomes, pending for whoever knows it.
void end_object(memory_state& memory, located_object const& object, std::uint64_t generation, object_state left_as,
                object_pool* pool, void (*destroy)(std::byte*) noexcept) noexcept;

/// Frees the place of an object that this thread has constructing or dying, and the block of a heap object.
void release_place(memory_state& memory, located_object const& object, object_pool* pool) noexcept;

/// Says that an object of that table was left pending: whoever uses its type next looks for it.
void announce_pending(memory_state& memory, object_table const& table) noexcept;

/// What became of pending objects.
struct pending_report
{
    std::size_t destroyed = 0;
    std::size_t left      = 0;     ///< their type is unknown here
    bool        complete  = false; ///< false where the heap could not be had by the deadline
};

/// Destroys the pending objects whose types this process knows. User code runs: no lock and no lane is held.
pending_report destroy_pending(memory_state& memory, deadline until) noexcept;

/// Whether something became pending, or this process has learned a type, since it looked the last time.
[[nodiscard]] inline bool has_new_pending(memory_state const& memory) noexcept
{
    std::uint64_t const now = memory.header->pending_epoch.load(std::memory_order_acquire); // E2
    // What had an unknown type then may be of a known one now.
    return now != 0 && (now != memory.seen_pending_epoch.load(std::memory_order_relaxed) ||
                        known_type_count() != memory.seen_known_types.load(std::memory_order_relaxed));
}

/// The same as `destroy_pending`, where that is so. Waits for nobody.
void        destroy_new_pending(memory_state& memory) noexcept;
inline void destroy_pending_if_any(memory_state& memory) noexcept
{
    if (has_new_pending(memory))
        destroy_new_pending(memory);
}

} // namespace atrium::detail
