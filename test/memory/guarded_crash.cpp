/// Containers that are cut off anywhere while they grow behind their mutex, and rebuilds that are cut off as well.
#include <atrium/memory/guarded.hpp>

#include "memory/guarded_roles.hpp"
#include "support/crash_driver.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

exit_status run(std::string const& role, arguments const& given, child_options const& options)
{
    child victim(role, given, options);
    return victim.wait(60s);
}

// Exactly: what the dead had marked to be freed is freed by their recovery, whoever has rebuilt meanwhile.
void is_as_before(segment& s, std::uint64_t used)
{
    BOOST_TEST(s.recover(5s).has_value());
    heap_is_as_before(s, used);
}

void met_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

// A victim changes the value in one way; if it is torn afterwards it is rebuilt, and costs what a fresh one does.
void cut_off_anywhere(std::string const& how, std::uint64_t points)
{
    met_enough(for_every_crash_point([&](child_options const& options) {
                   segment             s(create_only, unique_name("torn"), small_segment());
                   std::uint64_t const used = used_bytes(s);
                   exit_status         status;
                   {
                       named<safe_collection> const object(create_only, s, "all");
                       std::uint64_t const          fresh = used_bytes(s);
                       status                             = run("changer", {s.name(), how}, options);
                       auto held                          = object->lock_for_repair(5s).value();
                       if (held.is_torn())
                       {
                           BOOST_TEST(heap(s).check(5s) == "");
                           held.rebuild();
                           is_as_before(s, fresh);
                       }
                       change(*held, how);
                       BOOST_TEST(heap(s).check(5s) == "");
                   }
                   is_as_before(s, used);
                   return status;
               }),
               points);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_guarded_crash, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_vector_that_grows_is_cut_off_anywhere)
{
    cut_off_anywhere("vector", 100);
}

BOOST_AUTO_TEST_CASE(a_map_that_is_inserted_into_is_cut_off_anywhere)
{
    cut_off_anywhere("map", 50);
}

BOOST_AUTO_TEST_CASE(a_hash_map_that_is_rehashed_is_cut_off_anywhere)
{
    cut_off_anywhere("hash", 100);
}

BOOST_AUTO_TEST_CASE(a_list_that_is_filled_and_cleared_is_cut_off_anywhere)
{
    cut_off_anywhere("list", 20);
}

BOOST_AUTO_TEST_CASE(a_rebuild_is_cut_off_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   segment             s(create_only, unique_name("rebuild"), small_segment());
                   std::uint64_t const used = used_bytes(s);
                   exit_status         status;
                   {
                       named<safe_collection> const object(create_only, s, "all");
                       std::uint64_t const          fresh = used_bytes(s);
                       tear(s.name());
                       status    = run("rebuilder", {s.name()}, options);
                       auto held = object->lock_for_repair(5s).value();
                       if (held.is_torn())
                       {
                           held.rebuild();
                           is_as_before(s, fresh);
                       }
                       change(*held, "vector");
                   }
                   is_as_before(s, used);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(a_repairer_is_cut_off_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   segment             s(create_only, unique_name("repair"), small_segment());
                   std::uint64_t const used = used_bytes(s);
                   exit_status         status;
                   {
                       named<safe_collection> const object(create_only, s, "all");
                       tear(s.name());
                       status    = run("repairer", {s.name()}, options);
                       auto held = object->lock_for_repair(5s).value();
                       BOOST_TEST((!held.is_torn() || status == killed(SIGKILL)));
                       if (held.is_torn())
                           held.mark_repaired();
                       BOOST_TEST(held->line.size() == 3u);
                   }
                   is_as_before(s, used);
                   return status;
               }),
               3);
}

BOOST_AUTO_TEST_CASE(the_destroyer_of_a_torn_value_is_cut_off_anywhere)
{
    met_enough(for_every_crash_point([](child_options const& options) {
                   segment                               s(create_only, unique_name("destroy"), small_segment());
                   std::uint64_t const                   used = used_bytes(s);
                   std::optional<named<safe_collection>> object(std::in_place, create_only, s, "all");
                   tear(s.name());
                   child victim = ready_child("destroyer", {s.name()}, options);
                   object.reset();
                   victim.close_input();
                   auto const status = victim.wait(60s);
                   BOOST_TEST(s.recover(5s).has_value());
                   object.emplace(open_or_create, s, "all");
                   BOOST_TEST(object->created());
                   object.reset();
                   heap_is_as_before(s, used);
                   return status;
               }),
               50);
}

BOOST_AUTO_TEST_CASE(changer_and_rebuilder_are_both_cut_off)
{
    auto const report = for_crash_pairs([](child_options const& first, child_options const& second) {
        segment             s(create_only, unique_name("pair"), small_segment());
        std::uint64_t const used = used_bytes(s);
        pair_status         ends;
        {
            named<safe_collection> const object(create_only, s, "all");
            ends.first  = run("changer", {s.name(), "vector"}, first);
            ends.second = run("rebuilder", {s.name()}, second);
            auto held   = object->lock_for_repair(5s).value();
            if (held.is_torn())
                held.rebuild();
            change(*held, "map");
            BOOST_TEST(heap(s).check(5s) == "");
        }
        is_as_before(s, used);
        return ends;
    });
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
