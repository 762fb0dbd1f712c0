/// \file
/// A value together with the mutex that guards it, and the knowledge whether it is whole.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/deadline.hpp>
#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/fingerprint.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/allocator.hpp>
#include <atrium/memory/shareable.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include <boost/assert.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace atrium {

template <shareable T> class guarded;

/// The guarded value, held. One that was locked for repair may be torn, since a holder died inside: it must not be
/// touched before it is rebuilt, or declared repaired by someone who knows better.
template <shareable T> class guarded_access
{
public:
    guarded_access(guarded_access&&) noexcept            = default;
    guarded_access& operator=(guarded_access&&) noexcept = delete;
    ~guarded_access()
    {
        if (lock_.holds())
            of_->leave();
    }

    /// True when a holder died inside, and nobody has rebuilt or repaired the value since.
    [[nodiscard]] bool is_torn() const noexcept { return of_->is_torn(); }

    [[nodiscard]] T& operator*() const noexcept
    {
        BOOST_ASSERT(!is_torn());
        return of_->value();
    }
    [[nodiscard]] T* operator->() const noexcept { return &**this; }

    /// Throws the value away, without running its destructor if it is torn, reclaims all memory that it had, and
    /// constructs it anew.
    /// \par Errors  throws what the constructor throws, and the value is torn then;
    /// `system_error` with `timed_out` when the heap could not be had
    template <class... Args> void rebuild(Args&&... args) { of_->rebuild(std::forward<Args>(args)...); }

    /// Declares the torn value whole as it is.
    void mark_repaired() noexcept { of_->mark_whole(); }

private:
    friend class guarded<T>;
    guarded_access(guarded<T>& of, recoverable_lock lock) noexcept : of_(&of), lock_(std::move(lock)) {}

    guarded<T>*      of_;
    recoverable_lock lock_;
};

/// A value of a shared object behind a mutex that survives its holders. What `T` allocates through its allocator is
/// told from everything else's, so that a torn value can be replaced without a leak; but in a named object what guarded
/// values inside a torn one had goes only with the whole object.
/// \par Thread safety  Safe, from any number of processes. \par If a
/// process dies  Outside: nothing. While it holds the value: the value is torn, the next holder is told, and its
/// destructor never runs.
template <shareable T> class guarded
{
public:
    using value_type     = T;
    using allocator_type = allocator<std::byte>;

    /// Constructs the value from `args`; called by what constructs shared objects, with the object's allocator.
    /// \par Errors  throws what the constructor throws; `too_many_owners`
    template <class... Args>
    guarded(std::allocator_arg_t, allocator_type const& from, Args&&... args) : source_(from.source().sub_source(this))
    {
        construct(std::forward<Args>(args)...);
    }

    guarded(guarded const&)            = delete;
    guarded& operator=(guarded const&) = delete;

    ~guarded() { discard(); }

    /// Waits for the value.
    /// \par Errors  `owner_died`: it is torn, and stays so until somebody locks it for repair; `timed_out`, `forked`,
    /// `read_only`
    [[nodiscard]] result<guarded_access<T>> lock(deadline until)
    {
        auto access = lock_for_repair(until);
        if (access && access->is_torn())
            return errc::owner_died;
        return access;
    }

    /// Waits for the value, whole or torn: see `guarded_access::is_torn`.
    /// \par Errors  `timed_out`, `forked`,
    /// `read_only`
    [[nodiscard]] result<guarded_access<T>> lock_for_repair(deadline until)
    {
        auto held = mutex_.lock(until);
        if (!held)
            return held.error();
        // Whole is the only state in which a value is left. Relaxed: ordered by the mutex.
        if (state_.load(std::memory_order_relaxed) != whole)
            state_.store(torn, std::memory_order_relaxed);
        else
            state_.store(entered, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.entered");
        return guarded_access<T>(*this, std::move(*held));
    }

    /// Waits for the value, and constructs it anew from `args` if it is torn: for values that can be had again.
    /// \par Errors  as `lock_for_repair`; throws as `guarded_access::rebuild`
    template <class... Args> [[nodiscard]] result<guarded_access<T>> lock_or_rebuild(deadline until, Args&&... args)
    {
        auto access = lock_for_repair(until);
        if (access && access->is_torn())
            access->rebuild(std::forward<Args>(args)...);
        return access;
    }

private:
    friend class guarded_access<T>;

    enum state : std::uint32_t
    {
        torn    = 0, // not constructed, or left by a death
        whole   = 1,
        entered = 2,
    };

    [[nodiscard]] T& value() noexcept { return *std::launder(reinterpret_cast<T*>(storage_)); }

    [[nodiscard]] bool is_torn() const noexcept { return state_.load(std::memory_order_relaxed) == torn; }

    void mark_whole() noexcept
    {
        state_.store(entered, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.repaired");
    }

    void leave() noexcept
    {
        if (!is_torn())
            state_.store(whole, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.left");
    }

    template <class... Args> void construct(Args&&... args)
    {
        std::uninitialized_construct_using_allocator(reinterpret_cast<T*>(storage_), allocator_type(source_),
                                                     std::forward<Args>(args)...);
        ATRIUM_CRASH_POINT("guarded.constructed");
        state_.store(whole, std::memory_order_relaxed);
    }

    // The destructor runs on what is whole only: a vector killed in its growth points at a freed block.
    void discard() noexcept
    {
        bool const sound = !is_torn();
        state_.store(torn, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.discarding");
        if (sound)
            std::destroy_at(&value());
        else
            static_cast<void>(source_.reclaim(storage_, sizeof(T)));
    }

    template <class... Args> void rebuild(Args&&... args)
    {
        bool const sound = !is_torn();
        state_.store(torn, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.rebuild.torn");
        if (sound)
            std::destroy_at(&value());
        if (!source_.reclaim(storage_, sizeof(T)))
            throw_error(errc::timed_out, "rebuild");
        ATRIUM_CRASH_POINT("guarded.rebuild.reclaimed");
        construct(std::forward<Args>(args)...);
        ATRIUM_CRASH_POINT("guarded.rebuild.whole");
        state_.store(entered, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("guarded.rebuild.done");
    }

    recoverable_mutex     mutex_;
    atomic<std::uint32_t> state_{torn};
    detail::block_source  source_;
    alignas(T) std::byte storage_[sizeof(T)];
};

template <shareable T> inline constexpr bool is_shareable<guarded<T>>            = true;
template <shareable T> inline constexpr bool depends_on_boost_layout<guarded<T>> = true; // offset_ptr, and often T

} // namespace atrium
