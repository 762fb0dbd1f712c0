/// A process stands still between any two steps of what it does with counted objects: the others make, share and drop
/// theirs, take nobody for dead, and every count is exact when it has gone on.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_scene.hpp"
#include "segment/stopped_answers.hpp"

#include <algorithm>
#include <span>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 10ms;

// What the others have from before, and nobody else touches.
struct scene : reference_scene
{
    explicit scene(segment_options const& options = reference_segment()) : reference_scene(options)
    {
        calm->one     = make_shared<node>(s, 31u).value();
        calm->element = elements.make(32u).value();
        kept          = calm->one.share().value();
        blocks        = blocks_of_objects(s);
        alive += 2;
    }

    // Elements are had and given back whoever stands still.
    void use_elements()
    {
        auto made = elements.make(33u).value();
        BOOST_TEST(made->is_whole());
        auto const           other = calm->element.share().value();
        weak_ptr<item> const weak(made);
        BOOST_TEST(weak.lock().has_value());
        if (has_cells)
        {
            calm->spare = made;
            made.reset();
            BOOST_TEST(!weak.expired());
            calm->spare = nullptr;
            BOOST_TEST(weak.expired());
        }
        if (!uses_items)
            return;
        auto const theirs = items.make(34u); // from the pool that it uses
        BOOST_TEST((theirs.has_value() || theirs.error() == errc::exhausted));
    }

    // Also where others wait for the heap.
    void use_references()
    {
        if (!has_cells)
            return;
        weak_ptr<node> const weak(kept);
        kept.reset();
        kept        = weak.lock().value();
        calm->other = kept;
        calm->other = nullptr;
    }

    void go_on()
    {
        use_elements();
        use_references();
        heap       h(s);
        auto const block = h.allocate(64, soon);
        BOOST_TEST((block.has_value() || block.error() == errc::timed_out));
        if (block) // else what is made now would wait longer than we like to
        {
            BOOST_TEST(h.deallocate(*block).has_value());
            use_what_was_freed(h);
            auto const mine = make_shared<node>(s, 35u).value();
            if (has_cells)
                calm->other = mine;
            calm->other = nullptr;
        }
        auto const held = safe->lock_for_repair(soon);
        BOOST_TEST((held.has_value() || held.error() == errc::timed_out || held.error() == errc::recovery_busy));
        auto const recovered = s.recover(soon);
        BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
    }

    // Whoever stands still in the middle of writing to something had better still have it.
    void use_what_was_freed(heap& h)
    {
        named<life_counts> const usable(open_only, s, "counts"); // ends what nobody has any more
        for (int n = 0; n < 100; ++n) // small ones, from what is free in between others first
        {
            std::size_t const size  = 48;
            auto const        block = h.allocate(size, 10s).value();
            written.emplace_back(static_cast<unsigned char*>(block), size);
            std::ranges::fill(written.back(), pattern);
        }
    }

    // `deaths` is how many recoveries there were for those who are dead.
    void has_gone_on(std::uint64_t deaths, std::uint64_t cut_off = 0)
    {
        BOOST_TEST(s.recover(10s).has_value());
        BOOST_TEST(s.recoveries() == deaths);
        for (auto const block : written)
        {
            BOOST_TEST(std::ranges::count(block, pattern) == std::ssize(block));
            BOOST_TEST(heap(s).deallocate(block.data()).has_value());
        }
        is_as_before(cut_off);
    }

    named<board>     calm{create_only, s, "calm"};
    pool<item>       elements{create_only, s, "elements", {.capacity = 4}};
    shared_ptr<node> kept;

    static constexpr unsigned char        pattern = 0xf0; // neither all bits of a hint nor none
    std::vector<std::span<unsigned char>> written;
    bool                                  uses_items = true;
    bool                                  has_cells  = true; // more of them without waiting for the heap
};

template <class Prepare>
void stands_still_anywhere(std::string const& role, std::uint64_t points, unsigned step, Prepare prepare,
                           segment_options const& segment_options = reference_segment())
{
    sampled const some(step);
    met_enough(for_every_stop_point([&](child_options const& options) {
                   scene     now(segment_options);
                   arguments given = now.name();
                   prepare(now, given);
                   child      victim(role, given, options);
                   bool const stopped = victim.wait_stopped(60s);
                   if (stopped)
                   {
                       answers_in_time(victim, [&] { now.go_on(); });
                       BOOST_TEST(count(now.s, liveness::dead) == 0u);
                   }
                   auto const status = finish(victim, stopped);
                   now.has_gone_on(0);
                   return status;
               }),
               points);
}

void stands_still_anywhere(std::string const& role, std::uint64_t points, unsigned step)
{
    stands_still_anywhere(role, points, step, [](scene&, arguments&) {});
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_stopped, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_makes_and_drops_in_the_heap_stands_still_anywhere)
{
    stands_still_anywhere("heap_maker", 100, 6);
}

BOOST_AUTO_TEST_CASE(who_makes_objects_in_constructors_stands_still_anywhere)
{
    stands_still_anywhere("nested_maker", 100, 12);
}

BOOST_AUTO_TEST_CASE(who_makes_and_drops_in_pools_stands_still_anywhere)
{
    stands_still_anywhere("pool_maker", 50, 2);
}

BOOST_AUTO_TEST_CASE(who_exhausts_a_pool_stands_still_anywhere)
{
    stands_still_anywhere("pool_exhauster", 50, 4, [](scene& now, arguments&) {
        now.bare->element = nullptr; // the place that it needs
        now.uses_items    = false;
    });
}

BOOST_AUTO_TEST_CASE(whose_constructors_throw_stands_still_anywhere)
{
    stands_still_anywhere("thrower", 100, 12);
}

BOOST_AUTO_TEST_CASE(who_shares_through_a_guarded_object_stands_still_anywhere)
{
    stands_still_anywhere("sharer", 100, 6, [](scene& now, arguments&) {
        now.safe->lock(5s).value()->items.emplace_back(now.bare->element.share().value());
    });
}

BOOST_AUTO_TEST_CASE(who_moves_references_in_containers_stands_still_anywhere)
{
    stands_still_anywhere("shuffler", 100, 8);
}

BOOST_AUTO_TEST_CASE(who_locks_weak_references_stands_still_anywhere)
{
    stands_still_anywhere("weak_locker", 20, 1);
}

BOOST_AUTO_TEST_CASE(who_assigns_references_to_heap_objects_stands_still_anywhere)
{
    stands_still_anywhere("assigner", 100, 8);
}

BOOST_AUTO_TEST_CASE(who_assigns_references_to_elements_stands_still_anywhere)
{
    stands_still_anywhere("element_assigner", 100, 8);
}

BOOST_AUTO_TEST_CASE(who_destroys_a_graph_stands_still_anywhere)
{
    stands_still_anywhere("graph_dropper", 100, 4);
}

BOOST_AUTO_TEST_CASE(who_drops_the_last_element_of_a_pool_of_others_stands_still_anywhere)
{
    stands_still_anywhere("last_dropper", 50, 8, &leave_elements);
}

BOOST_AUTO_TEST_CASE(who_shares_and_drops_the_last_element_of_a_pool_of_others_stands_still_anywhere)
{
    stands_still_anywhere("last_sharer", 50, 8, &leave_elements);
}

BOOST_AUTO_TEST_CASE(who_opens_and_closes_pools_stands_still_anywhere)
{
    stands_still_anywhere("pool_opener", 100, 10);
}

BOOST_AUTO_TEST_CASE(who_needs_more_cells_for_its_references_stands_still_anywhere)
{
    stands_still_anywhere("cells_grower", 20, 3);
}

BOOST_AUTO_TEST_CASE(who_needs_more_cells_in_the_segment_stands_still_anywhere)
{
    stands_still_anywhere("segment_cells_grower", 20, 10, [](scene& now, arguments& given) {
        given.push_back(now.kept_cells());
        now.has_cells = false;
    });
}

BOOST_AUTO_TEST_CASE(who_needs_more_records_stands_still_anywhere)
{
    stands_still_anywhere("records_grower", 20, 10,
                          [](scene& now, arguments& given) { given.push_back(now.kept_records()); });
}

BOOST_AUTO_TEST_CASE(who_lets_a_pool_grow_stands_still_anywhere)
{
    stands_still_anywhere("generations_maker", 200, 16);
}

BOOST_AUTO_TEST_CASE(threads_that_share_a_lane_stand_still_anywhere)
{
    auto narrow  = reference_segment();
    narrow.lanes = 1;
    stands_still_anywhere(
        "crowd", 50, 6, [](scene&, arguments&) {}, narrow);
}

BOOST_AUTO_TEST_CASE(who_leaves_stands_still_anywhere)
{
    stands_still_anywhere("reference_leaver", 50, 20);
}

BOOST_AUTO_TEST_CASE(who_comes_stands_still_anywhere)
{
    stands_still_anywhere("newcomer", 50, 10, [](scene&, arguments& given) { given.push_back("armed"); });
}

BOOST_AUTO_TEST_CASE(who_recovers_stands_still_anywhere)
{
    sampled const some(6);
    met_enough(for_every_stop_point([](child_options const& options) {
                   scene now;
                   child victim = ready_child("reference_recoverer", now.name(), options);
                   ready_child("owner_of_references", now.name()).kill();
                   victim.close_input();
                   bool const stopped = victim.wait_stopped(60s);
                   if (stopped)
                       answers_in_time(victim, [&] { now.go_on(); });
                   auto const status = finish(victim, stopped);
                   now.has_gone_on(1);
                   return status;
               }),
               100);
}

// The mark that says that the dead one's swing has happened goes in the middle of being looked for.
BOOST_AUTO_TEST_CASE(who_recovers_stands_still_while_others_change_the_same_count)
{
    for (char const* point : {"reference.attached", "reference.detached"})
    {
        for (std::uint64_t hit : {1u, 2u})
        {
            scene now;
            child recoverer =
                ready_child("reference_recoverer", now.name(), {.stop_at_name = "reference.recover.looked"});
            auto const held = now.bare->one.share().value();
            BOOST_TEST(run("weak_locker", now.name(), {.crash_at_name = point, .hit = hit}) == killed(SIGKILL));
            recoverer.close_input();
            BOOST_TEST(recoverer.wait_stopped(30s));
            BOOST_TEST(weak_ptr<node>(held).lock().has_value());
            recoverer.resume();
            BOOST_TEST(recoverer.wait(30s) == exited(0));
            now.has_gone_on(1, 1); // its own object may have been between the last drop and its destructor
        }
    }
}

// The dead one's cells count until somebody recovers, whoever has its row by then: anybody can.
BOOST_AUTO_TEST_CASE(who_takes_over_the_row_of_a_dead_one_stands_still_anywhere)
{
    sampled const some(5);
    auto          full = reference_segment();
    full.participants  = 2;
    met_enough(for_every_stop_point([&](child_options const& options) {
                   scene now(full);
                   ready_child("owner_of_references", now.name()).kill();
                   child      victim("newcomer", {now.s.name(), "armed"}, options);
                   bool const stopped = victim.wait_stopped(60s);
                   if (stopped)
                       answers_in_time(victim, [&] { now.go_on(); });
                   auto const status = finish(victim, stopped);
                   now.has_gone_on(1);
                   return status;
               }),
               200);
}

// The pool has no element any more, but it is being written to.
BOOST_AUTO_TEST_CASE(a_pool_stays_while_who_dropped_its_last_element_stands_still)
{
    for (char const* point : {"object.freed", "hints.bit_set", "hints.summary_set"})
    {
        for (std::uint64_t hit = 1; hit < 4; ++hit)
        {
            scene     now;
            arguments given = now.name();
            leave_elements(now, given);
            child      victim("last_dropper", given, {.stop_at_name = point, .hit = hit});
            bool const stopped = victim.wait_stopped(60s);
            if (stopped)
                answers_in_time(victim, [&] { now.go_on(); });
            BOOST_TEST(finish(victim, stopped) == exited(0));
            now.has_gone_on(0);
        }
    }
}

// What it has left pending for itself may be destroyed by them, and the places be others' by the time it goes on.
template <class Prepare> void stands_still_while_others_recover(std::string const& role, Prepare prepare)
{
    sampled const some(3);
    met_enough(for_every_stop_point([&](child_options const& options) {
                   scene     now;
                   arguments given = now.name();
                   prepare(now, given);
                   child      dies = ready_child("owner_without_names", now.name());
                   child      victim(role, given, options);
                   bool const stopped = victim.wait_stopped(60s);
                   dies.kill();
                   if (stopped)
                   {
                       answers_in_time(victim, [&] { now.go_on(); });
                       answers_in_time(victim, [&] { now.go_on(); });
                   }
                   auto const status = finish(victim, stopped);
                   now.has_gone_on(1);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_destroys_a_graph_stands_still_while_others_recover)
{
    stands_still_while_others_recover("graph_dropper", [](scene&, arguments&) {});
}

BOOST_AUTO_TEST_CASE(who_drops_elements_of_others_in_a_destructor_stands_still_while_others_recover)
{
    stands_still_while_others_recover("last_dropper_in_a_destructor", &leave_elements);
}

// Not even once each time: that would be too long.
BOOST_AUTO_TEST_CASE(elements_and_references_wait_for_nobody_who_has_the_heap)
{
    scene now;
    {
        child user = ready_child("stranger_user", now.name()); // leaves something pending, that nobody here knows
        child maker("stranger_leaver", now.name());
        BOOST_TEST(maker.wait(30s) == exited(0));
        now.bare->unknown = nullptr;
        child still       = stopped_heap_holder(now.s.name());
        answers_in_time(still, [&] {
            for (int n = 0; n < 100; ++n)
            {
                now.use_elements();
                now.use_references();
            }
        });
        BOOST_TEST(finish(still, true) == exited(0));
        let_end(user);
    }
    now.has_gone_on(0);
}

BOOST_AUTO_TEST_SUITE_END()
