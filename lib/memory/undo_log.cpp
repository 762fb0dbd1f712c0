#include "memory/undo_log.hpp"

namespace atrium::detail {

namespace {

bool can_be_undone(undo_log const& log, std::uint64_t count, std::uint64_t accessible) noexcept
{
    if (count > undo_log::capacity)
        return false;
    for (std::uint64_t i = 0; i != count; ++i)
    {
        auto const offset = log.entries[i].offset.load(std::memory_order_relaxed);
        if (offset % sizeof(std::uint64_t) != 0 || offset >= accessible || accessible - offset < sizeof(std::uint64_t))
            return false;
    }
    return true;
}

} // namespace

result<> roll_back(std::byte* base, undo_log& log, std::uint64_t accessible) noexcept
{
    auto const count = log.count.load(std::memory_order_relaxed);
    if (count == 0)
        return {};
    if (!can_be_undone(log, count, accessible))
        return errc::corrupted;
    // Backwards: a word that was written twice has its oldest value in its first record. Until the count is 0 another
    // roll-back does the same again, and the records do not change meanwhile.
    for (auto i = count; i-- != 0;)
    {
        auto const offset    = log.entries[i].offset.load(std::memory_order_relaxed);
        auto const old_value = log.entries[i].old_value.load(std::memory_order_relaxed);
        reinterpret_cast<atomic<std::uint64_t>*>(base + offset)->store(old_value, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("heap.undo.restored");
    }
    // Release, pairs with the acquire of the mutex by its next holder: the words are back before the log is empty.
    log.count.store(0, std::memory_order_release);
    compiler_barrier();
    ATRIUM_CRASH_POINT("heap.undo.emptied");
    return {};
}

void transaction::abandon(std::byte* base, undo_log& log) noexcept
{
    // This transaction has made the records itself, so all offsets are good.
    auto const done = roll_back(base, log, ~std::uint64_t{0});
    BOOST_ASSERT(done.has_value());
    static_cast<void>(done);
}

} // namespace atrium::detail
