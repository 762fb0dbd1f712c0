#include <atrium/pool/detail/local_core.hpp>

#include "os/barrier.hpp"
#include "os/process.hpp"
#include "pool/local_registry.hpp"

#include <algorithm>
#include <new>

namespace atrium::detail {

namespace {

// Places in a list that goes to a thread and comes back. More make the exchange cheaper by less and less.
constexpr std::size_t longest_list = 32;

// Threads may have one in so many places at hand, so that caches are seldom emptied for a pool that is nearly used up.
constexpr std::size_t cached_part = 8;

// Of a pool that was used up, so large a part must be free before threads keep places again.
constexpr std::size_t plentiful_part = 4;

constexpr std::size_t lists_in_cache = 2;

} // namespace

void local_cache::wait_until_left() const noexcept
{
    // Acquire C2, pairs with the release in `leave`; sequentially consistent for C1.
    while (inside_.load(std::memory_order_seq_cst))
        os::yield();
}

local_core::local_core(local_source& source, local_shape const& shape)
    : shape_(shape), source_(source), depot_(source, shape)
{
    local_registry::instance().add(*this);
}

// Nobody has a place or a handle; but a thread that ends or forks may be at it until it is removed.
local_core::~local_core()
{
    local_registry::instance().remove(*this);
    for (local_cache* list : {caches_, unused_})
    {
        while (list != nullptr)
        {
            local_cache* const gone = list;
            list                    = gone->next;
            gone->~local_cache();
            source_.deallocate(gone, sizeof(local_cache), alignof(local_cache));
        }
    }
}

void* local_core::take_slowly() noexcept
{
    std::lock_guard const lock(mutex_);
    if (depot_.is_empty() && !find_more())
        return nullptr;
    local_cache* const cache = find_or_make_cache();
    if (cache == nullptr || !open(*cache))
        return depot_.take();
    auto const  size  = list_size(cache_count_);
    local_list  list  = depot_.take_list(size);
    void* const place = list.pop();
    cache->refill(std::move(list), size);
    return place;
}

void local_core::give_slowly(void* place) noexcept
{
    bool over = false;
    {
        std::lock_guard const lock(mutex_);
        local_cache* const    cache = find_or_make_cache();
        if (cache != nullptr && open(*cache))
            depot_.give_list(cache->exchange_full(place, list_size(cache_count_)));
        else
            depot_.give(place);
        over = is_over();
    }
    if (over)
        destroy();
}

void* local_core::allocate(std::size_t size, std::size_t alignment)
{
    std::lock_guard const lock(mutex_);
    void* const           block = source_.allocate(size, alignment);
    ++blocks_;
    return block;
}

void local_core::deallocate(void* block, std::size_t size, std::size_t alignment) noexcept
{
    bool over = false;
    {
        std::lock_guard const lock(mutex_);
        source_.deallocate(block, size, alignment);
        --blocks_;
        over = is_over();
    }
    if (over)
        destroy();
}

void local_core::close() noexcept
{
    bool over = false;
    {
        std::lock_guard const lock(mutex_);
        closed_ = true;
        empty_caches();
        over = is_over();
    }
    if (over)
        destroy();
}

std::size_t local_core::capacity() const noexcept
{
    std::lock_guard const lock(mutex_);
    return depot_.places();
}

std::size_t local_core::available() const noexcept
{
    std::lock_guard const lock(mutex_);
    return std::min(depot_.free() + count_cached(), depot_.places());
}

std::size_t local_core::outstanding() const noexcept
{
    std::lock_guard const lock(mutex_);
    return depot_.places() - std::min(depot_.free() + count_cached(), depot_.places());
}

std::size_t local_core::low_water() const noexcept
{
    std::lock_guard const lock(mutex_);
    return depot_.fewest_free();
}

// Where the depot is empty.
bool local_core::find_more() noexcept
{
    if (shape_.capacity == 0)
    {
        try
        {
            depot_.grow();
            return true;
        }
        catch (...) // what the caches have is all there is
        {}
    }
    empty_caches();
    scarce_ = true;
    return !depot_.is_empty();
}

local_cache* local_core::find_or_make_cache() noexcept
{
    local_cache* const cache = find_cache();
    return cache != nullptr || closed_ || list_size(cache_count_ + 1) == 0 ? cache : make_cache();
}

local_cache* local_core::make_cache() noexcept
{
    if (!local_registry::prepare_thread(index_))
        return nullptr;
    if (unused_ == nullptr)
    {
        try
        {
            void* const block = source_.allocate(sizeof(local_cache), alignof(local_cache));
            unused_           = ::new (block) local_cache(os::has_process_barrier());
        }
        catch (...) // it goes without, if more slowly
        {
            return nullptr;
        }
    }
    local_cache* const cache = unused_;
    unused_                  = cache->next;
    cache->next              = caches_;
    caches_                  = cache;
    ++cache_count_;
    cache->set_owner(&this_threads_caches);
    this_threads_caches.entries[index_] = {number_, cache};
    return cache;
}

// Of this thread. Opens the cache if it is shut and may be open. False if it stays shut.
bool local_core::open(local_cache& cache) noexcept
{
    if (cache.is_open())
        return true;
    scarce_ = scarce_ && depot_.free() < depot_.places() / plentiful_part;
    if (closed_ || scarce_ || list_size(cache_count_) == 0)
        return false;
    cache.open();
    return true;
}

std::size_t local_core::list_size(std::size_t caches) const noexcept
{
    if (shape_.capacity == 0)
        return longest_list;
    return std::min(longest_list, shape_.capacity / (cached_part * lists_in_cache * caches));
}

// Afterwards all caches are shut, and all places that nobody uses are in the depot.
void local_core::empty_caches() noexcept
{
    bool others_are_open = false;
    for (local_cache* cache = caches_; cache != nullptr; cache = cache->next)
    {
        others_are_open = others_are_open || (cache->is_open() && cache->owner() != &this_threads_caches);
        cache->shut();
    }
    if (others_are_open)
        os::process_barrier();
    for (local_cache* cache = caches_; cache != nullptr; cache = cache->next)
    {
        cache->wait_until_left();
        depot_.give_list(cache->take_list(0));
        depot_.give_list(cache->take_list(1));
    }
}

// Of this thread, or of one that is no more.
void local_core::retire(local_cache& cache) noexcept
{
    cache.shut();
    depot_.give_list(cache.take_list(0));
    depot_.give_list(cache.take_list(1));
    local_cache** link = &caches_;
    while (*link != &cache)
        link = &(*link)->next;
    *link      = cache.next;
    cache.next = unused_;
    unused_    = &cache;
    --cache_count_;
}

// In a forked child, where caches are empty, and all threads but this one are gone.
void local_core::retire_others() noexcept
{
    for (local_cache* cache = caches_; cache != nullptr;)
    {
        local_cache* const next = cache->next;
        if (cache->owner() != &this_threads_caches)
            retire(*cache);
        cache = next;
    }
}

std::size_t local_core::count_cached() const noexcept
{
    std::size_t count = 0;
    for (local_cache const* cache = caches_; cache != nullptr; cache = cache->next)
        count += cache->count();
    return count;
}

bool local_core::is_over() const noexcept
{
    return closed_ && depot_.free() == depot_.places() && blocks_ == 0;
}

} // namespace atrium::detail
