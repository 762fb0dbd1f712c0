/// \file
/// Objects with their counts in places of a local pool.
#pragma once

#include <atrium/pool/detail/local_core.hpp>

#include <boost/assert.hpp>

#include <cstddef>
#include <memory>

namespace atrium::detail {

/// For std::allocate_shared: what it allocates is a place that is taken already, and given back to the pool.
template <class T> class local_placement
{
public:
    using value_type = T;

    local_placement(local_core& core, void* place) noexcept : core_(&core), place_(place) {}
    template <class U>
    local_placement(local_placement<U> const& other) noexcept : core_(other.core_), place_(other.place_)
    {}

    [[nodiscard]] T* allocate([[maybe_unused]] std::size_t count) const noexcept
    {
        BOOST_ASSERT(count * sizeof(T) <= core_->shape().size && alignof(T) <= core_->shape().alignment);
        return static_cast<T*>(place_);
    }
    void deallocate(T* place, std::size_t) const noexcept { core_->give(place); }

    template <class U> friend bool operator==(local_placement const& a, local_placement<U> const& b) noexcept
    {
        return a.place_ == b.place_;
    }

private:
    template <class U> friend class local_placement;

    local_core* core_;
    void*       place_;
};

/// Size and alignment of a block.
struct local_block
{
    std::size_t size      = 0;
    std::size_t alignment = 0;
};

/// As large as `local_placement`, and notes what std::allocate_shared asks for.
template <class T> class local_probe
{
public:
    using value_type = T;

    explicit local_probe(local_block& asked) noexcept : asked_(&asked) {}
    template <class U> local_probe(local_probe<U> const& other) noexcept : asked_(other.asked_) {}

    [[nodiscard]] T* allocate(std::size_t count) const
    {
        *asked_ = {sizeof(T) * count, alignof(T)};
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* block, std::size_t count) const noexcept { std::allocator<T>().deallocate(block, count); }

    template <class U> friend bool operator==(local_probe const& a, local_probe<U> const& b) noexcept
    {
        return a.asked_ == b.asked_;
    }

private:
    template <class U> friend class local_probe;

    local_block*           asked_;
    [[maybe_unused]] void* as_large_ = nullptr;
};
static_assert(sizeof(local_probe<int>) == sizeof(local_placement<int>));

/// Bytes that are as large and as aligned as a `T`.
template <class T> struct alignas(T) local_stand_in
{
    std::byte bytes[sizeof(T)];
};

/// What std::allocate_shared asks for one `T` with its counts: only the standard library knows.
template <class T> [[nodiscard]] local_block const& shared_block_of()
{
    static local_block const block = [] {
        local_block asked;
        static_cast<void>(std::allocate_shared<local_stand_in<T>>(local_probe<local_stand_in<T>>(asked)));
        return asked;
    }();
    return block;
}

} // namespace atrium::detail
