/// A process is stopped between any two steps of what it does with a segment that the dead have left something in: the
/// others go on, and nobody takes it for dead.
#include <atrium/segment/segment.hpp>

#include "segment/crash_roles.hpp"
#include "segment/stopped_answers.hpp"
#include "support/crash_driver.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <optional>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// A newcomer that finds the life-cycle byte taken, or the rows of the dead guarded, is refused after a second: outside
// the long form this is seen at one point in five.
bool newcomer_tries(child_options const& victim)
{
    return long_form() || (victim.stop_at + seed()) % 5 == 0;
}

// Where it has a row at all, it is alive.
void counts_as_alive(segment const& in, child const& still)
{
    auto const all = in.participants();
    BOOST_TEST(std::none_of(all.begin(), all.end(), [&](participant_info const& p) {
        return p.pid == static_cast<std::uint32_t>(still.pid()) && p.state != liveness::alive;
    }));
}

// Looking changes nothing, so it waits for nobody.
void lets_a_reader_look(std::string const& name, child const& still)
{
    auto const code = code_of([&] { counts_as_alive(segment(open_read_only, name), still); });
    BOOST_TEST((!code || code == errc::not_found));
}

// Somebody who joins has what he needs, and leaves.
error_code joining(std::string const& name, child const& still)
{
    detail::unshared_opening const as_another;
    return code_of([&] {
        segment const newcomer(open_only, name);
        BOOST_TEST(lanes_to_be_had(newcomer, 1) == 1u);
        counts_as_alive(newcomer, still);
    });
}

void is_long_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_stopped_abandoned, leaves_nothing)

BOOST_AUTO_TEST_CASE(an_opener_of_an_abandoned_segment_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("abandoned");
                       attached_child("first_user", name).kill();
                       child      victim("open_or_create_and_leave", {name}, options);
                       bool const stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] {
                           lets_a_reader_look(name, victim);
                           if (!newcomer_tries(options))
                               return;
                           auto const code = joining(name, victim);
                           BOOST_TEST((!code || code == errc::timed_out || code == errc::not_found));
                           lets_a_reader_look(name, victim);
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   15);
}

BOOST_AUTO_TEST_CASE(a_remover_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("remove");
                       attached_child("first_user", name).kill();
                       child                  victim("remover", {name, "gently"}, options);
                       bool const             stopped = victim.wait_stopped(20s);
                       std::optional<segment> next;
                       answers_in_time(victim, [&] {
                           lets_a_reader_look(name, victim);
                           auto const joined = joining(name, victim);
                           BOOST_TEST((joined == errc::timed_out || joined == errc::not_found));
                           auto const removed = segment::remove(name);
                           BOOST_TEST((removed.error() == errc::timed_out || removed.error() == errc::not_found));
                           auto const made = code_of([&] { next.emplace(create_only, name, few_places()); });
                           BOOST_TEST((!made || made == errc::already_exists));
                       });
                       auto const status = finish(victim, stopped);
                       // It has removed what it was to remove, and nothing that has come to have the name since.
                       BOOST_TEST(is_there(name) == next.has_value());
                       BOOST_TEST(opening_as_another(name) == (next ? error_code() : make_error_code(errc::not_found)));
                       next.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   2);
}

BOOST_AUTO_TEST_CASE(whoever_takes_the_row_of_a_dead_one_is_stopped)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name     = unique_name("takeover");
                       auto       places   = few_places();
                       places.participants = 2;
                       segment user(create_only, name, places);
                       leave_a_dead_one(name);
                       child      victim("open_and_leave", {name}, options);
                       bool const stopped = victim.wait_stopped(20s);
                       answers_in_time(victim, [&] {
                           counts_as_alive(user, victim);
                           BOOST_TEST(lanes_to_be_had(user, 1) == 1u);
                           user.attached()->tend();
                           auto const recovered = user.recover(1ms);
                           BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
                           counts_as_alive(user, victim);
                           lets_a_reader_look(name, victim);
                           if (!newcomer_tries(options))
                               return;
                           // The last row is the dead one's or the stopped one's, unless it was freed meanwhile.
                           auto const code = joining(name, victim);
                           BOOST_TEST((!code || code == errc::timed_out || code == errc::recovery_busy ||
                                       code == errc::too_many_participants));
                       });
                       auto const status = finish(victim, stopped);
                       BOOST_TEST(user.recover(5s).has_value());
                       BOOST_TEST(user.participants().size() == 1u);
                       BOOST_TEST(user.recoveries() == 1u); // for the dead one, nobody else
                       BOOST_TEST(lanes_to_be_had(user, 4) == 4u);
                       BOOST_TEST(opening_as_another(name) == error_code());
                       return status;
                   }),
                   15);
}

BOOST_AUTO_TEST_CASE(whoever_leaves_before_its_row_is_taken_is_not_taken_for_dead)
{
    auto const name     = unique_name("left");
    auto       places   = few_places();
    places.participants = 2;
    segment user(create_only, name, places);
    child   leaver = attached_child("lane_holder", name);
    child   victim("open_and_leave", {name}, {.stop_at_name = "segment.join.row_seen", .hit = 2});
    BOOST_REQUIRE(victim.wait_stopped(20s)); // has seen that the leaver has a row
    leaver.close_input();
    answers_in_time(victim, [&] { BOOST_TEST(leaver.wait(answers_within) == exited(0)); });
    victim.resume();
    BOOST_TEST(victim.wait(20s) == exited(0));
    BOOST_TEST(user.recoveries() == 0u);
    BOOST_TEST(user.participants().size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
