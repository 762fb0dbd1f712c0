/// A process stands still between any two steps of what it does with memory and names: the others keep their deadlines,
/// free what they have, take nobody for dead, and all goes on when it goes on.
#include <atrium/memory/named.hpp>

#include "memory/crash_roles.hpp"
#include "segment/stopped_answers.hpp"

#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr auto soon = 10ms;

// Whatever stands in the way says so by the deadline.
bool is_told_in_time(error_code error)
{
    return !error || error == errc::timed_out || error == errc::under_construction || error == errc::recovery_busy;
}

ATRIUM_TEST_ROLE(armed_joins)
{
    arm();
    segment const s(open_only, arguments.at(0), {.open_timeout = 30s});
    return 0;
}

// What the others do meanwhile. `patient` are the blocks that they have from before.
void others_go_on(segment& s, std::vector<void*>& patient)
{
    heap       h(s);
    auto const block = h.allocate(64, soon);
    BOOST_TEST((block.has_value() || block.error() == errc::timed_out));
    if (block)
        BOOST_TEST(h.deallocate(*block).has_value());
    // Freeing waits for nobody.
    BOOST_TEST(h.deallocate(patient.back()).has_value());
    patient.pop_back();
    named_options const hasty{.patience = soon};
    BOOST_TEST(is_told_in_time(code_of([&] { named<std::uint64_t> const n(open_or_create, s, "mine", hasty); })));
    BOOST_TEST(is_told_in_time(code_of([&] { named<noted> const n(open_or_create, s, "object", hasty); })));
    auto const recovered = s.recover(soon);
    BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
    BOOST_TEST(count(s, liveness::dead) == 0u);
}

// What was in use before the victim came, and blocks that the others have from before.
struct scene
{
    segment                s{create_only, unique_name("stop"), small_segment()};
    std::optional<counted> all{std::in_place, s};
    std::uint64_t          used    = used_bytes(s);
    std::vector<void*>     patient = {heap(s).allocate(100, 5s).value(), heap(s).allocate(100, 5s).value()};

    // The victim is stopped; then it goes on, and ends well.
    template <class Others> exit_status stand_still(child& victim, Others others)
    {
        bool const stopped = victim.wait_stopped(60s);
        if (stopped)
            answers_in_time(victim, others);
        return finish(victim, stopped);
    }

    // Nobody but those `deaths` was taken for dead.
    void is_as_before(std::uint64_t deaths = 0)
    {
        for (void* const block : patient)
            BOOST_TEST(heap(s).deallocate(block).has_value());
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(s.recoveries() == deaths);
        BOOST_TEST((*all)->alive.load() == 0u);
        BOOST_TEST((*all)->most_alive.load() <= 1u);
        heap_is_as_before(s, used);
    }
};

void met_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

// A victim that has the segment to itself, but for the others.
void stops_anywhere(std::string const& role, std::uint64_t points)
{
    met_enough(for_every_stop_point([&](child_options const& options) {
                   scene      now;
                   child      victim(role, {now.s.name()}, options);
                   auto const status = now.stand_still(victim, [&] { others_go_on(now.s, now.patient); });
                   now.is_as_before();
                   return status;
               }),
               points);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_stopped, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_makes_an_object_and_drops_it_stands_still_anywhere)
{
    stops_anywhere("maker", 100);
}

BOOST_AUTO_TEST_CASE(who_says_that_an_object_is_kept_stands_still_anywhere)
{
    stops_anywhere("keep_setter", 50);
}

BOOST_AUTO_TEST_CASE(who_allocates_grows_and_frees_stands_still_anywhere)
{
    stops_anywhere("block_user", 150);
}

BOOST_AUTO_TEST_CASE(who_leaves_stands_still_anywhere)
{
    stops_anywhere("leaver", 50);
}

BOOST_AUTO_TEST_CASE(who_opens_an_object_of_another_stands_still_anywhere)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   scene                       now;
                   std::optional<named<noted>> object(std::in_place, create_only, now.s, "object");
                   child                       victim("opener", {now.s.name()}, options);
                   auto const status = now.stand_still(victim, [&] { others_go_on(now.s, now.patient); });
                   BOOST_TEST((*object)->texts.size() == 3u);
                   BOOST_TEST(info_of(now.s, "object")->holders == 1u);
                   object.reset();
                   now.is_as_before();
                   return status;
               }),
               5);
}

BOOST_AUTO_TEST_CASE(who_destroys_what_was_left_pending_stands_still_anywhere)
{
    sampled const some(8);
    met_enough(for_every_stop_point([](child_options const& options) {
                   scene now;
                   child victim = ready_child("heir", {now.s.name()}, options);
                   leave_all(now.s.name());
                   child ignorant("heap_user", {now.s.name()});
                   BOOST_TEST(ignorant.wait(30s) == exited(0)); // recovers as it joins
                   BOOST_TEST((info_of(now.s, "object")->state == named_object_state::pending));
                   victim.close_input();
                   auto const status = now.stand_still(victim, [&] { others_go_on(now.s, now.patient); });
                   BOOST_TEST(!info_of(now.s, "object"));
                   BOOST_TEST(((*now.all)->destruction_began.load() == (*now.all)->constructed.load()));
                   now.is_as_before(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(who_recovers_stands_still_anywhere)
{
    met_enough(for_every_stop_point([](child_options const& options) {
                   scene now;
                   child victim = ready_child("recoverer", {now.s.name()}, options);
                   leave_all(now.s.name());
                   victim.close_input();
                   auto const status = now.stand_still(victim, [&] {
                       // As long as there are dead ones, those who need a recovery hear that somebody is at it.
                       segment&   s = now.s;
                       heap       h(s);
                       auto const recovered = s.recover(soon);
                       BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
                       BOOST_TEST(h.deallocate(now.patient.back()).has_value());
                       now.patient.pop_back();
                       auto const block = h.allocate(64, soon);
                       BOOST_TEST((block.has_value() || block.error() == errc::timed_out));
                       if (block)
                           BOOST_TEST(h.deallocate(*block).has_value());
                       named_options const hasty{.patience = soon};
                       BOOST_TEST(
                           is_told_in_time(code_of([&] { named<stuck> const n(open_or_create, s, "half", hasty); })));
                   });
                   {
                       named<noted> const object(open_or_create, now.s, "object");
                   }
                   now.is_as_before(1);
                   return status;
               }),
               100);
}

BOOST_AUTO_TEST_CASE(what_somebody_else_recovers_serves_who_needs_it_as_well)
{
    segment s(create_only, unique_name("stop"), small_segment());
    heap    h(s);
    child   recoverer = ready_child("recoverer", {s.name()}, {.stop_at_name = "segment.recover.locked"});
    child   dead      = ready_child("owner_of_all", {s.name()});
    for (std::size_t const size : {3000u, 16u})
    {
        while (h.allocate(size, 5s))
        {}
    }
    dead.kill();
    recoverer.close_input();
    BOOST_TEST(recoverer.wait_stopped(30s));
    error_code  error;
    std::thread other([&] { error = h.allocate(16, 60s).has_value() ? error_code() : errc::out_of_memory; });
    // Meanwhile it comes to wait for the recovery that stands still.
    answers_in_time(recoverer, [&] {
        for (int n = 0; n < 50; ++n)
            BOOST_TEST(s.recover(1ms).error() == errc::recovery_busy);
    });
    recoverer.resume();
    other.join();
    BOOST_TEST(!error);
    BOOST_TEST(recoverer.wait(30s) == exited(0));
}

BOOST_AUTO_TEST_CASE(a_name_whose_maker_is_dead_does_not_wait_for_a_newcomer_that_stands_still_in_its_row)
{
    auto tight         = small_segment();
    tight.participants = 2;
    segment const narrow(create_only, unique_name("narrow"), tight);
    leave_all(narrow.name());
    child newcomer("armed_joins", {narrow.name()}, {.stop_at_name = "segment.open.joined"});
    BOOST_TEST(newcomer.wait_stopped(30s)); // in the row of the dead one, which it has still to recover for
    answers_in_time(newcomer, [&] {
        named<stuck> const n(open_or_create, narrow, "half", named_options{.patience = 50ms});
        BOOST_TEST(n.created());
    });
    newcomer.resume();
    BOOST_TEST(newcomer.wait(30s) == exited(0));
    named<stuck> const n(open_or_create, narrow, "half");
    BOOST_TEST(n.created());
}

BOOST_AUTO_TEST_SUITE_END()
