#include "pool/local_registry.hpp"

#include "os/fork.hpp"

#include <algorithm>
#include <cstdlib>

namespace atrium::detail {

constinit thread_local local_cache_table this_threads_caches;

namespace {

/// Made when a thread gets its first cache, destroyed when the thread ends.
struct thread_end
{
    thread_end()                             = default;
    thread_end(thread_end const&)            = delete;
    thread_end& operator=(thread_end const&) = delete;
    ~thread_end() { local_registry::instance().end_thread(); }
};

} // namespace

local_registry& local_registry::instance()
{
    static auto* const registry = new local_registry;
    return *registry;
}

local_registry::local_registry()
{
    os::at_fork([] { instance().prepare_fork(); }, [] { instance().end_fork(false); },
                [] { instance().end_fork(true); });
}

void local_registry::add(local_core& core)
{
    std::lock_guard const lock(mutex_);
    auto                  place = std::find(by_index_.begin(), by_index_.end(), nullptr);
    if (place == by_index_.end())
        place = by_index_.insert(place, nullptr);
    *place       = &core;
    core.index_  = static_cast<std::size_t>(place - by_index_.begin());
    core.number_ = ++pools_;
    core.older_  = newest_;
    if (newest_ != nullptr)
        newest_->newer_ = &core;
    newest_ = &core;
}

void local_registry::remove(local_core& core) noexcept
{
    std::lock_guard const lock(mutex_);
    by_index_[core.index_] = nullptr;
    if (core.older_ != nullptr)
        core.older_->newer_ = core.newer_;
    (core.newer_ != nullptr ? core.newer_->older_ : newest_) = core.older_;
}

bool local_registry::prepare_thread(std::size_t index) noexcept
{
    local_cache_table& table = this_threads_caches;
    if (table.ended)
        return false;
    [[maybe_unused]] static thread_local thread_end const at_end;
    if (index < table.size)
        return true;
    std::size_t const size  = std::max<std::size_t>(index + 1, 2 * table.size);
    void* const       grown = std::realloc(table.entries, size * sizeof(local_cache_entry));
    if (grown == nullptr)
        return false;
    table.entries = static_cast<local_cache_entry*>(grown);
    std::fill(table.entries + table.size, table.entries + size, local_cache_entry{});
    table.size = size;
    return true;
}

void local_registry::end_thread() noexcept
{
    local_cache_table& table = this_threads_caches;
    {
        std::lock_guard const lock(mutex_);
        for (std::size_t i = 0; i < std::min(table.size, by_index_.size()); ++i)
        {
            // Where the pool is gone, so is the cache.
            auto const& [number, cache] = table.entries[i];
            local_core* const core      = by_index_[i];
            if (core == nullptr || core->number_ != number)
                continue;
            std::lock_guard const core_lock(core->mutex_);
            core->retire(*cache);
        }
    }
    std::free(table.entries);
    table = {.ended = true};
}

void local_registry::prepare_fork() noexcept
{
    mutex_.lock();
    for (local_core* core = newest_; core != nullptr; core = core->older_)
    {
        core->mutex_.lock();
        core->empty_caches();
    }
}

void local_registry::end_fork(bool in_child) noexcept
{
    for (local_core* core = newest_; core != nullptr; core = core->older_)
    {
        if (in_child)
            core->retire_others();
        core->mutex_.unlock();
    }
    mutex_.unlock();
}

} // namespace atrium::detail
