/// A process dies between any two steps of what it does with memory and names: nobody is held up, nothing is lost.
#include <atrium/memory/named.hpp>

#include "memory/crash_roles.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

// A survivor that knows all types, and what was in use before the victim came.
struct scene
{
    segment                s{create_only, unique_name("crash"), small_segment()};
    std::optional<counted> all{std::in_place, s};
    std::uint64_t          used = used_bytes(s);

    // ~T never begins twice, and is left out only where a death falls into the object's making or going.
    void lives_are_paired(std::uint64_t cut_off) const
    {
        auto const made  = (*all)->constructed.load();
        auto const ended = (*all)->destruction_began.load();
        BOOST_TEST(ended <= made);
        BOOST_TEST(made - ended <= cut_off);
    }

    // A name is to be had at once, before anybody has asked for a recovery; then it may be that of the dead one's
    // object, which is whole.
    void name_is_usable(std::string const& name) const
    {
        named<noted> const object(open_or_create, s, name);
        BOOST_TEST(object->texts.size() == (object.created() ? 3u : 1u));
    }

    void is_as_before()
    {
        BOOST_TEST(s.recover(10s).has_value());
        BOOST_TEST(s.participants().size() == 1u);
        BOOST_TEST(named_objects(s).value().size() == 1u); // the counts
        heap_is_as_before(s, used);
    }
};

void met_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_crash, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_makes_an_object_and_drops_it_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene      now;
                   auto const status = run("maker", {now.s.name()}, options);
                   now.name_is_usable("other");
                   now.name_is_usable("object");
                   now.is_as_before();
                   now.lives_are_paired(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(who_makes_an_object_and_drops_it_dies_anywhere_and_is_recovered_for)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene now;
                   now.name_is_usable("type");
                   auto const status = run("maker", {now.s.name()}, options);
                   now.is_as_before(); // without anybody having asked for the name
                   now.name_is_usable("object");
                   now.lives_are_paired(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(who_opens_an_object_of_another_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene                       now;
                   std::optional<named<noted>> object(std::in_place, create_only, now.s, "object");
                   auto const                  status = run("opener", {now.s.name()}, options);
                   BOOST_TEST(now.s.recover(10s).has_value());
                   BOOST_TEST((*object)->texts.size() == 3u);
                   BOOST_TEST(info_of(now.s, "object")->holders == 1u);
                   object.reset();
                   now.is_as_before();
                   now.lives_are_paired(0);
                   return status;
               }),
               5);
}

BOOST_AUTO_TEST_CASE(who_says_that_an_object_is_kept_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene      now;
                   auto const status = run("keep_setter", {now.s.name()}, options);
                   {
                       named<noted> object(open_or_create, now.s, "object");
                       BOOST_TEST(object.set_keep(false, 5s).has_value());
                   }
                   now.is_as_before();
                   now.lives_are_paired(1);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_allocates_grows_and_frees_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene      now;
                   auto const status = run("block_user", {now.s.name()}, options);
                   heap       h(now.s);
                   auto const block = h.allocate(100'000, 10s);
                   BOOST_TEST(block.has_value());
                   BOOST_TEST(h.deallocate(block.value()).has_value());
                   BOOST_TEST(h.check(10s) == "");
                   now.is_as_before();
                   return status;
               }),
               150);
}

BOOST_AUTO_TEST_CASE(who_leaves_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene      now;
                   auto const status = run("leaver", {now.s.name()}, options);
                   BOOST_TEST(heap(now.s).check(10s) == "");
                   now.is_as_before();
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(who_recovers_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene now;
                   child victim = ready_child("recoverer", {now.s.name()}, options);
                   leave_all(now.s.name());
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   now.name_is_usable("object");
                   now.is_as_before();
                   now.lives_are_paired(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(who_recovers_dies_anywhere_and_another_recovers_at_once)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene now;
                   now.name_is_usable("type");
                   child victim = ready_child("recoverer", {now.s.name()}, options);
                   leave_all(now.s.name());
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   BOOST_TEST(now.s.recover(10s).has_value());
                   now.name_is_usable("type"); // if it was left pending, with nobody dead any more
                   now.is_as_before();
                   now.name_is_usable("half");
                   now.lives_are_paired(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(who_destroys_what_was_left_pending_dies_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   scene now;
                   child victim = ready_child("heir", {now.s.name()}, options);
                   leave_all(now.s.name());
                   child ignorant("heap_user", {now.s.name()});
                   BOOST_TEST(ignorant.wait(30s) == exited(0)); // recovers as it joins
                   BOOST_TEST((info_of(now.s, "object")->state == named_object_state::pending));
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   now.name_is_usable("object");
                   now.is_as_before();
                   now.lives_are_paired(2);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(maker_and_recoverer_both_die)
{
    auto const report = for_crash_pairs(
        [](child_options const& first, child_options const& second) {
            scene now;
            child victim = ready_child("recoverer", {now.s.name()}, second);
            auto  ends   = pair_status{run("maker", {now.s.name()}, first), {}};
            victim.close_input();
            ends.second = victim.wait(60s);
            now.name_is_usable("object");
            now.is_as_before();
            now.lives_are_paired(1);
            return ends;
        },
        200);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(user_of_blocks_and_recoverer_both_die)
{
    auto const report = for_crash_pairs(
        [](child_options const& first, child_options const& second) {
            scene now;
            child victim = ready_child("recoverer", {now.s.name()}, second);
            auto  ends   = pair_status{run("block_user", {now.s.name()}, first), {}};
            victim.close_input();
            ends.second = victim.wait(60s);
            now.is_as_before();
            return ends;
        },
        200);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(two_recoverers_in_a_row_die)
{
    auto const report = for_crash_pairs(
        [](child_options const& first, child_options const& second) {
            scene now;
            child one   = ready_child("recoverer", {now.s.name()}, first);
            child other = ready_child("recoverer", {now.s.name()}, second);
            leave_all(now.s.name());
            one.close_input();
            pair_status ends;
            ends.first = one.wait(60s);
            other.close_input();
            ends.second = other.wait(60s);
            now.name_is_usable("object");
            now.is_as_before();
            now.lives_are_paired(1);
            return ends;
        },
        200);
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
