/// \file
/// All local pools of this process, for threads that end and for forks.
#pragma once

#include <atrium/pool/detail/local_core.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace atrium::detail {

/// The pools that there are: by an index, which is used again, and by a number, which is not.
/// \par Thread safety  Safe.
/// \par Lock order  Before the pools' mutexes; of these, the newer pool's first, whose backing allocator may be a pool's.
class local_registry
{
public:
    /// Never destroyed: pools in static storage may outlive everything.
    [[nodiscard]] static local_registry& instance();

    /// Throws `std::bad_alloc`.
    void add(local_core& core);

    /// When it returns, no thread that ends and no fork is at the core, or will be.
    void remove(local_core& core) noexcept;

    /// Makes room for the pool in the table of this thread, and sees that its caches are given back when it ends.
    /// \returns false where there is no memory, or the thread has done that already
    [[nodiscard]] static bool prepare_thread(std::size_t index) noexcept;

    /// Gives the caches of this thread back.
    void end_thread() noexcept;

private:
    local_registry();

    // Around a fork all pools stand still, with empty caches: whatever thread is missing in the child was in none.
    void prepare_fork() noexcept;
    void end_fork(bool in_child) noexcept;

    std::mutex               mutex_;
    std::vector<local_core*> by_index_; // null: the index is free
    local_core*              newest_ = nullptr;
    std::uint64_t            pools_  = 0; // that there ever were
};

} // namespace atrium::detail
