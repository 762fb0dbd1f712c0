/// \file
/// What all handles, allocators and elements of a local pool share.
#pragma once

#include <atrium/pool/detail/local_cache.hpp>
#include <atrium/pool/detail/local_depot.hpp>
#include <atrium/pool/detail/local_source.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>

namespace atrium::detail {

/// The places of a local pool, untyped. It lives until the pool is closed and everything has been given back: who
/// closes, or gives back last, destroys it. No count is kept for that: closing shuts all caches for good, so that from
/// then on everything comes back under the mutex.
/// \par Thread safety  Safe.
class local_core
{
public:
    local_core(local_core const&)            = delete;
    local_core& operator=(local_core const&) = delete;

    /// A place; null where all are in use, or there is no memory for more.
    [[nodiscard]] void* take() noexcept
    {
        if (local_cache* const cache = find_cache(); cache != nullptr) [[likely]]
            if (void* const place = cache->take(); place != nullptr) [[likely]]
                return place;
        return take_slowly();
    }

    void give(void* place) noexcept
    {
        if (local_cache* const cache = find_cache(); cache != nullptr) [[likely]]
            if (cache->give(place)) [[likely]]
                return;
        give_slowly(place);
    }

    /// A block that is no place, from the backing allocator; throws what that throws.
    [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment);
    void                deallocate(void* block, std::size_t size, std::size_t alignment) noexcept;

    [[nodiscard]] local_shape const& shape() const noexcept { return shape_; }

    /// There will be no more handles.
    void close() noexcept;

    // What the pools' functions of the same names say.
    [[nodiscard]] std::size_t capacity() const noexcept;
    [[nodiscard]] std::size_t outstanding() const noexcept;
    [[nodiscard]] std::size_t available() const noexcept;
    [[nodiscard]] std::size_t low_water() const noexcept;

protected:
    /// Throws what the source throws.
    local_core(local_source& source, local_shape const& shape);
    ~local_core();

private:
    friend class local_registry;

    virtual void destroy() noexcept = 0;

    [[nodiscard]] local_cache* find_cache() const noexcept
    {
        auto const& mine = this_threads_caches;
        if (index_ < mine.size && mine.entries[index_].pool == number_) [[likely]]
            return mine.entries[index_].cache;
        return nullptr;
    }

    [[nodiscard]] void* take_slowly() noexcept;
    void                give_slowly(void* place) noexcept;

    // The rest under the mutex.
    [[nodiscard]] bool         find_more() noexcept;
    [[nodiscard]] local_cache* find_or_make_cache() noexcept;
    [[nodiscard]] local_cache* make_cache() noexcept;
    [[nodiscard]] bool         open(local_cache& cache) noexcept;
    [[nodiscard]] std::size_t  list_size(std::size_t caches) const noexcept;
    void                       empty_caches() noexcept;
    void                       retire(local_cache& cache) noexcept;
    void                       retire_others() noexcept;
    [[nodiscard]] std::size_t  count_cached() const noexcept;
    [[nodiscard]] bool         is_over() const noexcept;

    // Constant after the start, and apart from what changes.
    std::uint64_t     number_ = 0; // of all pools that there ever were
    std::size_t       index_  = 0; // among those that there are
    local_shape const shape_;

    alignas(64) mutable std::mutex mutex_;
    local_source& source_;
    local_depot   depot_;
    local_cache*  caches_      = nullptr; // of living threads
    local_cache*  unused_      = nullptr; // of ended ones, to be used again
    std::size_t   cache_count_ = 0;
    std::size_t   blocks_      = 0;     // that are no places
    bool          scarce_      = false; // all caches were emptied: none is opened before there are many free places
    bool          closed_      = false;
    local_core*   newer_       = nullptr; // in the registry, under its mutex
    local_core*   older_       = nullptr;
};

/// The backing allocator, as a source.
template <class Bytes> class local_source_of : public local_source
{
public:
    explicit local_source_of(Bytes const& bytes) : bytes_(bytes) {}

    [[nodiscard]] void* allocate(std::size_t size, std::size_t alignment) final
    {
        return allocate_aligned(bytes_, size, alignment);
    }
    void deallocate(void* block, std::size_t size, std::size_t alignment) noexcept final
    {
        deallocate_aligned(bytes_, block, size, alignment);
    }

protected:
    ~local_source_of() = default;

    Bytes bytes_;
};

/// A core that lies in memory of its backing allocator itself.
template <class Bytes> class local_core_on final : private local_source_of<Bytes>, public local_core
{
public:
    [[nodiscard]] static local_core* make(Bytes bytes, local_shape const& shape)
    {
        void* const block = allocate_aligned(bytes, sizeof(local_core_on), alignof(local_core_on));
        try
        {
            return ::new (block) local_core_on(bytes, shape);
        }
        catch (...)
        {
            deallocate_aligned(bytes, block, sizeof(local_core_on), alignof(local_core_on));
            throw;
        }
    }

private:
    local_core_on(Bytes const& bytes, local_shape const& shape)
        : local_source_of<Bytes>(bytes), local_core(static_cast<local_source&>(*this), shape)
    {}
    ~local_core_on() = default;

    void destroy() noexcept override
    {
        Bytes bytes(this->bytes_);
        this->~local_core_on();
        deallocate_aligned(bytes, this, sizeof(local_core_on), alignof(local_core_on));
    }
};

/// Closes the core of the pool that goes.
struct local_core_closer
{
    void operator()(local_core* core) const noexcept { core->close(); }
};

/// A pool's hold on its core.
using local_core_handle = std::unique_ptr<local_core, local_core_closer>;

} // namespace atrium::detail
