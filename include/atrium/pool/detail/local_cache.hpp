/// \file
/// The free places of a local pool that a thread has at hand, and how another thread gets at them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace atrium::detail {

/// A free place. What stands beside `next` is of the first place of a whole list only.
struct local_place
{
    local_place* next;
    local_place* next_list;
    std::size_t  count;
};

/// A list of free places, the last one in first out.
/// \par Thread safety  None, but for `count`.
class local_list
{
public:
    local_list() = default;
    local_list(local_place* first, std::size_t count) noexcept : first_(first), count_(count) {}
    local_list(local_list&& other) noexcept : first_(std::exchange(other.first_, nullptr)), count_(other.count())
    {
        other.set_count(0);
    }
    local_list& operator=(local_list&& other) noexcept
    {
        first_ = std::exchange(other.first_, nullptr);
        set_count(other.count());
        other.set_count(0);
        return *this;
    }

    [[nodiscard]] local_place* first() const noexcept { return first_; }
    [[nodiscard]] bool         is_empty() const noexcept { return first_ == nullptr; }

    /// Other threads may ask too: they get what it was a moment ago.
    [[nodiscard]] std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

    void push(void* memory) noexcept
    {
        auto* const place = ::new (memory) local_place;
        place->next       = first_;
        first_            = place;
        set_count(count() + 1);
    }

    /// There is one.
    [[nodiscard]] local_place* pop() noexcept
    {
        local_place* const place = first_;
        first_                   = place->next;
        set_count(count() - 1);
        return place;
    }

private:
    void set_count(std::size_t count) noexcept { count_.store(count, std::memory_order_relaxed); }

    local_place*             first_ = nullptr;
    std::atomic<std::size_t> count_{0}; // written by who may change the list
};

/// The free places of one pool that one thread has at hand: two lists, of which one is used until it is empty or full
/// and then the other, so that a thread needs its pool only after a whole list has come or gone. (The magazines of
/// Bonwick and Adams, "Magazines and Vmem: Extending the Slab Allocator to Many CPUs and Arbitrary Resources", USENIX
/// 2001; the lists go through the places themselves, so that giving back needs no memory.)
///
/// Its thread takes and gives without a locked instruction; still another thread, which holds the pool's mutex, can
/// take all that is in it. The thread says that it is inside, then looks whether the cache is open. The other shuts the
/// cache, makes every thread pass a full barrier, which costs a system call, then waits until the thread is not inside.
/// Of the two, at least one sees what the other has stored: a biased lock. Who holds the mutex has the cache of his own
/// thread, and caches that are shut and left, for himself.
class alignas(64) local_cache
{
public:
    /// \param barriers whether a thread can make others pass a barrier
    explicit local_cache(bool barriers) noexcept : barriers_(barriers) {}

    /// A free place, or null where there is none at hand, or the cache is shut.
    /// \par Thread safety  Its own thread only; so the next one.
    [[nodiscard]] void* take() noexcept
    {
        void* place = nullptr;
        if (enter())
        {
            if (turn_if(lists_[0].is_empty()))
                place = lists_[0].pop();
            leave();
        }
        return place;
    }

    /// \returns false where there is no room, or the cache is shut
    [[nodiscard]] bool give(void* place) noexcept
    {
        bool has_room = false;
        if (enter())
        {
            has_room = turn_if(lists_[0].count() >= list_size_);
            if (has_room)
                lists_[0].push(place);
            leave();
        }
        return has_room;
    }

    [[nodiscard]] std::size_t count() const noexcept { return lists_[0].count() + lists_[1].count(); }

    // The rest is for who holds the pool's mutex.

    [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_relaxed); }

    /// Its own thread only: from now on it may take and give without the mutex.
    void open() noexcept { open_.store(true, std::memory_order_relaxed); }

    /// Sequentially consistent, as all of C1, whose partners are in `enter` and `wait_until_left`.
    void shut() noexcept { open_.store(false, std::memory_order_seq_cst); }

    /// The cache is shut, and all threads have passed a barrier since.
    void wait_until_left() const noexcept;

    /// Both lists, one after the other.
    [[nodiscard]] local_list take_list(std::size_t which) noexcept { return std::move(lists_[which]); }

    /// Its own thread only. Puts a list that was not at hand before in the place of an empty one.
    void refill(local_list list, std::size_t list_size) noexcept
    {
        lists_[0]  = std::move(list);
        list_size_ = list_size;
    }

    /// Its own thread only, and the cache is full. \returns the list to be given back for it
    [[nodiscard]] local_list exchange_full(void* place, std::size_t list_size) noexcept
    {
        local_list given = std::move(lists_[1]);
        lists_[1]        = std::move(lists_[0]);
        lists_[0].push(place);
        list_size_ = list_size;
        return given;
    }

    /// Tells threads apart.
    [[nodiscard]] void const* owner() const noexcept { return owner_; }

    /// Another thread has the cache now. The one before may have been cut off by a fork while it found the cache shut.
    void set_owner(void const* owner) noexcept
    {
        inside_.store(false, std::memory_order_relaxed);
        owner_ = owner;
    }

    local_cache* next = nullptr; ///< In one of the pool's lists.

private:
    [[nodiscard]] bool enter() noexcept
    {
        // C1, with `shut` and `wait_until_left`: that this thread is inside is seen by who shuts, or this thread sees
        // that the cache is shut. Where nobody can make us pass a barrier, we pass one each time.
        if (barriers_)
        {
            inside_.store(true, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        else
            inside_.exchange(true, std::memory_order_seq_cst);
        if (open_.load(std::memory_order_seq_cst))
            return true;
        leave();
        return false;
    }

    // Release C2, pairs with the acquire in `wait_until_left`: what we did to the lists is seen there.
    void leave() noexcept { inside_.store(false, std::memory_order_release); }

    // Takes the other list where this one will not do. False where that will not do either: it is in the same state.
    [[nodiscard]] bool turn_if(bool useless) noexcept
    {
        if (!useless) [[likely]]
            return true;
        bool const other_is_useful = lists_[0].is_empty() != lists_[1].is_empty();
        if (other_is_useful)
            std::swap(lists_[0], lists_[1]);
        return other_is_useful;
    }

    std::atomic<bool> inside_{false}; // written by the thread
    std::atomic<bool> open_{false};   // written with the mutex; true only by the thread
    bool const        barriers_;
    local_list        lists_[2];
    std::size_t       list_size_ = 0;
    void const*       owner_     = nullptr;
};

/// Where a thread has its cache of a pool.
struct local_cache_entry
{
    std::uint64_t pool; ///< Number of the pool; 0: none.
    local_cache*  cache;
};

/// The caches of one thread, by the indexes of their pools.
struct local_cache_table
{
    local_cache_entry* entries = nullptr;
    std::size_t        size    = 0;
    bool               ended   = false; ///< The thread ends, and has given its caches back.
};

/// Of this thread. Has no destructor: it can be asked in the destructors of whatever is local to the thread.
extern constinit thread_local local_cache_table this_threads_caches;

} // namespace atrium::detail
