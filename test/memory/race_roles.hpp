/// \file
/// Processes that meet at points which the test chooses; see reference_races.cpp.
#pragma once

#include "memory/reference_objects.hpp"
#include "memory/segment_cells.hpp"
#include "support/crash_driver.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace atrium::test {

/// Drops what it refers to in its destructor, which may be the last that its process does.
struct mortal_holder
{
    static constexpr bool is_shareable = true;
    static inline bool    dies         = false;

    mortal_holder()                                = default;
    mortal_holder(mortal_holder const&)            = delete;
    mortal_holder& operator=(mortal_holder const&) = delete;
    ~mortal_holder()
    {
        held = nullptr;
        if (dies)
            std::raise(SIGKILL);
    }

    segment_ptr<item> held;
};

inline detail::memory_state& memory_in(segment const& s)
{
    return *detail::memory_of(*s.attached()).value();
}

// ---- waiting at points ---------------------------------------------------------------------------------------------

struct waiting_point
{
    std::string name;
    unsigned    hit = 1; // counted from the one before
};

inline std::deque<waiting_point> waiting_points;

inline void wait_where_told(char const* name) noexcept
{
    if (waiting_points.empty() || waiting_points.front().name != name || --waiting_points.front().hit != 0)
        return;
    waiting_points.pop_front();
    say(std::string("at ") + name);
    static_cast<void>(hear());
}

// In a role: at each of these points, one after the other, it says that it is there, and waits for a line.
inline void wait_at(std::deque<waiting_point> points)
{
    waiting_points = std::move(points);
    detail::crash_point_hook.store(&wait_where_told);
}

// In the test: the child is there.
inline void is_at(child& c, std::string const& point)
{
    c.wait_for_line("at " + point, 30s);
}

// ---- threads that meet at points -----------------------------------------------------------------------------------

/// A thread, with the lane that it gets; does one thing after the other.
class lane_thread
{
public:
    lane_thread() : thread_([this] { work(); }) {}
    lane_thread(lane_thread const&)            = delete;
    lane_thread& operator=(lane_thread const&) = delete;
    ~lane_thread() { end(); }

    /// Has it done by that thread.
    void run(std::function<void()> const& what)
    {
        std::unique_lock held(mutex_);
        what_ = &what;
        changed_.notify_all();
        changed_.wait(held, [&] { return what_ == nullptr; });
    }

    /// The thread gives its lane back.
    void end()
    {
        {
            std::lock_guard const held(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        if (thread_.joinable())
            thread_.join();
    }

private:
    void work()
    {
        std::unique_lock held(mutex_);
        for (;;)
        {
            changed_.wait(held, [&] { return what_ != nullptr || ended_; });
            if (what_ == nullptr)
                return;
            (*what_)();
            what_ = nullptr;
            changed_.notify_all();
        }
    }

    std::mutex                   mutex_;
    std::condition_variable      changed_;
    std::function<void()> const* what_  = nullptr;
    bool                         ended_ = false;
    std::thread                  thread_; // last: it uses the others
};

/// While it lives: what happens when the thread that made it meets the point for the n-th time from then on.
class interlude
{
public:
    interlude(std::string point, unsigned hit, std::function<void()> what)
        : point_(std::move(point)), left_(hit), what_(std::move(what)), before_(std::exchange(latest_, this))
    {
        detail::crash_point_hook.store(&meet);
    }
    interlude(interlude const&)            = delete;
    interlude& operator=(interlude const&) = delete;
    ~interlude()
    {
        latest_ = before_;
        if (latest_ == nullptr)
            detail::crash_point_hook.store(nullptr);
    }

    [[nodiscard]] bool was_reached() const noexcept { return left_ == 0; }

private:
    static void meet(char const* name) noexcept
    {
        for (interlude* one = latest_; one != nullptr; one = one->before_)
        {
            if (one->point_ == name && one->left_ != 0 && --one->left_ == 0)
                one->what_();
        }
    }

    static inline thread_local interlude* latest_ = nullptr;

    std::string           point_;
    unsigned              left_;
    std::function<void()> what_;
    interlude*            before_;
};

// ---- roles ---------------------------------------------------------------------------------------------------------

// Recovers when told, and waits at the points that follow the name: "point" or "point:hit".
ATRIUM_TEST_ROLE(waiting_recoverer)
{
    segment                   s(open_only, arguments.at(0));
    std::deque<waiting_point> points;
    for (std::size_t n = 1; n < arguments.size(); ++n)
    {
        std::string const& text  = arguments[n];
        auto const         colon = text.find(':');
        points.push_back({text.substr(0, colon),
                          colon == std::string::npos ? 1u : static_cast<unsigned>(std::stoul(text.substr(colon + 1)))});
    }
    be_ready_until_told();
    wait_at(std::move(points));
    auto const report = s.recover(30s).value();
    say("recovered for " + std::to_string(report.dead.size()));
    static_cast<void>(hear());
    return 0;
}

// Is there, and nothing else.
ATRIUM_TEST_ROLE(bystander)
{
    segment const s(open_only, arguments.at(0));
    be_ready_until_told();
    return 0;
}

// Lets the first pointer of the segment refer to something.
ATRIUM_TEST_ROLE(first_to_refer)
{
    segment const               s(open_only, arguments.at(0));
    pool<item>                  items(open_only, s, "items");
    named<holder_of_item> const theirs(open_only, s, "theirs");
    auto const                  made = items.make(2u).value();
    arm();
    theirs->held = made;
    disarm();
    return 0;
}

// Makes the first object of the heap.
ATRIUM_TEST_ROLE(first_to_make)
{
    segment const s(open_only, arguments.at(0));
    arm();
    static_cast<void>(make_shared<plain>(s).value());
    disarm();
    return 0;
}

// Uses a lane, tells which, and leaves in order.
ATRIUM_TEST_ROLE(lane_user)
{
    segment const s(open_only, arguments.at(0));
    pool<item>    items(open_only, s, "items");
    static_cast<void>(items.make(1u).value());
    say(std::to_string(s.attached()->lane().value()));
    static_cast<void>(hear());
    return 0;
}

// Waits in the constructor of what it makes, and then with it.
ATRIUM_TEST_ROLE(slow_maker)
{
    segment const s(open_only, arguments.at(0));
    pool<item>    items(open_only, s, "items");
    in_constructor  = &be_ready_until_told;
    auto const made = items.make(77u).value();
    in_constructor  = nullptr;
    say(std::to_string(s.attached()->lane().value()));
    static_cast<void>(hear());
    require(made->value == 77 && made->is_whole() && made.use_count() == 1);
    return 0;
}

// Joins in the place of somebody who leaves, and has an object then.
ATRIUM_TEST_ROLE(successor)
{
    // The third row is the one that it looks at when it waits for the first time.
    wait_at({{"segment.join.row_seen", 3}, {"segment.join.byte_locked"}});
    segment const s(open_only, arguments.at(0), {.open_timeout = 30s});
    pool<item>    items(open_only, s, "items");
    auto const    made = items.make(7u).value();
    require(s.self().row() == 2);
    be_ready_until_told();
    require(made->value == 7 && made->is_whole() && made.use_count() == 1);
    return 0;
}

// One thread gives up the last handle of a pool while another opens it anew.
struct ending_pool
{
    static inline std::mutex              mutex;
    static inline std::condition_variable changed;
    static inline bool                    ending = false;
    static inline bool                    opened = false;

    // The other thread may also wait for this one: then it is not held up for ever.
    static void meet(char const* name) noexcept
    {
        std::unique_lock held(mutex);
        if (ending || std::strcmp(name, "pool.ending") != 0)
            return;
        ending = true;
        changed.notify_all();
        changed.wait_for(held, 1s, [] { return opened; });
    }
};

ATRIUM_TEST_ROLE(reopener)
{
    segment const s(open_only, arguments.at(0));
    auto          last = std::make_unique<pool<item>>(open_only, s, "items");
    static_cast<void>(last->make(1u).value()); // this thread's lane keeps places from now on
    detail::crash_point_hook.store(&ending_pool::meet);
    std::thread other([&] { last.reset(); });
    {
        std::unique_lock held(ending_pool::mutex);
        require(ending_pool::changed.wait_for(held, 30s, [] { return ending_pool::ending; }));
    }
    pool<item> again(open_only, s, "items");
    static_cast<void>(again.make(2u).value());
    {
        std::lock_guard const held(ending_pool::mutex);
        ending_pool::opened = true;
    }
    ending_pool::changed.notify_all();
    other.join();
    static_cast<void>(again.make(3u).value());
    be_ready_until_told();
    return 0;
}

// Dies in the destructor of an object that was the last to refer to another one.
ATRIUM_TEST_ROLE(dies_in_a_destructor)
{
    segment const s(open_only, arguments.at(0));
    pool<item>    items(open_only, s, "items");
    auto          around = make_shared<mortal_holder>(s).value();
    around->held         = items.make(1u).value();
    be_ready_until_told();
    mortal_holder::dies = true;
    around.reset();
    return 0;
}

inline collector* filled = nullptr;

// Dies when all that is in the vector has moved to its new block, which the vector does not know of yet.
ATRIUM_TEST_ROLE(dies_in_a_vector)
{
    segment const                    s(open_only, arguments.at(0));
    named<holder_of_collector> const place(open_only, s, "place");
    auto const                       shared = place->held.share().value();
    auto const                       one    = shared->all[0].share().value();
    filled                                  = shared.get();
    detail::crash_point_hook.store([](char const* name) noexcept {
        if (std::strcmp(name, "reference.closed") == 0 && filled->all[filled->all.size() - 1] == nullptr)
            std::raise(SIGKILL);
    });
    shared->all.emplace_back(one);
    return 0;
}

} // namespace atrium::test
