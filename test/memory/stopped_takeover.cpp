/// A newcomer stands still, or dies, while it takes the row of one who died with the heap and a guarded value in its
/// hands: the next gets them, and all is recovered exactly once.
#include <atrium/memory/guarded.hpp>

#include "memory/crash_roles.hpp"
#include "memory/guarded_roles.hpp"
#include "segment/stopped_answers.hpp"
#include "segment/takeover_points.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 10ms;

segment_options places_for(std::uint32_t participants)
{
    auto places         = small_segment();
    places.participants = participants;
    return places;
}

// Dies with the value half changed, and the heap.
ATRIUM_TEST_ROLE(holder_of_both)
{
    segment const                s(open_only, arguments.at(0));
    named<safe_collection> const object(open_only, s, "all");
    heap                         h(s);
    require(h.allocate(1000, 30s).has_value());
    auto held = object->lock_for_repair(30s).value();
    change(*held, "vector");
    auto const lock = detail::heap_lock::take(*detail::memory_of(*s.attached()).value(), 30s);
    require(lock.has_value());
    be_ready_until_told();
    return 0;
}

// Has all memory that is left.
ATRIUM_TEST_ROLE(hog)
{
    segment const s(open_only, arguments.at(0));
    heap          h(s);
    for (std::size_t const size : {30'000u, 3000u, 16u})
    {
        while (h.allocate(size, 30s))
        {}
    }
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(owner_of_nothing)
{
    segment const s(open_only, arguments.at(0));
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(newcomer)
{
    arm();
    {
        segment const s(open_only, arguments.at(0), {.open_timeout = 30s});
    }
    disarm();
    return 0;
}

// No place is free: one is this process's, the other the dead one's.
struct scene
{
    segment                               s{create_only, unique_name("both"), places_for(2)};
    std::uint64_t                         used = used_bytes(s);
    std::optional<named<safe_collection>> object{std::in_place, create_only, s, "all"};
    std::uint64_t                         fresh = used_bytes(s);

    scene() { ready_child("holder_of_both", {s.name()}).kill(); }

    void heap_is_to_be_had(deadline until)
    {
        heap       h(s);
        auto const block = h.allocate(64, until);
        BOOST_TEST(block.has_value());
        if (block)
            BOOST_TEST(h.deallocate(*block).has_value());
    }

    void value_is_told_to_be_torn(deadline until) { BOOST_TEST((*object)->lock(until).error() == errc::owner_died); }

    void is_recovered(std::uint64_t recoveries)
    {
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(s.recover(0s).value().dead.empty());
        BOOST_TEST(s.recoveries() == recoveries);
        BOOST_TEST(s.participants().size() == 1u);
        {
            auto held = (*object)->lock_or_rebuild(5s).value();
            BOOST_TEST(held->line.empty());
        }
        heap_is_as_before(s, fresh);
        object.reset();
        heap_is_as_before(s, used);
    }
};

void met_enough(crash_report const& report)
{
    for (char const* const point : {"segment.join.noted", "segment.join.byte_locked", "segment.row.field",
                                    "segment.row.after_state", "segment.open.joined"})
        BOOST_TEST(report.names.contains(point));
    BOOST_TEST(report.failures == 0u);
}

// Beyond the taking over the newcomer recovers: what happens then is seen in other tests.
void stands_still_anywhere(bool recovery_comes_first)
{
    met_enough(for_every_stop_point([&](child_options const& options) {
        scene      now;
        child      victim("newcomer", {now.s.name()}, options);
        bool const stopped = victim.wait_stopped(60s);
        auto const point   = victim.last_point();
        if (stopped && is_joining(point))
            answers_in_time(victim, [&] {
                if (recovery_comes_first)
                    BOOST_TEST(now.s.recover(0s).has_value());
                now.heap_is_to_be_had(soon);
                now.value_is_told_to_be_torn(soon);
                BOOST_TEST(now.s.recover(0s).has_value());
            });
        auto const status = finish(victim, stopped);
        now.is_recovered(1);
        return status;
    }));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_stopped_takeover, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_needs_what_the_dead_one_held_does_not_wait_for_a_newcomer_that_stands_still)
{
    stands_still_anywhere(false);
}

BOOST_AUTO_TEST_CASE(who_asks_for_a_recovery_gets_it_though_a_newcomer_stands_still)
{
    stands_still_anywhere(true);
}

BOOST_AUTO_TEST_CASE(a_newcomer_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
        scene      now;
        auto const status = run("newcomer", {now.s.name()}, options);
        now.heap_is_to_be_had(5s);
        now.value_is_told_to_be_torn(5s);
        BOOST_TEST(now.s.recover(5s).has_value());
        auto const recoveries = now.s.recoveries(); // one more where it had recovered, and died then
        BOOST_TEST((recoveries == 1u || recoveries == 2u));
        now.is_recovered(recoveries);
        return status;
    }));
}

BOOST_AUTO_TEST_CASE(who_needs_memory_that_the_dead_one_had_does_not_wait_for_the_newcomer)
{
    for (char const* const point : {"segment.join.byte_locked", "segment.row.after_state", "segment.open.joined"})
    {
        segment s(create_only, unique_name("hog"), places_for(2));
        heap    h(s);
        ready_child("hog", {s.name()}).kill();
        child victim("newcomer", {s.name()}, {.stop_at_name = point});
        BOOST_REQUIRE(victim.wait_stopped(30s));
        answers_in_time(victim, [&] { BOOST_TEST(h.allocate(16, 60s).has_value()); });
        victim.resume();
        BOOST_TEST(victim.wait(30s) == exited(0));
        BOOST_TEST(s.recoveries() == 1u);
    }
}

BOOST_AUTO_TEST_CASE(who_needs_memory_that_another_dead_one_had_does_not_wait_for_the_newcomer)
{
    segment s(create_only, unique_name("hog"), places_for(3));
    heap    h(s);
    child   rich = ready_child("hog", {s.name()});
    child   poor("owner_of_nothing", {s.name()});
    poor.wait_for_line("ready", 30s);
    poor.kill();
    child victim("newcomer", {s.name()}, {.stop_at_name = "segment.open.joined"});
    BOOST_REQUIRE(victim.wait_stopped(30s));
    rich.kill();
    answers_in_time(victim, [&] {
        BOOST_TEST(h.allocate(16, 60s).has_value());
        named<std::uint64_t> const number(create_only, s, "number", named_options{.patience = 60s});
        BOOST_TEST(s.recover(0s).has_value());
    });
    victim.resume();
    BOOST_TEST(victim.wait(30s) == exited(0));
    BOOST_TEST(s.recover(5s).has_value());
    BOOST_TEST(s.recoveries() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
