/// A process stands still between any two steps of what it does with memory and names: the others keep their deadlines,
/// free what they have, take nobody for dead, and all goes on when it goes on.
#include <atrium/memory/named.hpp>

#include "memory/crash_roles.hpp"

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

// A victim is stopped anywhere; then it goes on, and ends well.
void stops_anywhere(std::string const& role, std::uint64_t points)
{
    auto const report = for_every_stop_point([&](child_options const& options) {
        segment             s(create_only, unique_name("stop"), small_segment());
        counted const       all(s);
        std::uint64_t const used = used_bytes(s);
        std::vector<void*>  patient(2);
        for (void*& block : patient)
            block = heap(s).allocate(100, 5s).value();
        child      victim(role, {s.name()}, options);
        bool const stopped = victim.wait_stopped(60s);
        if (stopped)
        {
            others_go_on(s, patient);
            victim.resume();
        }
        auto const status = victim.wait(60s);
        for (void* const block : patient)
            BOOST_TEST(heap(s).deallocate(block).has_value());
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(all->alive.load() == 0u);
        heap_is_as_before(s, used);
        return status;
    });
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
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

BOOST_AUTO_TEST_CASE(who_recovers_stands_still_anywhere)
{
    auto const report = for_every_stop_point([&](child_options const& options) {
        segment             s(create_only, unique_name("stop"), small_segment());
        counted const       all(s);
        std::uint64_t const used = used_bytes(s);
        std::vector<void*>  patient(2);
        for (void*& block : patient)
            block = heap(s).allocate(100, 5s).value();
        child victim = ready_child("recoverer", {s.name()}, options);
        leave_all(s.name());
        victim.close_input();
        if (victim.wait_stopped(60s))
        {
            // As long as there are dead ones, those who need a recovery hear that somebody is at it.
            heap       h(s);
            auto const recovered = s.recover(soon);
            BOOST_TEST((recovered.has_value() || recovered.error() == errc::recovery_busy));
            BOOST_TEST(h.deallocate(patient.back()).has_value());
            patient.pop_back();
            auto const block = h.allocate(64, soon);
            BOOST_TEST((block.has_value() || block.error() == errc::timed_out));
            if (block)
                BOOST_TEST(h.deallocate(*block).has_value());
            BOOST_TEST(is_told_in_time(
                code_of([&] { named<stuck> const n(open_or_create, s, "half", named_options{.patience = soon}); })));
            victim.resume();
        }
        auto const status = victim.wait(60s);
        for (void* const block : patient)
            BOOST_TEST(heap(s).deallocate(block).has_value());
        {
            named<noted> const object(open_or_create, s, "object");
        }
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(all->alive.load() == 0u);
        heap_is_as_before(s, used);
        return status;
    });
    BOOST_TEST(report.points >= 100u);
    BOOST_TEST(report.failures == 0u);
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
    for (int n = 0; n < 50; ++n) // meanwhile it comes to wait for the recovery that stands still
        BOOST_TEST(s.recover(1ms).error() == errc::recovery_busy);
    recoverer.resume();
    other.join();
    BOOST_TEST(!error);
    BOOST_TEST(recoverer.wait(30s) == exited(0));
}

BOOST_AUTO_TEST_CASE(a_name_whose_maker_is_dead_waits_for_a_newcomer_that_stands_still_in_its_row)
{
    auto tight         = small_segment();
    tight.participants = 2;
    segment const narrow(create_only, unique_name("narrow"), tight);
    leave_all(narrow.name());
    child newcomer("armed_joins", {narrow.name()}, {.stop_at_name = "segment.open.joined"});
    BOOST_TEST(newcomer.wait_stopped(30s)); // in the row of the dead one, which it has still to recover for
    BOOST_TEST(code_of([&] {
                   named<stuck> const n(open_or_create, narrow, "half", named_options{.patience = 50ms});
               }) == errc::recovery_busy);
    newcomer.resume();
    BOOST_TEST(newcomer.wait(30s) == exited(0));
    named<stuck> const n(open_or_create, narrow, "half");
    BOOST_TEST(n.created());
}

BOOST_AUTO_TEST_SUITE_END()
