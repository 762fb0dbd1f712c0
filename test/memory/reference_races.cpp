/// Processes that meet in the orders that are hardest to get right: who comes, leaves or drops its references at the
/// moment at which another makes tables larger, recovers or stands still. All counts stay exact.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_objects.hpp"
#include "memory/segment_cells.hpp"
#include "segment/stopped_answers.hpp"
#include "support/crash_driver.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

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

/// Has a block of its own with references in it.
struct collector
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    explicit collector(std::allocator_arg_t, allocator_type const& a) : all(a) {}

    vector<segment_ptr<item>> all;
};

struct holder_of_collector
{
    static constexpr bool  is_shareable = true;
    segment_ptr<collector> held;
};

} // namespace atrium::test

namespace {

detail::memory_state& memory_in(segment const& s)
{
    return *detail::memory_of(*s.attached()).value();
}

// ---- waiting at points ---------------------------------------------------------------------------------------------

struct waiting_point
{
    std::string name;
    unsigned    hit = 1; // counted from the one before
};

std::deque<waiting_point> waiting_points;

void wait_where_told(char const* name) noexcept
{
    if (waiting_points.empty() || waiting_points.front().name != name || --waiting_points.front().hit != 0)
        return;
    waiting_points.pop_front();
    say(std::string("at ") + name);
    static_cast<void>(hear());
}

// In a role: at each of these points, one after the other, it says that it is there, and waits for a line.
void wait_at(std::deque<waiting_point> points)
{
    waiting_points = std::move(points);
    detail::crash_point_hook.store(&wait_where_told);
}

// In the test: the child is there.
void is_at(child& c, std::string const& point)
{
    c.wait_for_line("at " + point, 30s);
}

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

collector* filled = nullptr;

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

// Whoever uses memory that is not its own finds this there.
constexpr unsigned char pattern = 0x5a;

// Takes memory and writes to all of it; it is given back when this goes.
struct used_memory
{
    explicit used_memory(segment const& in) : h(in)
    {
        for (std::size_t size : {4096u, 2048u, 512u, 64u})
        {
            for (int n = 0; n < 20; ++n)
            {
                auto* const block = static_cast<unsigned char*>(h.allocate(size, 10s).value());
                blocks.emplace_back(block, size);
                std::ranges::fill(blocks.back(), pattern);
            }
        }
    }
    used_memory(used_memory const&)            = delete;
    used_memory& operator=(used_memory const&) = delete;
    ~used_memory()
    {
        for (auto const block : blocks)
        {
            BOOST_TEST(std::ranges::count(block, pattern) == std::ssize(block));
            BOOST_TEST(h.deallocate(block.data()).has_value());
        }
    }

    heap                                  h;
    std::vector<std::span<unsigned char>> blocks;
};

std::size_t made_until_exhausted(pool<item>& items)
{
    std::vector<shared_ptr<item>> all;
    while (auto made = items.make(0u))
        all.push_back(std::move(*made));
    return all.size();
}

struct one_segment : leaves_nothing
{
    explicit one_segment(std::uint32_t participants = 16) : s(create_only, unique_name("races"), options(participants))
    {}

    static segment_options options(std::uint32_t participants)
    {
        segment_options chosen = small_segment();
        chosen.participants    = participants;
        return chosen;
    }

    [[nodiscard]] arguments name() const { return {s.name()}; }

    void is_exact()
    {
        BOOST_TEST(reference_problems(s) == "");
        BOOST_TEST(heap(s).check(10s) == "");
    }

    segment s;
};

// Somebody dies with an object pending; the recoverer waits at these points, and stands still at the last one, or comes
// to its end before.
void what_is_pending_is_found(std::vector<std::string> const& points)
{
    one_segment now;
    static_cast<void>(detail::counted_type<mortal_holder>());
    pool<item> items(create_only, now.s, "items", {.capacity = 1});
    arguments  given = now.name();
    given.insert(given.end(), points.begin(), points.end());
    child recovers = ready_child("waiting_recoverer", given);
    child dies     = ready_child("dies_in_a_destructor", now.name());
    dies.send_line("die");
    BOOST_TEST(dies.wait(30s) == killed(SIGKILL));
    recovers.send_line("recover");
    for (std::size_t n = 0; n < points.size(); ++n)
    {
        auto const line = recovers.line(30s);
        BOOST_TEST(line.has_value());
        if (n + 1 < points.size())
            recovers.send_line("go on");
    }
    BOOST_TEST(now.s.participants().size() == 2u);
    auto const made = items.make(2u);
    BOOST_TEST(made.has_value(), "the only place is free");
    recovers.kill();
    BOOST_TEST(now.s.recover(10s).has_value());
    now.is_exact();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_races, leaves_nothing)

// ---- tables that grow ----------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_cell_that_others_have_found_is_theirs_though_who_made_the_first_ones_dies)
{
    auto const report = for_every_stop_point([&](child_options const& options) {
        one_segment                 now;
        pool<item>                  items(create_only, now.s, "items", {.capacity = 4});
        named<holder_of_item> const ours(create_only, now.s, "ours");
        named<holder_of_item> const theirs(create_only, now.s, "theirs");
        auto const                  made = items.make(1u).value();
        child                       victim("first_to_refer", now.name(), options);
        bool const                  stopped = victim.wait_stopped(60s);
        bool const                  found   = detail::has_cells(memory_in(now.s));
        if (found)
        {
            try
            {
                ours->held = made;
            }
            catch (system_error const&) // it would have had to wait for who stands still
            {}
        }
        auto const status = stopped ? victim.kill() : victim.wait(60s);
        BOOST_TEST(now.s.recover(10s).has_value());
        bool const are_there = detail::has_cells(memory_in(now.s));
        BOOST_TEST((are_there || !found), "what was found is there");
        if (found && !are_there)
            return status;
        theirs->held = nullptr;
        {
            used_memory const others(now.s);
            if (ours->held != nullptr)
                BOOST_TEST((ours->held.share().value() == made));
            ours->held = nullptr;
        }
        BOOST_TEST(made.use_count() == 1u);
        now.is_exact();
        return status;
    });
    BOOST_TEST(report.points >= 20u);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(a_record_that_others_have_found_is_theirs_though_who_made_the_first_ones_dies)
{
    auto const report = for_every_stop_point([&](child_options const& options) {
        one_segment now;
        child       victim("first_to_make", now.name(), options);
        bool const  stopped = victim.wait_stopped(60s);
        auto const  found   = detail::record_chunk(memory_in(now.s), 0).value(); // as if to make something
        auto const  status  = stopped ? victim.kill() : victim.wait(60s);
        BOOST_TEST(now.s.recover(10s).has_value());
        bool const is_there = memory_in(now.s).header->record_chunks[0].load() != 0;
        BOOST_TEST((is_there || !found), "what was found is there");
        if (found && !is_there)
            return status;
        {
            used_memory const others(now.s);
            auto const        made = make_shared<item>(now.s, 2u).value();
            BOOST_TEST(made->is_whole());
            BOOST_TEST(made.use_count() == 1u);
        }
        now.is_exact();
        return status;
    });
    BOOST_TEST(report.points >= 20u);
    BOOST_TEST(report.failures == 0u);
}

// ---- who comes and leaves beside a recovery ------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(who_gets_the_lane_of_a_process_that_leaves_during_a_recovery_keeps_what_it_constructs)
{
    one_segment now;
    pool<item>  items(create_only, now.s, "items", {.capacity = 3});
    child       recovers = ready_child("waiting_recoverer", {now.s.name(), "segment.recover.lane_owner_seen"});
    child       leaves("lane_user", now.name());
    auto const  lane = leaves.line(30s).value();
    BOOST_TEST(lane == std::to_string(now.s.attached()->participant_count())); // the first one that is looked at
    child dies = ready_child("bystander", now.name());
    dies.kill();
    recovers.send_line("recover");
    is_at(recovers, "segment.recover.lane_owner_seen");
    let_end(leaves);
    child constructs = ready_child("slow_maker", now.name());
    recovers.send_line("go on");
    recovers.wait_for_line("recovered for 1", 30s);
    BOOST_TEST(made_until_exhausted(items) == 2u);
    constructs.send_line("go on");
    BOOST_TEST(constructs.line(30s).value() == lane);
    BOOST_TEST(made_until_exhausted(items) == 2u);
    now.is_exact();
    let_end(constructs);
    let_end(recovers);
    BOOST_TEST(made_until_exhausted(items) == 3u);
    now.is_exact();
}

BOOST_AUTO_TEST_CASE(who_gets_the_row_of_a_process_that_leaves_during_a_recovery_keeps_its_references)
{
    one_segment now(3);
    pool<item>  items(create_only, now.s, "items", {.capacity = 3});
    child       recovers =
        ready_child("waiting_recoverer", {now.s.name(), "segment.recover.row_seen:2", // not its own, the last
                                          "segment.recover.former_seen"});
    child leaves = ready_child("bystander", now.name());
    child comes("successor", now.name());
    is_at(comes, "segment.join.row_seen");
    recovers.send_line("recover");
    is_at(recovers, "segment.recover.row_seen");
    let_end(leaves);
    comes.send_line("go on"); // it finds nobody in the row, and has it
    is_at(comes, "segment.join.byte_locked");
    recovers.send_line("go on");
    is_at(recovers, "segment.recover.former_seen");
    comes.send_line("go on");
    comes.wait_for_line("ready", 30s);
    recovers.send_line("go on");
    BOOST_TEST(recovers.line(30s).value() == "recovered for 0");
    BOOST_TEST(now.s.recoveries() == 0u);
    BOOST_TEST(count(now.s, liveness::alive) == 3u);
    BOOST_TEST(made_until_exhausted(items) == 2u);
    now.is_exact();
    let_end(comes);
    let_end(recovers);
    now.is_exact();
}

// ---- pools that are opened and closed at once ----------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_pool_that_is_opened_while_its_last_handle_goes_loses_no_place)
{
    constexpr std::size_t places = 64;
    one_segment           now;
    pool<item>            items(create_only, now.s, "items", {.capacity = places});
    child                 c = ready_child("reopener", now.name());
    BOOST_TEST(made_until_exhausted(items) == places);
    c.kill();
    BOOST_TEST(now.s.recover(10s).value().dead.size() == 1u);
    BOOST_TEST(made_until_exhausted(items) == places);
    now.is_exact();
}

// ---- recoverers that stand still -----------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(
    what_the_dead_left_pending_is_found_though_the_recoverer_stands_still_when_it_has_cleared_their_rows)
{
    what_is_pending_is_found({"segment.recover.announced"});
}

BOOST_AUTO_TEST_CASE(what_the_dead_left_pending_is_found_though_the_recoverer_stands_still_before_it_destroys)
{
    what_is_pending_is_found({"segment.recover.announced", "mutex.release.free"});
}

// ---- objects that end beside a recovery ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_a_container_lost_is_given_up_once_though_its_object_ends_during_a_recovery)
{
    one_segment                      now;
    pool<item>                       items(create_only, now.s, "items", {.capacity = 4});
    named<holder_of_collector> const place(create_only, now.s, "place");
    auto const                       made = items.make(1u).value();
    {
        auto const around = make_shared<collector>(now.s).value();
        around->all.reserve(2);
        around->all.emplace_back(made);
        around->all.emplace_back(made);
        place->held = around;
    }
    child loses("dies_in_a_vector", now.name());
    BOOST_TEST(loses.wait(30s) == killed(SIGKILL));
    BOOST_TEST(now.s.recover(10s).value().dead.size() == 1u);
    BOOST_TEST(made.use_count() > 1u); // what was lost is the object's as long as that lives

    child recovers = ready_child("waiting_recoverer", {now.s.name(), "memory.recover.blocks_found"});
    child dies     = ready_child("bystander", now.name());
    dies.kill();
    recovers.send_line("recover");
    is_at(recovers, "memory.recover.blocks_found");
    place->held = nullptr;
    recovers.send_line("go on");
    recovers.wait_for_line("recovered for 1", 30s);
    let_end(recovers);

    child dies_too = ready_child("bystander", now.name());
    dies_too.kill();
    BOOST_TEST(now.s.recover(10s).value().dead.size() == 1u);
    BOOST_TEST(made.use_count() == 1u);
    now.is_exact();
}

BOOST_AUTO_TEST_SUITE_END()
