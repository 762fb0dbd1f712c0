#include "segment/registry.hpp"

#include "os/fork.hpp"
#include "segment/implementation.hpp"
#include "segment/part.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace atrium {

namespace detail {

namespace {

// What the program's copies of one handle share. Not the attachment itself, which may be kept for longer by what this
// process still uses of the segment.
struct program_handle
{
    explicit program_handle(std::shared_ptr<attachment> to) noexcept : of(std::move(to))
    {
        for (part const& p : all_parts())
        {
            if (p.handle_added != nullptr && of->area_of(p.id))
                p.handle_added(*of);
        }
    }
    program_handle(program_handle const&)            = delete;
    program_handle& operator=(program_handle const&) = delete;
    ~program_handle()
    {
        for (part const& p : all_parts())
        {
            if (p.handle_dropped != nullptr && of->area_of(p.id))
                p.handle_dropped(*of, of);
        }
    }

    std::shared_ptr<attachment> of;
};

struct entry
{
    os::file_status               file;
    attachment*                   address   = nullptr;
    bool                          read_only = false;
    std::weak_ptr<attachment>     kept; // by handles or by what is in use
    std::weak_ptr<program_handle> handle;
};

std::shared_ptr<attachment> share(std::shared_ptr<program_handle> const& handle) noexcept
{
    return {handle, handle->of.get()};
}

// The registry is held. Null where the attachment is going.
std::shared_ptr<attachment> handle_of(entry& e)
{
    auto handle = e.handle.lock();
    if (!handle)
    {
        auto kept = e.kept.lock();
        if (!kept)
            return nullptr;
        handle   = std::make_shared<program_handle>(std::move(kept));
        e.handle = handle;
    }
    return share(handle);
}

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
    for (entry& e : r.entries)
    {
        // Not locked only to be looked at: it could be the last handle by then, and go while the registry is held.
        if (!shared || e.read_only || !e.file.same_file(file))
            continue;
        if (auto handle = handle_of(e))
            return handle;
    }
    r.entries.reserve(r.entries.size() + 1); // what cannot be noted must not be made
    auto made = make();
    if (!made)
        return made;
    auto const handle = std::make_shared<program_handle>(*made);
    r.entries.push_back({file, made->get(), (*made)->is_read_only(), *made, handle});
    // Release, as below: a thread that sees the old number has not heard of an address within the new segment.
    r.version.fetch_add(1, std::memory_order_release);
    return share(handle);
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

std::shared_ptr<attachment> attachment::handle()
{
    detail::registry&     r = detail::instance();
    std::lock_guard const held(r.mutex);
    for (detail::entry& e : r.entries)
    {
        if (e.address == this)
            return detail::handle_of(e);
    }
    return nullptr;
}

attachment* attachment::containing(void const* p) noexcept
{
    struct answer
    {
        std::uint64_t    version = 0;
        attachment*      found   = nullptr; // touched by who asks for an address within only: others may end it
        std::byte const* begin   = nullptr;
        std::uint64_t    size    = 0;
    };
    struct outside
    {
        std::uint64_t  version = 0;
        std::uintptr_t page    = 0; // of ordinary memory, as the stack: segments begin and end with pages
    };
    thread_local answer  last;
    thread_local outside last_outside;

    detail::registry&    r    = detail::instance();
    std::uintptr_t const page = reinterpret_cast<std::uintptr_t>(p) / 4096;
    std::uint64_t const  now  = r.version.load(std::memory_order_acquire); // pairs with the release in forget()
    if (last.version == now && static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(p) -
                                                          reinterpret_cast<std::uintptr_t>(last.begin)) < last.size)
        return last.found;
    if (last_outside.version == now && last_outside.page == page)
        return nullptr;

    std::lock_guard const held(r.mutex);
    for (detail::entry const& e : r.entries)
    {
        if (e.address->contains(p))
        {
            last = {r.version.load(std::memory_order_relaxed), e.address, e.address->base(), e.address->maximum_size()};
            return e.address;
        }
    }
    last_outside = {r.version.load(std::memory_order_relaxed), page};
    return nullptr;
}

} // namespace atrium
