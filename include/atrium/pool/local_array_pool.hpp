/// \file
/// A pool of runs of elements of one process.
#pragma once

#include <atrium/base/error.hpp>
#include <atrium/base/result.hpp>
#include <atrium/pool/detail/local_core.hpp>
#include <atrium/pool/detail/local_placement.hpp>
#include <atrium/pool/detail/local_run.hpp>

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace atrium {

/// Settings of a local array pool.
struct local_array_pool_options
{
    std::size_t length            = 0;     ///< Elements of each run; 1 at least.
    std::size_t capacity          = 0;     ///< Runs it holds; 0: as many as there is memory for, in growing chunks.
    bool        pad_to_cache_line = false; ///< Runs of two threads never share a cache line; places are larger.
};

/// As `local_pool`, also in a forked child, with runs of elements of a fixed length in the place of single ones.
/// \par Thread safety  Safe, but for moving and destroying the pool. Not from signal handlers, nor from handlers that
/// run around a fork.
/// \par Lifetime  What is made keeps the pool's memory, also when the pool is gone.
/// \tparam Backing where the memory comes from, as for `local_pool`
template <class T, class Backing = std::allocator<std::byte>> class local_array_pool
{
    static_assert(std::is_object_v<T> && !std::is_array_v<T>);

    using bytes = typename std::allocator_traits<Backing>::template rebind_alloc<std::byte>;
    using run   = detail::local_run<T>;

public:
    /// Gets the memory for the capacity, if there is one.
    /// \par Errors  throws `invalid_argument`: the length is 0; `too_large`, and what the backing allocator throws
    explicit local_array_pool(local_array_pool_options const& options) requires std::is_default_constructible_v<Backing>
        : local_array_pool(options, Backing())
    {}
    local_array_pool(local_array_pool_options const& options, Backing const& backing)
        : length_(options.length), core_(detail::local_core_on<bytes>::make(bytes(backing), shape(options)))
    {}

    /// Constructs every element of a run from the same `args`, in order; they are destroyed in reverse order. If a
    /// constructor throws, those made before are destroyed, in reverse order, and the place is free again.
    /// \par Errors  `exhausted`: all places are in use; `out_of_memory`, where there is no capacity; throws what the
    /// constructor throws
    /// \par Complexity  As `local_pool::make`, for as many elements.
    template <class... Args> [[nodiscard]] result<std::shared_ptr<T[]>> make(Args&&... args)
    {
        void* const place = core_->take();
        if (place == nullptr) [[unlikely]]
            return core_->shape().capacity != 0 ? errc::exhausted : errc::out_of_memory;
        auto* const elements = static_cast<std::byte*>(place) + run::offset();
        auto        made     = std::allocate_shared<run>(detail::local_placement<run>(*core_, place), elements, length_,
                                              args...); // as lvalues: used again and again
        T* const    first    = made->begin();
        return std::shared_ptr<T[]>(std::move(made), first);
    }

    /// Elements of each run.
    [[nodiscard]] std::size_t length() const noexcept { return length_; }

    /// Places that there are, in use or not, one for each run: what was asked for, or what the pool has grown to.
    [[nodiscard]] std::size_t capacity() const noexcept { return core_->capacity(); }

    /// Places in use. While other threads make and drop, what it was a moment ago, more or less; so the next one.
    /// \par Complexity  Linear in the number of threads that use the pool.
    [[nodiscard]] std::size_t outstanding() const noexcept { return core_->outstanding(); }

    /// Places not in use, whoever keeps them.
    [[nodiscard]] std::size_t available() const noexcept { return core_->available(); }

    /// The fewest places that nobody used or kept at hand, since the start, as `local_pool::low_water`.
    [[nodiscard]] std::size_t low_water() const noexcept { return core_->low_water(); }

private:
    [[nodiscard]] static detail::local_shape shape(local_array_pool_options const& options)
    {
        auto const block = run::block(options.length);
        return detail::shape_of_places(block.size, block.alignment, options.capacity, options.pad_to_cache_line);
    }

    std::size_t               length_;
    detail::local_core_handle core_;
};

} // namespace atrium
