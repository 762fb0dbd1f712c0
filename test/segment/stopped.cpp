/// A process is stopped between any two steps of its life in a segment: the others go on, and nobody takes it for dead.
#include <atrium/segment/segment.hpp>

#include "segment/crash_roles.hpp"
#include "segment/stopped_answers.hpp"
#include "support/crash_driver.hpp"
#include "support/leak_check.hpp"

#include <optional>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// Who has attached is not held up by whoever is stopped: not in using, growing, looking, asking, recovering.
void goes_on(segment& user)
{
    BOOST_TEST(lanes_to_be_had(user, 1) == 1u);
    BOOST_TEST(count(user, liveness::dead) == 0u);
    user.attached()->tend();
    auto const recovered = user.recover(1ms);
    BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
    if (recovered)
        BOOST_TEST(recovered.value().dead.empty());
}

// Joining needs the life-cycle byte: it works, or ends at its deadline.
void lets_a_newcomer_in_or_says_why(std::string const& name)
{
    auto const code = opening_as_another(name);
    BOOST_TEST((!code || code == errc::timed_out || code == errc::not_found));
}

void is_long_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

ATRIUM_TEST_ROLE(code_of_opening)
{
    arm();
    say(opening(open_only, arguments.at(0)).message());
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(segment_stopped, leaves_nothing)

BOOST_AUTO_TEST_CASE(an_opener_or_leaver_is_stopped_beside_others)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const             name = unique_name("open");
                       std::optional<segment> user(std::in_place, create_only, name, few_places());
                       child                  victim("open_and_leave", {name}, options);
                       bool const             stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] {
                           goes_on(*user);
                           lets_a_newcomer_in_or_says_why(name);
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(opening_as_another(name) == error_code());
                       BOOST_TEST(user->participants().size() == 1u);
                       BOOST_TEST(user->recoveries() == 0u); // nobody was taken for dead
                       BOOST_TEST(lanes_to_be_had(*user, 4) == 4u);
                       user.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(the_others_leave_while_one_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const             name = unique_name("alone");
                       std::optional<segment> user(std::in_place, create_only, name, few_places());
                       child                  victim("open_or_create_and_leave", {name}, options);
                       bool const             stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] { user.reset(); });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(!is_there(name)); // the one that was stopped sees to it
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(a_leaver_that_has_let_go_of_the_life_cycle_byte_counts_no_more)
{
    auto const             name = unique_name("let_go");
    std::optional<segment> user(std::in_place, create_only, name, few_places());
    child                  victim("open_and_leave", {name}, {.stop_at_name = "segment.leave.let_go"});
    BOOST_REQUIRE(victim.wait_stopped(20s));
    answers_in_time(victim, [&] { user.reset(); });
    BOOST_TEST(!is_there(name)); // though the one that is stopped has not closed its descriptor yet
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
}

BOOST_AUTO_TEST_CASE(a_creator_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("create");
                       child      victim("open_or_create_and_leave", {name}, options);
                       bool const stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] {
                           auto const code = opening(open_or_create, name, few_places());
                           BOOST_TEST((!code || code == errc::timed_out));
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(a_forced_remover_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const             name = unique_name("force");
                       std::optional<segment> user(std::in_place, create_only, name, few_places());
                       child                  victim("remover", {name, "force"}, options);
                       bool const             stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] { goes_on(*user); });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(!is_there(name));
                       BOOST_TEST(user->status() == segment_status::retired);
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(whoever_asked_all_to_leave_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("close");
                       segment    user(create_only, name, few_places());
                       child      victim("closer", {name}, options);
                       bool const stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] {
                           goes_on(user);
                           if (stopped)
                               BOOST_TEST(user.request_close(1ms).error() == errc::timed_out);
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(user.request_close(5s).has_value());
                       return status;
                   }),
                   1);
}

BOOST_AUTO_TEST_CASE(a_user_of_lanes_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("lanes");
                       segment    user(create_only, name, few_places());
                       child      victim("lane_user", {name}, options);
                       bool const stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] { goes_on(user); });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
                       return status;
                   }),
                   6);
}

BOOST_AUTO_TEST_CASE(a_recoverer_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const     name = unique_name("recover");
                       segment        user(create_only, name, few_places());
                       participant_id dead;
                       child          victim = attached_child("recoverer", name, options);
                       {
                           child lost = attached_child("lane_holder", name);
                           for (auto const& p : user.participants())
                           {
                               if (p.pid == static_cast<std::uint32_t>(lost.pid()))
                                   dead = p.id;
                           }
                           lost.kill();
                       }
                       victim.send_line("go");
                       bool const stopped = victim.wait_stopped(20s);
                       // Whoever waits for the dead one hears of it all the same, and nobody else is held up.
                       answers_in_time(victim, [&] {
                           BOOST_TEST(user.attached()->ask(dead) == liveness::dead);
                           BOOST_TEST(lanes_to_be_had(user, 1) == 1u);
                           user.attached()->tend();
                           auto const recovered = user.recover(1ms);
                           BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
                           BOOST_TEST(opening_as_another(name) == error_code());
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(user.recover(5s).has_value());
                       BOOST_TEST(user.participants().size() == 1u);
                       BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
                       return status;
                   }),
                   6);
}

BOOST_AUTO_TEST_CASE(a_recoverer_that_is_late_takes_no_lane_from_the_living)
{
    auto const name = unique_name("late");
    segment    user(create_only, name, few_places());
    child      leaver = attached_child("lane_holder", name); // has the first two lanes
    child      victim = attached_child("recoverer", name, {.stop_at_name = "segment.recover.lane_seen"});
    leave_a_dead_one(name);
    victim.send_line("go");
    BOOST_REQUIRE(victim.wait_stopped(20s)); // has read whose the first lane is
    leaver.close_input();
    BOOST_TEST(leaver.wait(20s) == exited(0));
    BOOST_TEST(user.attached()->lane().value() == user.attached()->participant_count());
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(lanes_to_be_had(user, 4) == 3u); // the first is still ours
}

BOOST_AUTO_TEST_CASE(who_needs_what_a_stopped_recoverer_holds_is_told_so)
{
    auto const name = unique_name("busy");
    segment    user(create_only, name, few_places());
    child      victim = attached_child("recoverer", name, {.stop_at_name = "segment.recover.locked"});
    leave_a_dead_one(name);
    victim.send_line("go");
    BOOST_REQUIRE(victim.wait_stopped(20s));
    answers_in_time(victim, [&] { BOOST_TEST(user.recover(1ms).error() == errc::recovery_busy); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(user.recover(5s).has_value());
    BOOST_TEST(user.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_newcomer_is_told_that_the_rows_of_the_dead_are_being_recovered)
{
    auto const name     = unique_name("rows");
    auto       places   = few_places();
    places.participants = 3;
    segment user(create_only, name, places);
    child   victim = attached_child("recoverer", name, {.stop_at_name = "segment.recover.released"});
    leave_a_dead_one(name);
    victim.send_line("go");
    BOOST_REQUIRE(victim.wait_stopped(20s));
    answers_in_time(victim, [&] { BOOST_TEST(opening_as_another(name) == errc::recovery_busy); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(opening_as_another(name) == error_code());
}

BOOST_AUTO_TEST_CASE(the_holders_limit_does_not_count_a_dead_one_that_is_being_recovered)
{
    auto const name      = unique_name("count");
    auto       places    = few_places();
    places.holders_limit = 3;
    segment user(create_only, name, places);
    child   victim = attached_child("recoverer", name, {.stop_at_name = "segment.recover.released"});
    leave_a_dead_one(name);
    victim.send_line("go");
    BOOST_REQUIRE(victim.wait_stopped(20s));
    answers_in_time(victim, [&] { BOOST_TEST(opening_as_another(name) == error_code()); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
}

BOOST_AUTO_TEST_CASE(whoever_is_stopped_while_it_joins_is_not_overlooked_by_request_close)
{
    auto const name = unique_name("joining");
    segment    user(create_only, name, few_places());
    child      victim("open_and_leave", {name}, {.stop_at_name = "segment.join.byte_locked"});
    BOOST_REQUIRE(victim.wait_stopped(20s));
    answers_in_time(victim, [&] { BOOST_TEST(user.request_close(20ms).error() == errc::timed_out); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(user.request_close(5s).has_value());
}

BOOST_AUTO_TEST_CASE(a_row_that_could_not_be_recovered_stays_a_dead_ones)
{
    auto const name     = unique_name("given_up");
    auto       places   = few_places();
    places.participants = 3;
    segment user(create_only, name, places);
    leave_a_dead_one(name);
    child victim = attached_child("recoverer", name, {.stop_at_name = "segment.recover.locked"});
    BOOST_TEST(user.participants().size() == 2u);
    leave_a_dead_one(name);
    victim.send_line("go");
    BOOST_REQUIRE(victim.wait_stopped(20s)); // has the recovery byte, and no row yet
    // Takes over the dead one's row, and gives it up.
    answers_in_time(victim, [&] { BOOST_TEST(opening_as_another(name) == errc::recovery_busy); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(user.participants().size() == 1u);
    BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_between_the_check_and_the_mapping_is_too_short)
{
    auto const name = unique_name("cut");
    attached_child("first_user", name).kill();
    child victim("code_of_opening", {name}, {.stop_at_name = "segment.open.locked"});
    BOOST_REQUIRE(victim.wait_stopped(20s));
    BOOST_REQUIRE(::truncate(path_of(name).c_str(), 8192) == 0);
    victim.resume();
    BOOST_TEST((victim.line(20s) == make_error_code(errc::too_short).message()));
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(segment::remove(name, true).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
