/// A process stands still between any two steps of what it does with a guarded value: who needs the value is told by
/// the deadline, the others go on, nobody is taken for dead, and the value is whole when all has gone on.
#include <atrium/memory/guarded.hpp>

#include "memory/guarded_roles.hpp"
#include "segment/stopped_answers.hpp"
#include "support/crash_driver.hpp"

#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 10ms;

using safe_number = guarded<std::uint64_t>;

// The value, another beside it, and blocks that the others have from before.
struct scene
{
    segment                               s{create_only, unique_name("still"), small_segment()};
    std::uint64_t                         used = used_bytes(s);
    std::optional<named<safe_collection>> object{std::in_place, create_only, s, "all"};
    std::optional<named<safe_number>>     beside{std::in_place, create_only, s, "beside"};
    std::vector<void*>                    patient = {heap(s).allocate(100, 5s).value()};
    std::uint64_t                         deaths  = 0;

    // One dead process has left the value torn, and was recovered for.
    void is_torn()
    {
        tear(s.name());
        BOOST_TEST(s.recover(5s).has_value());
        deaths = 1;
    }

    // What the value and its name have nothing to do with.
    void others_go_on()
    {
        heap h(s);
        // Freeing waits for nobody; nor does what is guarded by another mutex.
        BOOST_TEST(h.deallocate(patient.back()).has_value());
        patient.pop_back();
        BOOST_TEST((*beside)->lock(soon).has_value());
        auto const block = h.allocate(64, soon);
        BOOST_TEST((block.has_value() || block.error() == errc::timed_out));
        if (block)
            BOOST_TEST(h.deallocate(*block).has_value());
        auto const recovered = s.recover(soon);
        BOOST_TEST_REQUIRE(recovered.has_value());
        BOOST_TEST(recovered->dead.empty());
        BOOST_TEST(count(s, liveness::dead) == 0u);
    }

    void is_as_before()
    {
        object.reset();
        beside.reset();
        for (void* const block : patient)
            BOOST_TEST(heap(s).deallocate(block).has_value());
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(s.recoveries() == deaths);
        heap_is_as_before(s, used);
    }
};

// Who needs the value has it whole, or hears by the deadline that somebody else has it.
void value_answers(scene& now)
{
    auto const held = (*now.object)->lock(soon);
    BOOST_TEST((held.has_value() || held.error() == errc::timed_out));
}

void stands_still_anywhere(std::string const& role, arguments const& more, bool torn, std::uint64_t points)
{
    auto const report = for_every_stop_point([&](child_options const& options) {
        scene now;
        if (torn)
            now.is_torn();
        arguments given = {now.s.name()};
        given.insert(given.end(), more.begin(), more.end());
        child      victim(role, given, options);
        bool const stopped = victim.wait_stopped(60s);
        answers_in_time(victim, [&] {
            now.others_go_on();
            value_answers(now);
        });
        auto const status = finish(victim, stopped);
        {
            auto held = (*now.object)->lock(5s);
            BOOST_TEST(held.has_value());
            change(**held, "vector");
        }
        now.is_as_before();
        return status;
    });
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_stopped_guarded, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_lets_a_vector_grow_stands_still_anywhere)
{
    sampled const some(4);
    stands_still_anywhere("changer", {"vector"}, false, 100);
}

BOOST_AUTO_TEST_CASE(who_inserts_into_a_map_stands_still_anywhere)
{
    sampled const some(2);
    stands_still_anywhere("changer", {"map"}, false, 50);
}

BOOST_AUTO_TEST_CASE(who_rehashes_a_hash_map_stands_still_anywhere)
{
    sampled const some(8);
    stands_still_anywhere("changer", {"hash"}, false, 100);
}

BOOST_AUTO_TEST_CASE(who_fills_and_clears_a_list_stands_still_anywhere)
{
    sampled const some(2);
    stands_still_anywhere("changer", {"list"}, false, 20);
}

BOOST_AUTO_TEST_CASE(who_rebuilds_a_torn_value_stands_still_anywhere)
{
    sampled const some(10);
    stands_still_anywhere("rebuilder", {}, true, 50);
}

BOOST_AUTO_TEST_CASE(who_repairs_a_torn_value_stands_still_anywhere)
{
    stands_still_anywhere("repairer", {}, true, 3);
}

BOOST_AUTO_TEST_CASE(who_destroys_a_torn_value_stands_still_anywhere)
{
    sampled const some(10);
    auto const    report = for_every_stop_point([](child_options const& options) {
        scene now;
        now.is_torn();
        child victim = ready_child("destroyer", {now.s.name()}, options);
        now.object.reset();
        victim.close_input();
        bool const stopped = victim.wait_stopped(60s);
        answers_in_time(victim, [&] {
            now.others_go_on();
            // The name is told to be busy, or to be had again; then with a value of its own.
            named_options const hasty{.patience = soon};
            auto const          code = code_of([&] {
                named<safe_collection> const next(open_or_create, now.s, "all", hasty);
                BOOST_TEST(next.created());
                BOOST_TEST(next->lock(soon).has_value());
            });
            BOOST_TEST((!code || code == errc::timed_out || code == errc::under_construction));
        });
        auto const status = finish(victim, stopped);
        now.object.emplace(open_or_create, now.s, "all");
        BOOST_TEST(now.object->created());
        now.is_as_before();
        return status;
    });
    BOOST_TEST(report.points >= 50u);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
