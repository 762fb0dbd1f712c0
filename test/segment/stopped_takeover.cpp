/// A newcomer is stopped, or dies, between any two steps of taking the row of a dead one over: the dead one stays dead
/// for everybody, and no recovery says that it is complete before the dead one's traces are gone.
#include <atrium/segment/list.hpp>
#include <atrium/segment/segment.hpp>

#include "segment/crash_roles.hpp"
#include "segment/stopped_answers.hpp"
#include "segment/takeover_points.hpp"
#include "support/crash_driver.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <optional>
#include <vector>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

segment_options places_for(std::uint32_t participants)
{
    auto places         = few_places();
    places.participants = participants;
    return places;
}

participant_id id_of(segment const& in, child const& who)
{
    for (auto const& p : in.participants())
    {
        if (p.pid == static_cast<std::uint32_t>(who.pid()))
            return p.id;
    }
    return {};
}

// No place is free: one is this process's, the other a dead one's, which had two lanes.
struct scene
{
    std::string    name = unique_name("takeover");
    segment        user{create_only, name, places_for(2)};
    participant_id dead = lose_one();

    participant_id lose_one()
    {
        child      lost = attached_child("lane_holder", name);
        auto const id   = id_of(user, lost);
        lost.kill();
        return id;
    }

    // All traces are gone by now; and whoever comes next is no newcomer that is waited for.
    void is_clean(std::uint64_t recoveries)
    {
        BOOST_TEST(user.participants().size() == 1u);
        BOOST_TEST(user.recoveries() == recoveries);
        BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
        child next = attached_child("recoverer", name);
        BOOST_TEST(user.recover(0s).has_value());
        BOOST_TEST(user.participants().size() == 2u);
        BOOST_TEST(count(user, liveness::alive) == 2u);
        next.close_input();
        BOOST_TEST(next.wait(20s) == exited(0));
    }
};

// What is said of the dead one, and of the one that is coming.
void is_told_truly(scene& now, child const& newcomer, std::string const& point)
{
    BOOST_TEST(now.user.attached()->ask(now.dead) == liveness::dead);
    for (auto const& p : now.user.participants())
    {
        if (p.pid == static_cast<std::uint32_t>(newcomer.pid()))
            BOOST_TEST((p.id != now.dead && p.state == liveness::alive));
    }
    if (!is_before_its_row(point))
        return;
    BOOST_TEST(count(now.user, liveness::dead) == 1u);
    BOOST_TEST(count(segment(open_read_only, now.name), liveness::dead) == 1u);
    auto const seen = summarize_segment(now.name);
    BOOST_TEST(seen->dead == 1u);
    BOOST_TEST(seen->alive == 1u);
}

void is_long_enough(crash_report const& report)
{
    for (char const* const point : {"segment.join.noted", "segment.join.byte_locked", "segment.row.field",
                                    "segment.row.after_state", "segment.open.joined"})
        BOOST_TEST(report.names.contains(point));
    BOOST_TEST(report.failures == 0u);
}

constexpr char const* while_it_holds_the_row[] = {"segment.join.byte_locked", "segment.join.incarnation_drawn",
                                                  "segment.row.field", "segment.row.after_state",
                                                  "segment.open.joined"};

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_stopped_takeover, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_newcomer_stands_still_anywhere)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
        scene      now;
        child      victim("open_and_leave", {now.name}, options);
        bool const stopped = victim.wait_stopped(20s);
        auto const point   = victim.last_point();
        answers_in_time(victim, [&] {
            is_told_truly(now, victim, point);
            now.user.attached()->tend(); // waits for nobody
            auto const recovered = now.user.recover(0s);
            if (stopped && (is_joining(point) || point.starts_with("segment.leave.")))
                BOOST_TEST(recovered.has_value());
            if (stopped && holds_the_row(point))
            {
                BOOST_TEST(now.user.recoveries() == 1u); // by who tended
                BOOST_TEST(lanes_to_be_had(now.user, 4) == 4u);
            }
            is_told_truly(now, victim, recovered ? "" : point);
        });
        auto const status = finish(victim, stopped);
        BOOST_TEST(now.user.recover(5s).has_value());
        now.is_clean(1);
        return status;
    }));
}

BOOST_AUTO_TEST_CASE(a_newcomer_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
        scene      now;
        child      victim("open_and_leave", {now.name}, options);
        auto const status = victim.wait(20s);
        BOOST_TEST(now.user.attached()->ask(now.dead) == liveness::dead);
        BOOST_TEST(now.user.recover(5s).has_value());
        BOOST_TEST(now.user.recover(0s).value().dead.empty());
        auto const recoveries = now.user.recoveries(); // one more where it had recovered, and died then
        BOOST_TEST((recoveries == 1u || recoveries == 2u));
        now.is_clean(recoveries);
        return status;
    }));
}

BOOST_AUTO_TEST_CASE(a_newcomer_that_was_recovered_for_and_then_dies_leaves_a_clean_row)
{
    for (char const* const point : while_it_holds_the_row)
    {
        scene now;
        child victim("open_and_leave", {now.name}, {.stop_at_name = point});
        BOOST_REQUIRE(victim.wait_stopped(20s));
        auto const recovered = now.user.recover(20s);
        BOOST_REQUIRE(recovered.has_value());
        BOOST_TEST(recovered->dead.size() == 1u);
        BOOST_TEST((recovered->dead[0] == now.dead));
        BOOST_TEST(recovered->lanes_released == 2u);
        victim.kill();
        auto const again = now.user.recover(20s);
        BOOST_REQUIRE(again.has_value());
        BOOST_TEST(again->dead.size() == (is_before_its_row(point) ? 0u : 1u)); // nobody, or the newcomer
        now.is_clean(is_before_its_row(point) ? 1u : 2u);
    }
}

BOOST_AUTO_TEST_CASE(a_newcomer_is_let_in_beside_another_that_stands_still)
{
    auto const name = unique_name("two");
    segment    user(create_only, name, places_for(3));
    child      first  = attached_child("lane_holder", name);
    child      second = attached_child("lane_holder", name);
    first.kill();
    child victim("open_and_leave", {name}, {.stop_at_name = "segment.open.joined"});
    BOOST_REQUIRE(victim.wait_stopped(20s)); // in the row of the first
    second.kill();
    answers_in_time(victim, [&] {
        BOOST_TEST(opening_as_another(name) == error_code()); // in the row of the second
        BOOST_TEST(user.participants().size() == 2u);
        BOOST_TEST(lanes_to_be_had(user, 2) == 2u);
    });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
}

BOOST_AUTO_TEST_CASE(a_recovery_is_for_all_of_the_dead_though_a_newcomer_stands_still)
{
    auto const                   name = unique_name("report");
    segment                      user(create_only, name, places_for(3));
    std::vector<recovery_report> heard;
    auto const keep  = user.on_recovery([&](recovery_report const& report) { heard.push_back(report); });
    child      first = attached_child("lane_holder", name);
    child      other = attached_child("lane_holder", name);
    auto const id    = id_of(user, other);
    first.kill();
    child victim("open_and_leave", {name}, {.stop_at_name = "segment.join.byte_locked"});
    BOOST_REQUIRE(victim.wait_stopped(20s));
    other.kill();
    answers_in_time(victim, [&] { BOOST_TEST(user.recover(0s).has_value()); });
    BOOST_REQUIRE(heard.size() == 1u);
    BOOST_REQUIRE(heard[0].dead.size() == 2u);
    BOOST_TEST(std::count(heard[0].dead.begin(), heard[0].dead.end(), id) == 1);
    BOOST_TEST(heard[0].lanes_released == 4u);
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(user.participants().size() == 1u);
    BOOST_TEST(user.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_note_that_has_become_stale_is_not_left_in_the_row)
{
    for (bool const recovered_meanwhile : {false, true})
    {
        auto const name = unique_name("stale");
        segment    user(create_only, name, places_for(2));
        child      former = attached_child("lane_holder", name);
        auto const id     = id_of(user, former);
        if (recovered_meanwhile)
            former.kill();
        // What it has seen last is that the row is attached, or that nobody holds its byte.
        child victim("open_and_leave", {name},
                     {.stop_at_name = recovered_meanwhile ? "segment.join.noted" : "segment.join.row_seen",
                      .hit          = recovered_meanwhile ? 1u : 2u});
        BOOST_REQUIRE(victim.wait_stopped(20s));
        answers_in_time(victim, [&] {
            if (recovered_meanwhile)
                BOOST_TEST(user.recover(0s).value().dead.size() == 1u);
            else
            {
                BOOST_TEST(user.attached()->ask(id) == liveness::alive);
                former.close_input();
                BOOST_TEST(former.wait(answers_within) == exited(0));
            }
        });
        victim.resume();
        BOOST_TEST(victim.wait(20s) == exited(0));
        child next = attached_child("recoverer", name);
        BOOST_TEST(user.recover(0s).has_value());
        BOOST_TEST(count(user, liveness::alive) == 2u);
        next.close_input();
        BOOST_TEST(next.wait(20s) == exited(0));
        BOOST_TEST(user.recoveries() == (recovered_meanwhile ? 1u : 0u));
    }
}

BOOST_AUTO_TEST_SUITE_END()
