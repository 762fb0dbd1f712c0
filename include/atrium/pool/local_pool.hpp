/// \file
/// A pool of objects of one process.
#pragma once

#include <atrium/base/error.hpp>
#include <atrium/base/result.hpp>
#include <atrium/pool/detail/local_core.hpp>
#include <atrium/pool/detail/local_placement.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace atrium {

template <class T, class Backing> class local_pool;

/// Settings of a local pool.
struct local_pool_options
{
    std::size_t capacity          = 0;     ///< Elements it holds; 0: as many as there is memory for, in growing chunks.
    bool        pad_to_cache_line = false; ///< Elements of two threads never share a cache line; places are larger.
};

/// A standard allocator on the places of a `local_pool`, for std::allocate_shared and containers of nodes. One object
/// that is no larger than a place is a place; anything else is from the pool's backing allocator, under the pool's
/// mutex. A place has the size of what std::allocate_shared makes of the pool's `T`: with libstdc++, that of the nodes
/// of the standard's lists, sets and maps whose value is a `T`, or more.
/// \par Thread safety  Safe.
/// \par Errors  `allocate` throws `std::bad_alloc`: the pool is exhausted; and what the backing allocator throws
/// \par Lifetime  Allocate only as long as there is the pool, or anything in use that came from it. What was allocated
/// keeps the pool's memory, and can be given back when the pool is gone.
template <class U> class local_pool_allocator
{
public:
    using value_type                             = U;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap            = std::true_type;

    template <class V> local_pool_allocator(local_pool_allocator<V> const& other) noexcept : core_(other.core_) {}

    [[nodiscard]] U* allocate(std::size_t count)
    {
        if (is_place(count))
        {
            if (void* const place = core_->take(); place != nullptr)
                return static_cast<U*>(place);
            throw std::bad_alloc();
        }
        if (count > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(U))
            throw std::bad_array_new_length();
        return static_cast<U*>(core_->allocate(count * sizeof(U), alignof(U)));
    }

    void deallocate(U* block, std::size_t count) noexcept
    {
        if (is_place(count))
            core_->give(block);
        else
            core_->deallocate(block, count * sizeof(U), alignof(U));
    }

    template <class V> friend bool operator==(local_pool_allocator const& a, local_pool_allocator<V> const& b) noexcept
    {
        return a.core_ == b.core_;
    }

private:
    template <class V> friend class local_pool_allocator;
    template <class T, class Backing> friend class local_pool;

    explicit local_pool_allocator(detail::local_core& core) noexcept : core_(&core) {}

    [[nodiscard]] bool is_place(std::size_t count) const noexcept
    {
        auto const& shape = core_->shape();
        return count == 1 && sizeof(U) <= shape.size && alignof(U) <= shape.alignment;
    }

    detail::local_core* core_;
};

/// Objects of one type in memory that is got once and used again, for all threads of one process. Each thread keeps a
/// few free places at hand, so that making and dropping lock nothing; a place that another thread drops goes to that
/// thread. A thread that finds none takes what the others keep: the pool is exhausted only when all its places are in
/// use.
///
/// A thread keeps 64 places at most, in a pool with a capacity about an eighth of it divided by the threads, and
/// exchanges them by the list under a mutex. Threads for which there are not 16 places each work under the mutex alone;
/// so do all where the pool has been used up, until a quarter of it is free again.
///
/// A forked child may go on with its copy of the pool; what other threads of the parent had in use stays in use there
/// for ever. Children of vfork() and of raw clone() must not touch it.
/// \par Thread safety  Safe, but for moving and destroying the pool. Not from signal handlers, nor from handlers that
/// run around a fork.
/// \par Lifetime  What is made keeps the pool's memory, also when the pool is gone. A pool that was moved from can only
/// be assigned to and destroyed.
/// \tparam Backing where the memory comes from, rebound to bytes: called under the pool's mutex only, and given
/// everything back when the pool and all that was made are gone
template <class T, class Backing = std::allocator<std::byte>> class local_pool
{
    static_assert(std::is_object_v<T> && !std::is_array_v<T>, "local_array_pool is for runs of elements");

    using bytes = typename std::allocator_traits<Backing>::template rebind_alloc<std::byte>;

public:
    /// Gets the memory for the capacity, if there is one.
    /// \par Errors  throws `too_large`, and what the backing allocator throws
    explicit local_pool(local_pool_options const& options = {}) requires std::is_default_constructible_v<Backing>
        : local_pool(options, Backing())
    {}
    local_pool(local_pool_options const& options, Backing const& backing)
        : core_(detail::local_core_on<bytes>::make(bytes(backing), shape(options)))
    {}

    /// Constructs an element from `args` in a free place, where its counts are, too: it is free again after the last
    /// `std::shared_ptr` and `std::weak_ptr`.
    /// \par Errors  `exhausted`: all places are in use; `out_of_memory`, where there is no capacity; throws what the
    /// constructor throws, and the place is free then
    /// \par Complexity  Constant, but where a pool grows, or takes what other threads keep: then a system call, and
    /// linear in the number of threads.
    template <class... Args> [[nodiscard]] result<std::shared_ptr<T>> make(Args&&... args)
    {
        void* const place = core_->take();
        if (place == nullptr) [[unlikely]]
            return core_->shape().capacity != 0 ? errc::exhausted : errc::out_of_memory;
        return std::allocate_shared<T>(detail::local_placement<T>(*core_, place), std::forward<Args>(args)...);
    }

    /// Allocates in this pool; see there how long it may be used.
    [[nodiscard]] local_pool_allocator<T> allocator() const noexcept { return local_pool_allocator<T>(*core_); }

    /// Places that there are, in use or not: what was asked for, or what the pool has grown to.
    [[nodiscard]] std::size_t capacity() const noexcept { return core_->capacity(); }

    /// Places in use. While other threads make and drop, what it was a moment ago, more or less; so the next one.
    /// \par Complexity  Linear in the number of threads that use the pool.
    [[nodiscard]] std::size_t outstanding() const noexcept { return core_->outstanding(); }

    /// Places not in use, whoever keeps them.
    [[nodiscard]] std::size_t available() const noexcept { return core_->available(); }

    /// The fewest places that nobody used or kept at hand, since the start: there were never fewer available. Too small
    /// by what threads kept: about an eighth of the capacity at most, or where there is none, 64 for each thread.
    [[nodiscard]] std::size_t low_water() const noexcept { return core_->low_water(); }

private:
    [[nodiscard]] static detail::local_shape shape(local_pool_options const& options)
    {
        auto const& block = detail::shared_block_of<T>();
        return detail::shape_of_places(block.size, block.alignment, options.capacity, options.pad_to_cache_line);
    }

    detail::local_core_handle core_;
};

} // namespace atrium
