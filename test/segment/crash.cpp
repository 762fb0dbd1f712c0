/// A process dies between any two steps of its life in a segment: nobody is held up, nothing is lost, nothing is left.
#include <atrium/segment/list.hpp>
#include <atrium/segment/segment.hpp>

#include "segment/crash_roles.hpp"
#include "support/crash_driver.hpp"
#include "support/leak_check.hpp"

#include <optional>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// A dead process's traces are gone after one recovery, and its places are to be had again.
void recovers_completely(segment& survivor)
{
    auto const report = survivor.recover(5s);
    BOOST_TEST(report.has_value());
    BOOST_TEST(survivor.participants().size() == 1u);
    BOOST_TEST(lanes_to_be_had(survivor, 4) == 4u);
    BOOST_TEST(survivor.recover(5s).value().dead.empty());
}

// A newcomer joins, leaves, and is not remembered.
void lets_a_newcomer_in(segment& survivor)
{
    BOOST_TEST(opening_as_another(survivor.name()) == error_code());
    BOOST_TEST(survivor.participants().size() == 1u);
}

// Whatever is under the name, if anything: the next one can use it, and nothing is left when he goes.
void name_is_usable(std::string const& name)
{
    {
        segment s(open_or_create, name, few_places());
        recovers_completely(s);
        lets_a_newcomer_in(s);
    }
    BOOST_TEST(!is_there(name));
}

// Nobody alive is left. What `atrium clean` (`clean --kept`) does then leaves nothing, and the name can be had anew.
void is_cleaned_away(std::string const& name, bool kept = false)
{
    bool const there = is_there(name);
    auto const seen  = summarize_segment(name);
    BOOST_TEST(seen.has_value() == there);
    if (seen)
    {
        BOOST_TEST(seen->error == error_code()); // what cannot be used would be left alone
        BOOST_TEST(seen->alive == 0u);
        BOOST_TEST(seen->kept == kept);
    }
    if (there && kept)
    {
        BOOST_TEST(remove_abandoned_segment(name, {}).error() == errc::segment_in_use);
        BOOST_TEST(is_there(name));
    }
    auto const removed = remove_abandoned_segment(name, {}, kept);
    BOOST_TEST(removed.has_value() == there);
    BOOST_TEST((removed || removed.error() == errc::not_found));
    BOOST_TEST(!is_there(name));
    {
        segment next(create_only, name, few_places());
        BOOST_TEST(next.self().incarnation() == 1u); // nothing of the old one
        recovers_completely(next);
    }
    BOOST_TEST(!is_there(name));
}

exit_status run(std::string const& role, arguments const& given, child_options const& options)
{
    child victim(role, given, options);
    return victim.wait(20s);
}

void is_long_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_crash, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_creator_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name   = unique_name("create");
                       auto const status = run("create_and_leave", {name}, options);
                       name_is_usable(name);
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(a_creator_dies_anywhere_and_the_next_creator_needs_the_name)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name   = unique_name("create");
                       auto const status = run("create_and_leave", {name}, options);
                       BOOST_TEST(opening(create_only, name, few_places()) == error_code());
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(what_a_killed_creator_leaves_is_cleaned_away)
{
    for (bool const kept : {false, true})
    {
        is_long_enough(for_every_crash_point([&](child_options const& options) {
                           auto const name   = unique_name("clean");
                           auto const given  = kept ? arguments{name, "keep"} : arguments{name};
                           auto const status = run("create_and_leave", given, options);
                           BOOST_TEST((kept || status != exited(0) || !is_there(name)));
                           is_cleaned_away(name, kept);
                           return status;
                       }),
                       10);
    }
}

BOOST_AUTO_TEST_CASE(what_the_killed_only_user_leaves_is_cleaned_away)
{
    for (bool const kept : {false, true})
    {
        is_long_enough(for_every_crash_point([&](child_options const& options) {
                           auto const name = unique_name("clean");
                           if (kept)
                               BOOST_TEST(run("create_and_leave", {name, "keep"}, {}) == exited(0));
                           else
                               attached_child("first_user", name).kill();
                           auto const status = run("open_and_leave", {name}, options);
                           is_cleaned_away(name, kept);
                           return status;
                       }),
                       10);
    }
}

BOOST_AUTO_TEST_CASE(what_the_killed_last_user_and_a_killed_forced_remover_leave_is_cleaned_away)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name   = unique_name("clean");
                       child      user   = attached_child("first_user", name);
                       auto const status = run("remover", {name, "force"}, options);
                       user.kill();
                       is_cleaned_away(name);
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(an_opener_or_leaver_dies_anywhere_beside_a_survivor)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const             name = unique_name("open");
                       std::optional<segment> survivor(std::in_place, create_only, name, few_places());
                       auto const             status = run("open_and_leave", {name}, options);
                       lets_a_newcomer_in(*survivor); // also before anybody has recovered
                       recovers_completely(*survivor);
                       survivor.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(a_survivor_leaves_without_having_noticed_a_death)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const             name = unique_name("blind");
                       std::optional<segment> survivor(std::in_place, create_only, name, few_places());
                       auto const             status = run("open_and_leave", {name}, options);
                       survivor.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(an_opener_of_an_abandoned_segment_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name = unique_name("abandoned");
                       attached_child("first_user", name).kill();
                       auto const status = run("open_or_create_and_leave", {name}, options);
                       name_is_usable(name);
                       return status;
                   }),
                   15);
}

BOOST_AUTO_TEST_CASE(a_remover_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name = unique_name("remove");
                       attached_child("first_user", name).kill();
                       auto const status = run("remover", {name, "gently"}, options);
                       name_is_usable(name);
                       return status;
                   }),
                   2);
}

BOOST_AUTO_TEST_CASE(a_forced_remover_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const             name = unique_name("force");
                       std::optional<segment> user(std::in_place, create_only, name, few_places());
                       auto const             status = run("remover", {name, "force"}, options);
                       if (status == exited(0) || user->status() == segment_status::retired)
                       {
                           // Marked: nobody new gets it, whether its name went or not.
                           segment const fresh(open_or_create, name, few_places());
                           BOOST_TEST(fresh.created());
                           BOOST_TEST((fresh.creation_id() != user->creation_id()));
                       }
                       else
                           lets_a_newcomer_in(*user);
                       recovers_completely(*user);
                       user.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(a_forced_remover_dies_anywhere_and_the_next_creator_needs_the_name)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const    name = unique_name("force");
                       segment const user(create_only, name, few_places());
                       auto const    status = run("remover", {name, "force"}, options);
                       bool const    marked = user.status() == segment_status::retired;
                       BOOST_TEST(opening(create_only, name, few_places()) ==
                                  (marked ? error_code() : make_error_code(errc::already_exists)));
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(a_grower_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name = unique_name("grow");
                       segment    survivor(create_only, name, few_places(true));
                       auto const status = run("grower", {name, "1000000"}, options);
                       BOOST_TEST(survivor.grow_flat_memory(2'000'000).has_value());
                       auto const bytes = survivor.flat_memory().value();
                       BOOST_TEST(bytes.size() >= 2'000'000u);
                       std::fill(bytes.begin(), bytes.end(), std::byte{1});
                       recovers_completely(survivor);
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(growers_that_overtake_each_other_shrink_nothing)
{
    is_long_enough(for_every_stop_point([](child_options const& options) {
                       auto const name = unique_name("overtake");
                       segment    survivor(create_only, name, few_places(true));
                       child      slow("grower", {name, "1000000"}, options);
                       bool const stopped = slow.wait_stopped(20s);
                       BOOST_TEST(survivor.grow_flat_memory(2'000'000).has_value());
                       if (stopped)
                           slow.resume();
                       auto const status = slow.wait(20s);
                       BOOST_TEST(survivor.flat_memory().value().size() >= 2'000'000u);
                       return status;
                   }),
                   3);
}

BOOST_AUTO_TEST_CASE(whoever_asked_all_to_leave_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const             name = unique_name("close");
                       std::optional<segment> survivor(std::in_place, create_only, name, few_places());
                       auto const             status = run("closer", {name}, options);
                       recovers_completely(*survivor);
                       BOOST_TEST(survivor->request_close(5s).has_value());
                       survivor.reset();
                       BOOST_TEST(!is_there(name));
                       return status;
                   }),
                   1);
}

BOOST_AUTO_TEST_CASE(a_user_of_lanes_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name = unique_name("lanes");
                       segment    survivor(create_only, name, few_places());
                       auto const status = run("lane_user", {name}, options);
                       BOOST_TEST(lanes_to_be_had(survivor, 4) == 4u); // without having asked for a recovery
                       recovers_completely(survivor);
                       return status;
                   }),
                   6);
}

BOOST_AUTO_TEST_CASE(a_recoverer_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name = unique_name("recover");
                       segment    survivor(create_only, name, few_places());
                       child      victim = attached_child("recoverer", name, options);
                       leave_a_dead_one(name);
                       victim.send_line("go");
                       auto const status = victim.wait(20s);
                       lets_a_newcomer_in(survivor);
                       recovers_completely(survivor);
                       return status;
                   }),
                   6);
}

BOOST_AUTO_TEST_CASE(whoever_takes_the_row_of_a_dead_one_dies_anywhere)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name     = unique_name("takeover");
                       auto       places   = few_places();
                       places.participants = 2;
                       segment survivor(create_only, name, places);
                       leave_a_dead_one(name);
                       auto const status = run("open_and_leave", {name}, options);
                       BOOST_TEST(opening_as_another(name) == error_code()); // by the same row
                       recovers_completely(survivor);
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(the_only_row_is_a_dead_ones)
{
    is_long_enough(for_every_crash_point([](child_options const& options) {
                       auto const name     = unique_name("only");
                       auto       places   = few_places();
                       places.participants = 1;
                       places.keep         = true;
                       {
                           segment const made(create_only, name, places);
                       }
                       leave_a_dead_one(name);
                       auto const status = run("open_and_leave", {name}, options);
                       {
                           segment next(open_only, name);
                           recovers_completely(next);
                       }
                       BOOST_TEST(segment::remove(name).has_value());
                       return status;
                   }),
                   10);
}

BOOST_AUTO_TEST_CASE(a_leaver_and_whoever_recovers_for_it_both_die)
{
    auto const report = for_crash_pairs([](child_options const& first, child_options const& second) {
        auto const name = unique_name("pair");
        segment    survivor(create_only, name, few_places());
        child      other  = attached_child("recoverer", name, second);
        auto const leaver = run("open_and_leave", {name}, first);
        other.send_line("go");
        auto const recovering = other.wait(20s);
        lets_a_newcomer_in(survivor);
        recovers_completely(survivor);
        return pair_status{leaver, recovering};
    });
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(two_in_a_row_die_while_they_take_over_the_only_row)
{
    auto const report = for_crash_pairs([](child_options const& first, child_options const& second) {
        auto const name     = unique_name("pair");
        auto       places   = few_places();
        places.participants = 2;
        segment survivor(create_only, name, places);
        leave_a_dead_one(name);
        auto const one = run("open_and_leave", {name}, first);
        auto const two = run("open_and_leave", {name}, second);
        BOOST_TEST(opening_as_another(name) == error_code());
        recovers_completely(survivor);
        return pair_status{one, two};
    });
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(two_openers_of_an_abandoned_segment_die)
{
    auto const report = for_crash_pairs([](child_options const& first, child_options const& second) {
        auto const name = unique_name("pair");
        attached_child("first_user", name).kill();
        auto const one = run("open_or_create_and_leave", {name}, first);
        auto const two = run("open_or_create_and_leave", {name}, second);
        name_is_usable(name);
        return pair_status{one, two};
    });
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
