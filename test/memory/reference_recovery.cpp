/// Those who recover for the dead die as well, anywhere, and two die at once: whoever follows finds every count exact.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_scene.hpp"
#include "segment/stopped_answers.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

void nothing_more(reference_scene&, arguments&) {}

// A victim, then one that recovers for it, both killed; the survivor is the third.
template <class Prepare = void (*)(reference_scene&, arguments&)>
void both_die(std::string const& role, std::uint64_t cut_off = 2, Prepare prepare = &nothing_more,
              segment_options const& segment_options = reference_segment())
{
    auto const report = for_crash_pairs(
        [&](child_options const& first, child_options const& second) {
            reference_scene now(segment_options);
            child           recoverer = ready_child("reference_recoverer", now.name(), second);
            arguments       given     = now.name();
            prepare(now, given);
            prepare_others(now, first.crash_at + second.crash_at);
            auto ends = pair_status{run(role, given, first), {}};
            recoverer.close_input();
            ends.second = recoverer.wait(60s);
            others_go_on(now, first.crash_at + second.crash_at);
            now.is_as_before(cut_off);
            newcomer_can_join(now, second.crash_at);
            return ends;
        },
        40);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_recovery, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_recovers_for_one_that_had_everything_dies_anywhere)
{
    sampled const some(2);
    met_enough(for_every_crash_point([](child_options const& options) {
                   reference_scene now;
                   child           victim = ready_child("reference_recoverer", now.name(), options);
                   ready_child("owner_of_references", now.name()).kill();
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   others_go_on(now, options.crash_at);
                   now.is_as_before(1);
                   newcomer_can_join(now, options.crash_at);
                   return status;
               }),
               200);
}

BOOST_AUTO_TEST_CASE(two_recoverers_in_a_row_die)
{
    auto const report = for_crash_pairs(
        [](child_options const& first, child_options const& second) {
            reference_scene now;
            child           one   = ready_child("reference_recoverer", now.name(), first);
            child           other = ready_child("reference_recoverer", now.name(), second);
            ready_child("owner_of_references", now.name()).kill();
            one.close_input();
            pair_status ends;
            ends.first = one.wait(60s);
            other.close_input();
            ends.second = other.wait(60s);
            now.is_as_before(2);
            return ends;
        },
        60);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(maker_and_recoverer_die)
{
    both_die("heap_maker");
}

BOOST_AUTO_TEST_CASE(maker_in_constructors_and_recoverer_die)
{
    both_die("nested_maker");
}

BOOST_AUTO_TEST_CASE(maker_in_pools_and_recoverer_die)
{
    both_die("pool_maker");
}

BOOST_AUTO_TEST_CASE(thrower_and_recoverer_die)
{
    both_die("thrower", 4);
}

BOOST_AUTO_TEST_CASE(sharer_and_recoverer_die)
{
    both_die("sharer", 2, [](reference_scene& now, arguments&) {
        now.safe->lock(5s).value()->items.emplace_back(now.bare->element.share().value());
    });
}

BOOST_AUTO_TEST_CASE(shuffler_and_recoverer_die)
{
    both_die("shuffler");
}

BOOST_AUTO_TEST_CASE(assigner_and_recoverer_die)
{
    both_die("element_assigner");
}

BOOST_AUTO_TEST_CASE(destroyer_of_a_graph_and_recoverer_die)
{
    both_die("graph_clearer");
}

BOOST_AUTO_TEST_CASE(who_drops_the_last_element_of_a_pool_and_recoverer_die)
{
    both_die("last_dropper", 2, &leave_elements);
}

BOOST_AUTO_TEST_CASE(opener_of_pools_and_recoverer_die)
{
    both_die("pool_opener");
}

BOOST_AUTO_TEST_CASE(who_needs_more_cells_and_recoverer_die)
{
    both_die("segment_cells_grower", 1,
             [](reference_scene& now, arguments& given) { given.push_back(now.kept_cells()); });
}

BOOST_AUTO_TEST_CASE(who_lets_a_pool_grow_and_recoverer_die)
{
    both_die("generations_maker");
}

BOOST_AUTO_TEST_CASE(who_leaves_and_recoverer_die)
{
    both_die("reference_leaver");
}

BOOST_AUTO_TEST_CASE(threads_that_share_a_lane_and_recoverer_die)
{
    auto narrow  = reference_segment();
    narrow.lanes = 1;
    both_die("crowd", 3, &nothing_more, narrow);
}

BOOST_AUTO_TEST_CASE(who_rebuilds_a_torn_value_with_references_dies_anywhere)
{
    sampled const some(2);
    met_enough(for_every_crash_point([](child_options const& options) {
                   reference_scene now;
                   ready_child("owner_of_references", now.name()).kill();
                   auto const status = run("reference_rebuilder", now.name(), options);
                   others_go_on(now, options.crash_at);
                   now.lay_out(); // what is still torn has given up some of its references
                   now.is_as_before(1);
                   return status;
               }),
               50);
}

// A place that was claimed when the hints were empty, and that no lane says to keep.
BOOST_AUTO_TEST_CASE(who_recovers_for_one_that_died_in_a_constructor_or_destructor_dies_anywhere)
{
    for (char const* where : {"constructor", "destructor"})
    {
        met_enough(for_every_crash_point([&](child_options const& options) {
                       reference_scene now;
                       child           victim = ready_child("reference_recoverer", now.name(), options);
                       BOOST_TEST(run("dies_inside", {now.s.name(), where}) == killed(SIGKILL));
                       victim.close_input();
                       auto const status = victim.wait(60s);
                       now.is_as_before(2);
                       return status;
                   }),
                   50);
    }
}

// What has an unknown type where the last reference goes is destroyed by the next process that uses the type, also if
// that one has looked before.
BOOST_AUTO_TEST_CASE(who_makes_what_nobody_else_knows_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   reference_scene now;
                   child           user   = ready_child("stranger_user", now.name());
                   auto const      status = run("stranger_maker", now.name(), options);
                   BOOST_TEST(now.s.recover(10s).has_value());
                   now.bare->unknown = nullptr;
                   let_end(user);
                   now.is_as_before(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(two_with_references_to_each_others_objects_die_at_once)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   reference_scene now;
                   now.bare->element  = nullptr;
                   auto const stop_at = options.crash_at * 13 % 80 + 1;
                   auto       with    = [&](char const* which) { return arguments{now.s.name(), which}; };
                   child      one     = ready_child("crosser", with("first"), {.stop_at = stop_at});
                   child      other   = ready_child("crosser", with("second"), options);
                   for (child* c : {&one, &other})
                       c->send_line("take");
                   for (child* c : {&one, &other})
                       c->wait_for_line("ready", 30s);
                   one.send_line("go");
                   bool const stopped = one.wait_stopped(30s);
                   other.send_line("go");
                   auto const status = other.wait(60s);
                   if (stopped)
                       one.kill();
                   else
                       BOOST_TEST(one.wait(30s) == exited(0));
                   others_go_on(now, options.crash_at);
                   now.is_as_before(2);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_takes_over_the_row_of_a_dead_one_dies_anywhere)
{
    sampled const some(3);
    auto          full = reference_segment();
    full.participants  = 2;
    met_enough(for_every_crash_point([&](child_options const& options) {
                   reference_scene now(full);
                   ready_child("owner_of_references", now.name()).kill();
                   auto const status = run("newcomer", {now.s.name(), "armed"}, options);
                   BOOST_TEST(run("newcomer", now.name()) == exited(0));
                   now.is_as_before(2);
                   return status;
               }),
               200);
}

BOOST_AUTO_TEST_CASE(who_cannot_recover_for_the_row_that_it_took_over_leaves_all_to_others)
{
    auto full         = reference_segment();
    full.participants = 3;
    reference_scene now(full);
    child recoverer = ready_child("reference_recoverer", now.name(), {.stop_at_name = "segment.recover.locked"});
    ready_child("owner_without_names", now.name()).kill();
    recoverer.close_input();
    BOOST_TEST(recoverer.wait_stopped(30s));
    answers_in_time(recoverer, [&] {
        child impatient("impatient_newcomer", now.name());
        BOOST_TEST(impatient.wait(30s) == exited(0));
    });
    recoverer.resume();
    BOOST_TEST(recoverer.wait(30s) == exited(0));
    now.is_as_before(1);
}

// The destructor of such an object knows nothing of it.
BOOST_AUTO_TEST_CASE(what_a_container_lost_when_its_user_died_goes_when_somebody_asks_for_a_recovery)
{
    reference_scene now;
    static_cast<void>(detail::counted_type<losing>());
    ready_child("loser", now.name()).kill();
    BOOST_TEST(now.s.recover(10s).has_value());
    BOOST_TEST(blocks_of_objects(now.s) > now.blocks);
    auto const again = now.s.recover(10s).value();
    BOOST_TEST(again.dead.empty());
    BOOST_TEST(again.references_released == 1u);
    BOOST_TEST(again.blocks_reclaimed == 1u);
    BOOST_TEST(now.s.recoveries() == 1u);
    now.is_as_before(1);
}

BOOST_AUTO_TEST_CASE(who_makes_until_there_is_no_more_notices_the_dead)
{
    reference_scene now;
    ready_child("hoarder", now.name()).kill();
    ATRIUM_EVENTUALLY(now.items.make(1u).has_value(), 10s);
    now.is_as_before(0);
}

BOOST_AUTO_TEST_SUITE_END()
