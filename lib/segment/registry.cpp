#include "segment/registry.hpp"

#include "os/fork.hpp"
#include "segment/implementation.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace atrium {

namespace detail {

namespace {

struct entry
{
    os::file_status           file;
    attachment*               address   = nullptr;
    bool                      read_only = false;
    std::weak_ptr<attachment> handle;
};

struct registry
{
    std::mutex         mutex;
    std::vector<entry> entries;

    /// Changes whenever an attachment goes: what threads remember by address is then looked up anew.
    std::atomic<std::uint64_t> version{1};
};

void lock_registry();
void unlock_registry();
void clear_in_child();

// Never destroyed: segments in static storage leave after the destructors of this file would have run.
registry& instance()
{
    static registry* const r = [] {
        os::at_fork(&lock_registry, &unlock_registry, &clear_in_child);
        return new registry;
    }();
    return *r;
}

void lock_registry()
{
    instance().mutex.lock();
}

void unlock_registry()
{
    instance().mutex.unlock();
}

void clear_in_child()
{
    registry& r = instance();
    r.entries.clear(); // the parent's: the child has neither their mappings nor their descriptors
    r.version.fetch_add(1, std::memory_order_relaxed);
    r.mutex.unlock();
}

} // namespace

result<std::shared_ptr<attachment>> find_or_attach(os::file_status const& file, bool shared,
                                                   std::function<result<std::shared_ptr<attachment>>()> const& make)
{
    registry&             r = instance();
    std::lock_guard const held(r.mutex);
    for (entry const& e : r.entries)
    {
        // Not locked only to be looked at: it could be the last handle by then, and go while the registry is held.
        if (!shared || e.read_only || !e.file.same_file(file))
            continue;
        if (auto existing = e.handle.lock())
            return existing;
    }
    r.entries.reserve(r.entries.size() + 1); // what cannot be noted must not be made
    auto made = make();
    if (made)
        r.entries.push_back({file, made->get(), (*made)->is_read_only(), *made});
    return made;
}

void forget(attachment const& leaving) noexcept
{
    registry&             r = instance();
    std::lock_guard const held(r.mutex);
    std::erase_if(r.entries, [&](entry const& e) { return e.address == &leaving; });
    // Release, pairs with the acquire in containing(): a thread that sees the old number has an entry that lives.
    r.version.fetch_add(1, std::memory_order_release);
}

} // namespace detail

attachment* attachment::containing(void const* p) noexcept
{
    struct answer
    {
        std::uint64_t version = 0;
        attachment*   found   = nullptr;
    };
    thread_local answer last;

    detail::registry&   r   = detail::instance();
    std::uint64_t const now = r.version.load(std::memory_order_acquire); // pairs with the release in forget()
    if (last.found != nullptr && last.version == now && last.found->contains(p))
        return last.found;

    std::lock_guard const held(r.mutex);
    for (detail::entry const& e : r.entries)
    {
        if (e.address->contains(p))
        {
            last = {r.version.load(std::memory_order_relaxed), e.address};
            return e.address;
        }
    }
    return nullptr;
}

} // namespace atrium
