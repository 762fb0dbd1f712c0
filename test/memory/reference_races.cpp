/// Processes that meet in the orders that are hardest to get right: who comes, leaves or drops its references at the
/// moment at which another makes tables larger, recovers or stands still. All counts stay exact.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/race_roles.hpp"
#include "segment/stopped_answers.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

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

// ---- pools that are almost exhausted -------------------------------------------------------------------------------

// At every moment one place is free, but never the one that is looked at.
BOOST_AUTO_TEST_CASE(a_pool_is_not_exhausted_when_a_place_is_freed_behind_who_looks_for_one)
{
    one_segment                   now;
    pool<item>                    items(create_only, now.s, "items", {.capacity = 4});
    lane_thread                   keeps;
    lane_thread                   frees;
    std::vector<shared_ptr<item>> all;
    shared_ptr<item>              last;
    keeps.run([&] {
        while (auto made = items.make(1u))
            all.push_back(std::move(*made));
        std::ranges::sort(all, {}, [](auto const& one) { return one.get(); });
        all.pop_back(); // the place that is looked at last is kept by this lane
    });
    interlude const behind("pool.place_looked_at", 1, [&] {
        frees.run([&] { all.erase(all.begin()); });
        keeps.run([&] { last = items.make(2u).value(); });
    });
    BOOST_TEST(items.make(3u).has_value());
    BOOST_TEST(behind.was_reached());
}

// The same among the hints.
BOOST_AUTO_TEST_CASE(a_pool_is_not_exhausted_when_a_place_gets_its_hint_behind_who_looks_for_one)
{
    one_segment                   now;
    pool<item>                    items(create_only, now.s, "items", {.capacity = 32});
    std::vector<shared_ptr<item>> all;
    std::vector<shared_ptr<item>> more;
    std::thread([&] {
        while (auto made = items.make(1u))
            all.push_back(std::move(*made));
        all.resize(all.size() - 2);
    }).join();
    lane_thread     takes;
    interlude const before("hints.keeping", 1, [&] { takes.run([&] { more.push_back(items.make(2u).value()); }); });
    interlude const after("hints.keeping", 2, [&] {
        std::thread([&] { all.pop_back(); }).join();
        takes.run([&] { more.push_back(items.make(3u).value()); });
        takes.end();
    });
    BOOST_TEST(items.make(4u).has_value());
    BOOST_TEST(before.was_reached());
    BOOST_TEST(after.was_reached());
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
