/// \file
/// Changes of several words of the segment that happen as a whole, or after a death not at all.
#pragma once

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/heap_layout.hpp>

#include <boost/assert.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace atrium::detail {

/// Keeps the compiler from moving stores across it. The processor needs no more: what a killed process has stored is
/// always a prefix of its stores in program order.
inline void compiler_barrier() noexcept
{
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// Puts back what an unfinished transaction has overwritten; does nothing where there is none.
///
/// \param base       Where this process has the segment.
/// \param accessible Bytes from `base` on that can be touched; recorded offsets are checked against it.
/// \par Errors  `errc::corrupted`: count or offsets cannot be right; nothing was changed then.
/// \par Thread safety  The caller holds the heap mutex.
/// \par If a process dies  Whoever rolls back next starts over, with the same result.
[[nodiscard]] result<> roll_back(std::byte* base, undo_log& log, std::uint64_t accessible) noexcept;

/// A change of several words under the heap mutex. Destroyed without `commit`, it puts everything back.
///
/// One transaction at a time is open on a log. The words lie in the segment whose base is given, none of them is
/// written by anyone else meanwhile, and there are at most `undo_log::capacity` writes.
/// \par Thread safety  The caller holds the heap mutex from before the first write until after `commit`.
/// \par If a process dies  The next holder of the mutex calls `roll_back` before anything else.
class transaction
{
public:
    transaction(std::byte* base, undo_log& log) noexcept : base_(base), log_(&log)
    {
        BOOST_ASSERT(log.count.load(std::memory_order_relaxed) == 0);
        compiler_barrier(); // no record may be written before what came ahead of this transaction
    }

    ~transaction()
    {
        if (count_ != 0)
            abandon(base_, *log_);
    }

    transaction(transaction const&)            = delete;
    transaction& operator=(transaction const&) = delete;

    /// Records the word's value, then stores the new one; with release where it is read without the mutex, and says that
    /// something else is whole.
    void write(atomic<std::uint64_t>& word, std::uint64_t value,
               std::memory_order order = std::memory_order_relaxed) noexcept
    {
        BOOST_ASSERT(count_ < undo_log::capacity);
        undo_entry& entry  = log_->entries[count_];
        auto const  offset = reinterpret_cast<std::byte const*>(&word) - base_;
        // Else all relaxed: the next holder sees them through the mutex; a dead one's order is kept by the barriers.
        entry.offset.store(static_cast<std::uint64_t>(offset), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.undo.offset");
        entry.old_value.store(word.load(std::memory_order_relaxed), std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.undo.old_value");
        compiler_barrier(); // the record is whole before it counts
        log_->count.store(++count_, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.undo.counted");
        compiler_barrier(); // and counts before the word changes
        word.store(value, order);
        ATRIUM_CRASH_POINT("heap.undo.written");
    }

    /// From here on the change stays.
    void commit() noexcept
    {
        // Release, pairs with the acquire of the mutex by its next holder: all words are there before the log is empty.
        log_->count.store(0, std::memory_order_release);
        compiler_barrier(); // nothing that follows may be written before the log is empty
        ATRIUM_CRASH_POINT("heap.undo.committed");
        count_ = 0;
    }

private:
    static void abandon(std::byte* base, undo_log& log) noexcept;

    std::byte*    base_;
    undo_log*     log_;
    std::uint64_t count_ = 0;
};

} // namespace atrium::detail
