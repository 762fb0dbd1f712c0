/// \file
/// The standard allocator whose memory lies in a segment.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/allocation.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/segment/segment.hpp>

#include <boost/container/detail/dispatch_uses_allocator.hpp>
#include <boost/container/new_allocator.hpp>
#include <boost/interprocess/offset_ptr.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

namespace atrium {

/// Allocates from a segment on behalf of an owner, to which it is bound as a polymorphic allocator is to its resource:
/// containers never take over each other's, and elements that use allocators are constructed with it. Blocks go when
/// their owner goes. Named objects hand their own to what they construct; one made from a segment owns on behalf of
/// this process. Lies in the segment itself, inside containers.
/// \par Thread safety  Safe, as the heap is; the container
/// is not.
/// \par Errors  throws `system_error`: `out_of_memory`, `too_large`, `forked`, `invalid_argument` when a
/// container in a segment was made without the segment's allocator, `timed_out` when somebody who stands still has kept
/// the heap for ten seconds
/// \par If a process dies  What it had allocated and not yet put anywhere stays its owner's,
/// and goes with it.
template <class T> class allocator
{
public:
    using value_type         = T;
    using pointer            = boost::interprocess::offset_ptr<T>;
    using const_pointer      = boost::interprocess::offset_ptr<T const>;
    using void_pointer       = boost::interprocess::offset_ptr<void>;
    using const_void_pointer = boost::interprocess::offset_ptr<void const>;
    using size_type          = std::size_t;
    using difference_type    = std::ptrdiff_t;

    // Nothing propagates: memory of one owner must not become another's by assignment.
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::false_type;
    using propagate_on_container_swap            = std::false_type;
    using is_always_equal                        = std::false_type;

    template <class U> struct rebind
    {
        using other = allocator<U>;
    };

    /// Allocates from this process's ordinary memory, so that temporaries can be made as usual: what is put into a
    /// container of a segment is copied there. A container that lies in a segment itself refuses to use it, or a copy.
    allocator() = default;

    /// Blocks belong to this process: they go when it leaves or dies.
    /// \par Errors  throws `flat_segment`, `forked`
    explicit allocator(segment const& in) : source_(detail::source_of(*in.attached())) {}

    /// For parts that know the owner.
    explicit allocator(detail::block_source const& source) noexcept : source_(source) {}

    template <class U> allocator(allocator<U> const& other) noexcept : source_(other.source()) {}

    /// What a copy of a container is made with where nobody says otherwise: this process's ordinary memory.
    [[nodiscard]] allocator select_on_container_copy_construction() const { return {}; }

    [[nodiscard]] pointer allocate(size_type count)
    {
        if (count > std::numeric_limits<size_type>::max() / sizeof(T))
            throw_error(errc::too_large, "allocator");
        return static_cast<T*>(source_.allocate(count * sizeof(T), alignof(T)));
    }

    /// Refuses (and logs) a block that is not in use under the owner.
    void deallocate(pointer const& block, size_type count) noexcept
    {
        // A process that died between making an element and counting it has left one that no container destroys.
        if constexpr (!std::is_trivially_destructible_v<T>)
            source_.give_up_references(block.get(), count * sizeof(T));
        source_.deallocate(block.get(), alignof(T));
    }

    /// Hands itself on to elements that use allocators, pairs' members included, as polymorphic allocators do.
    template <class U, class... Args> void construct(U* at, Args&&... args)
    {
        if constexpr (!std::is_trivially_destructible_v<U>)
            source_.give_up_references(at, sizeof(U)); // as in deallocate()
        // Boost's dispatch rather than the standard's: containers of Boost make pairs of their own.
        boost::container::new_allocator<U> plain;
        boost::container::dtl::dispatch_uses_allocator(plain, *this, at, std::forward<Args>(args)...);
    }

    [[nodiscard]] detail::block_source const& source() const noexcept { return source_; }

    template <class U> friend bool operator==(allocator const& a, allocator<U> const& b) noexcept
    {
        return a.source() == b.source();
    }

private:
    detail::block_source source_;
};

template <class T> inline constexpr bool is_shareable<allocator<T>> = true;

} // namespace atrium
