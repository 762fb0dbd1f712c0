/// A mutex between processes: one owner at a time, and the next hears of his death once.
#include <atrium/sync/recoverable_mutex.hpp>

#include "sync/desk.hpp"

#include <cstddef>
#include <new>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

void add(desk& d, int times)
{
    for (int n = 0; n < times; ++n)
    {
        auto const held = d.mutex.lock(60s).value();
        d.deaths.fetch_add(held.owner_died() ? 1 : 0);
        // Read and written with room in between for whoever is let in by mistake.
        auto const before = *const_cast<std::uint64_t volatile*>(&d.guarded);
        if (n % 64 == 0)
            std::this_thread::yield();
        *const_cast<std::uint64_t volatile*>(&d.guarded) = before + 1;
    }
}

ATRIUM_TEST_ROLE(adder)
{
    segment const s(open_only, arguments.at(0));
    std::thread   other([&] { add(desk_in(s), 3000); });
    add(desk_in(s), 3000);
    other.join();
    return 0;
}

// Waits for the mutex, and counts what it hears.
ATRIUM_TEST_ROLE(next_owner)
{
    segment const s(open_only, arguments.at(0));
    desk&         d = desk_in(s);
    say("ready");
    auto const held = d.mutex.lock(60s).value();
    d.deaths.fetch_add(held.owner_died() ? 1 : 0);
    d.said.fetch_add(1);
    return 0;
}

struct fixture : leaves_nothing, with_desk
{
    child new_owner() { return ready_child("owner", {s.name()}); }

    /// How the mutex comes to us now.
    bool owner_died() { return d.mutex.lock(30s).value().owner_died(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(sync_mutex, fixture)

BOOST_AUTO_TEST_CASE(one_thread_of_all_processes_has_it_at_a_time)
{
    std::vector<child> children;
    for (int n = 0; n < 3; ++n)
        children.emplace_back("adder", arguments{s.name()});
    std::thread other([&] { add(d, 3000); });
    add(d, 3000);
    other.join();
    for (child& c : children)
        BOOST_TEST(c.wait(60s) == exited(0));
    BOOST_TEST(d.guarded == 8 * 3000u);
    BOOST_TEST(d.deaths.load() == 0u);
    BOOST_TEST(!d.mutex.owner());
}

BOOST_AUTO_TEST_CASE(a_lock_is_let_go_of_once)
{
    auto held = d.mutex.lock(1s).value();
    BOOST_TEST(d.mutex.owner() == s.self());
    recoverable_lock moved(std::move(held));
    BOOST_TEST(!held.holds());
    BOOST_TEST(moved.holds());
    recoverable_lock assigned;
    assigned = std::move(moved);
    BOOST_TEST(d.mutex.try_lock().error() == errc::timed_out);
    assigned = recoverable_lock();
    BOOST_TEST(!d.mutex.owner());
    BOOST_TEST(d.mutex.try_lock().has_value());
    BOOST_TEST(d.mutex.try_lock().has_value());
}

BOOST_AUTO_TEST_CASE(a_taken_one_is_waited_for_up_to_the_deadline)
{
    child c = new_owner();
    BOOST_TEST(d.mutex.lock(20ms).error() == errc::timed_out);
    BOOST_TEST(d.mutex.lock(deadline::clock::now()).error() == errc::timed_out);
    BOOST_TEST(d.mutex.lock(0s).error() == errc::timed_out);
    BOOST_TEST(d.mutex.try_lock().error() == errc::timed_out);
    let_end(c);
    BOOST_TEST(!owner_died());
}

BOOST_AUTO_TEST_CASE(a_free_one_is_had_even_if_the_deadline_has_passed)
{
    BOOST_TEST(d.mutex.lock(deadline::clock::now() - 1s).has_value());
}

BOOST_AUTO_TEST_CASE(the_next_owner_hears_of_a_death_once)
{
    new_owner().kill();
    BOOST_TEST(owner_died());
    BOOST_TEST(!owner_died());
    new_owner().kill();
    BOOST_TEST(d.mutex.lock(no_deadline).value().owner_died());
    BOOST_TEST(!owner_died());
}

BOOST_AUTO_TEST_CASE(of_many_who_wait_one_hears_of_the_death)
{
    child              c = new_owner();
    std::vector<child> waiting;
    for (int n = 0; n < 4; ++n)
        waiting.push_back(ready_child("next_owner", {s.name()}));
    c.kill();
    for (child& w : waiting)
        BOOST_TEST(w.wait(60s) == exited(0));
    BOOST_TEST(d.said.load() == 4u);
    BOOST_TEST(d.deaths.load() == 1u);
}

BOOST_AUTO_TEST_CASE(whoever_hears_of_a_death_and_dies_passes_it_on)
{
    new_owner().kill();
    new_owner().kill(); // it has become the owner, and told nobody
    BOOST_TEST(owner_died());
    BOOST_TEST(!owner_died());
}

BOOST_AUTO_TEST_CASE(a_death_that_was_recovered_for_is_known_without_waiting)
{
    new_owner().kill();
    BOOST_TEST(s.recover(10s).value().dead.size() == 1u);
    BOOST_TEST(d.mutex.try_lock().value().owner_died());
    BOOST_TEST(!d.mutex.try_lock().value().owner_died());
}

BOOST_AUTO_TEST_CASE(the_row_of_a_dead_owner_has_another_user)
{
    auto narrow         = flat_segment();
    narrow.participants = 2;
    with_desk few(narrow);
    ready_child("owner", {few.s.name()}).kill();
    child other = ready_child("bystander", {few.s.name()}); // by the same row
    BOOST_TEST(few.d.mutex.owner().row() == 1u);
    BOOST_TEST(few.s.participants().size() == 2u);
    BOOST_TEST(few.d.mutex.try_lock().value().owner_died());
    BOOST_TEST(!few.d.mutex.try_lock().value().owner_died());
    let_end(other);
    ready_child("owner", {few.s.name()}).kill();
    child same = ready_child("owner", {few.s.name()}); // gets what its predecessor in the row had
    BOOST_TEST(few.d.mutex.try_lock().error() == errc::timed_out);
    let_end(same);
}

BOOST_AUTO_TEST_CASE(whoever_leaves_with_it_is_as_good_as_dead)
{
    {
        detail::unshared_opening const as_another;
        segment                        other(open_only, s.name());
        BOOST_TEST(desk_in(other).mutex.acquire(*other.attached(), 1s).has_value()); // never let go of
    }
    BOOST_TEST(d.mutex.try_lock().value().owner_died());
}

BOOST_AUTO_TEST_CASE(who_only_ever_tries_gets_it_from_a_dead_owner)
{
    with_desk patient(flat_segment(1min)); // nobody asks about lives by himself
    ready_child("owner", {patient.s.name()}).kill();
    BOOST_TEST(patient.d.mutex.try_lock().value().owner_died());
}

BOOST_AUTO_TEST_CASE(who_waits_in_short_pieces_gets_it_from_a_dead_owner)
{
    with_desk patient(flat_segment(1min));
    ready_child("owner", {patient.s.name()}).kill();
    BOOST_TEST(patient.d.mutex.lock(1ms).value().owner_died());
}

BOOST_AUTO_TEST_CASE(who_takes_it_from_the_dead_recovers_for_them)
{
    new_owner().kill();
    BOOST_TEST(owner_died());
    BOOST_TEST(s.recoveries() == 1u);
    BOOST_TEST(s.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_stopped_owner_is_waited_for)
{
    child c = new_owner();
    c.stop();
    BOOST_TEST(d.mutex.lock(50ms).error() == errc::timed_out); // many times the detection time
    BOOST_TEST(count(s, liveness::dead) == 0u);
    bool        died = true;
    std::thread waiting([&] { died = d.mutex.lock(60s).value().owner_died(); });
    c.resume();
    let_end(c);
    waiting.join();
    BOOST_TEST(!died);
}

BOOST_AUTO_TEST_CASE(a_forked_child_is_told_so_and_lets_go_of_nothing)
{
    auto        held = d.mutex.lock(1s).value();
    pid_t const pid  = ::fork();
    if (pid == 0)
    {
        bool refused = false;
        {
            recoverable_lock const mine(std::move(held));
            auto const             got = d.mutex.lock(1s);
            refused = !mine.holds() && got.has_error() && got.error() == errc::forked && d.mutex.try_lock().has_error();
        }
        ::_exit(refused ? 0 : 1);
    }
    int status = 0;
    BOOST_TEST(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
    BOOST_TEST(held.holds());
    BOOST_TEST(d.mutex.owner() == s.self());
}

BOOST_AUTO_TEST_CASE(one_outside_of_segments_or_mapped_for_reading_is_refused)
{
    recoverable_mutex outside;
    BOOST_TEST(outside.lock(1s).error() == errc::invalid_argument);
    BOOST_TEST(outside.try_lock().error() == errc::invalid_argument);
    segment const reading(open_read_only, s.name());
    BOOST_TEST(desk_in(reading).mutex.lock(1s).error() == errc::read_only);
}

BOOST_AUTO_TEST_SUITE_END()
