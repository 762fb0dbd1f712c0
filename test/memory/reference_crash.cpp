/// A process dies between any two steps of what it does with counted objects: nobody is held up, no place, cell or
/// count is lost, and destructors begin once.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_scene.hpp"
#include "segment/stopped_answers.hpp"

#include <csignal>
#include <optional>
#include <string_view>

using namespace atrium;
using namespace atrium::test;

namespace {

// A victim with nobody else but the survivor.
template <class Prepare>
void dies_anywhere(std::string const& role, std::uint64_t points, std::uint64_t cut_off, Prepare prepare,
                   segment_options const& segment_options = reference_segment())
{
    met_enough(for_every_crash_point([&](child_options const& options) {
                   reference_scene now(segment_options);
                   arguments       given = now.name();
                   prepare(now, given);
                   prepare_others(now, options.crash_at);
                   auto const status = run(role, given, options);
                   others_go_on(now, options.crash_at);
                   now.is_as_before(status == exited(0) ? 0 : cut_off);
                   newcomer_can_join(now, options.crash_at);
                   return status;
               }),
               points);
}

void dies_anywhere(std::string const& role, std::uint64_t points, std::uint64_t cut_off = 1)
{
    dies_anywhere(role, points, cut_off, [](reference_scene&, arguments&) {});
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_crash, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_makes_and_drops_in_the_heap_dies_anywhere)
{
    dies_anywhere("heap_maker", 100);
}

BOOST_AUTO_TEST_CASE(who_makes_objects_in_constructors_dies_anywhere)
{
    sampled const some(2);
    dies_anywhere("nested_maker", 100);
}

BOOST_AUTO_TEST_CASE(who_makes_and_drops_in_pools_dies_anywhere)
{
    dies_anywhere("pool_maker", 50);
}

BOOST_AUTO_TEST_CASE(who_exhausts_a_pool_dies_anywhere)
{
    dies_anywhere("pool_exhauster", 50, 1, [](reference_scene& now, arguments&) {
        now.bare->element = nullptr; // the place that it needs
    });
}

BOOST_AUTO_TEST_CASE(whose_constructors_throw_dies_anywhere)
{
    dies_anywhere("thrower", 100, 3);
}

BOOST_AUTO_TEST_CASE(who_shares_through_a_guarded_object_dies_anywhere)
{
    dies_anywhere("sharer", 100, 1, [](reference_scene& now, arguments&) {
        now.safe->lock(5s).value()->items.emplace_back(now.bare->element.share().value());
    });
}

BOOST_AUTO_TEST_CASE(who_moves_references_in_containers_dies_anywhere)
{
    dies_anywhere("shuffler", 100);
}

BOOST_AUTO_TEST_CASE(who_locks_weak_references_dies_anywhere)
{
    dies_anywhere("weak_locker", 20);
}

// What it has made, and not yet counted, is given up where the place is used again or the container goes.
BOOST_AUTO_TEST_CASE(who_changes_an_unguarded_container_dies_anywhere)
{
    auto const report = for_every_crash_point([](child_options const& options) {
        reference_scene now;
        std::optional   place(named<holder_of_collector>(create_only, now.s, "place"));
        (*place)->held = atrium::make_shared<collector>(now.s).value();
        {
            auto const shared = (*place)->held.share().value();
            shared->all.reserve(8);
            shared->all.emplace_back(now.bare->element.share().value());
        }
        auto const status = run("careless_changer", now.name(), options);
        BOOST_TEST(now.s.recover(10s).has_value());
        if (options.crash_at % 2 == 0)
        {
            auto const shared = (*place)->held.share().value();
            for (int n = 0; n < 3; ++n)
                shared->all.emplace_back(now.bare->element.share().value());
        }
        BOOST_TEST((*place)->held.share().value()->all.size() <= 7u);
        place.reset();
        now.is_as_before(1);
        return status;
    });
    met_enough(report, 50);
}

// What the dead one did last is overwritten first, and what it did before that afterwards.
BOOST_AUTO_TEST_CASE(who_died_after_two_swings_is_known_by_the_later_one)
{
    for (char const* point : {"reference.attached", "reference.detached"})
    {
        reference_scene now;
        auto const      one     = now.bare->one.share().value();
        auto const      element = now.bare->element.share().value();
        BOOST_TEST(run("sharer_of_two", now.name(), {.crash_at_name = point, .hit = 2}) == killed(SIGKILL));
        auto const change_counts = [&](auto const& first, auto const& second) {
            BOOST_TEST(weak_ptr(first).lock().has_value());
            BOOST_TEST(weak_ptr(second).lock().has_value());
        };
        if (std::string_view(point) == "reference.attached")
            change_counts(one, element);
        else // dropped in the reverse order
            change_counts(element, one);
        now.is_as_before(0);
    }
}

BOOST_AUTO_TEST_CASE(who_assigns_references_to_heap_objects_dies_anywhere)
{
    dies_anywhere("assigner", 100);
}

BOOST_AUTO_TEST_CASE(who_assigns_references_to_elements_dies_anywhere)
{
    dies_anywhere("element_assigner", 100);
}

BOOST_AUTO_TEST_CASE(who_destroys_a_graph_dies_anywhere)
{
    dies_anywhere("graph_dropper", 100);
}

BOOST_AUTO_TEST_CASE(who_clears_the_last_reference_to_a_graph_dies_anywhere)
{
    dies_anywhere("graph_clearer", 100);
}

BOOST_AUTO_TEST_CASE(who_drops_the_last_element_of_a_pool_of_others_dies_anywhere)
{
    dies_anywhere("last_dropper", 50, 1, &leave_elements);
}

BOOST_AUTO_TEST_CASE(who_drops_the_last_element_of_a_pool_of_others_in_a_destructor_dies_anywhere)
{
    dies_anywhere("last_dropper_in_a_destructor", 50, 1, &leave_elements);
}

// With all others in use, the place that the victim freed is missed at once where nobody is told of it.
BOOST_AUTO_TEST_CASE(who_drops_an_element_of_a_pool_that_it_has_not_open_dies_anywhere)
{
    auto const report = for_every_crash_point([](child_options const& options) {
        reference_scene               now;
        std::vector<shared_ptr<item>> others;
        while (auto made = now.items.make(2u))
            others.push_back(std::move(*made));
        auto const status = run("visiting_dropper", now.name(), options);
        BOOST_TEST(now.s.recover(10s).has_value());
        if (now.bare->element == nullptr)
        {
            auto fresh = now.items.make(1u);
            BOOST_TEST(fresh.has_value());
            now.bare->element = std::move(*fresh);
        }
        BOOST_TEST(now.items.make(3u).error() == errc::exhausted);
        others.clear();
        now.is_as_before(status == exited(0) ? 0 : 1);
        return status;
    });
    met_enough(report, 20);
}

BOOST_AUTO_TEST_CASE(who_shares_and_drops_the_last_element_of_a_pool_of_others_dies_anywhere)
{
    dies_anywhere("last_sharer", 50, 1, &leave_elements);
}

BOOST_AUTO_TEST_CASE(who_opens_and_closes_pools_dies_anywhere)
{
    dies_anywhere("pool_opener", 100);
}

BOOST_AUTO_TEST_CASE(who_needs_more_cells_for_its_references_dies_anywhere)
{
    dies_anywhere("cells_grower", 20);
}

BOOST_AUTO_TEST_CASE(who_needs_more_cells_in_the_segment_dies_anywhere)
{
    dies_anywhere("segment_cells_grower", 20, 0,
                  [](reference_scene& now, arguments& given) { given.push_back(now.kept_cells()); });
}

BOOST_AUTO_TEST_CASE(who_needs_more_records_dies_anywhere)
{
    dies_anywhere("records_grower", 20, 0,
                  [](reference_scene& now, arguments& given) { given.push_back(now.kept_records()); });
}

BOOST_AUTO_TEST_CASE(who_lets_a_pool_grow_dies_anywhere)
{
    sampled const some(2);
    dies_anywhere("generations_maker", 200);
}

BOOST_AUTO_TEST_CASE(threads_that_share_a_lane_die_anywhere)
{
    auto narrow  = reference_segment();
    narrow.lanes = 1;
    dies_anywhere(
        "crowd", 50, 2, [](reference_scene&, arguments&) {}, narrow);
}

BOOST_AUTO_TEST_CASE(threads_with_lanes_of_their_own_die_anywhere)
{
    dies_anywhere("crowd", 50, 2);
}

BOOST_AUTO_TEST_CASE(who_leaves_dies_anywhere)
{
    sampled const some(3);
    dies_anywhere("reference_leaver", 50);
}

BOOST_AUTO_TEST_SUITE_END()
