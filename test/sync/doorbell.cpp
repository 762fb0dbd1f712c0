/// Waiting and being told: no ring is missed, however the wait is spent, and whoever dies.
#include <atrium/sync/doorbell.hpp>

#include "sync/desk.hpp"

#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

wait_policy policy_of(std::string const& name)
{
    if (name == "busy")
        return wait_policy::busy();
    if (name == "frugal")
        return wait_policy::frugal();
    if (name == "streaming")
        return wait_policy::streaming();
    if (name == "crowded")
        return wait_policy::crowded();
    if (name == "yielding")
        return {.spin = 0ns, .yields = 3, .sleeps = true, .adaptive = false};
    return wait_policy::balanced();
}

char const* const all_policies[] = {"frugal", "balanced", "yielding", "crowded", "busy", "streaming"};

// Waits until `what` has come to `value`, by the bell.
error_code wait_until(doorbell& bell, atomic<std::uint64_t> const& what, std::uint64_t value, doorbell_wait const& how)
{
    for (;;)
    {
        auto const seen = bell.look();
        if (what.load(std::memory_order_relaxed) >= value)
            return {};
        if (auto const rung = bell.wait(seen, 30s, how); !rung)
            return rung.error();
    }
}

// Says numbers, and waits for each to be answered.
void say_numbers(desk& d, std::uint64_t rounds, wait_policy const& policy)
{
    for (std::uint64_t n = 1; n <= rounds; ++n)
    {
        d.said.store(n, std::memory_order_relaxed); // the ring orders it
        d.bell.ring();
        require(!wait_until(d.back, d.answered, n, {.policy = policy}), "an answer was missed");
    }
}

void answer_numbers(desk& d, std::uint64_t rounds, wait_policy const& policy)
{
    for (std::uint64_t n = 1; n <= rounds; ++n)
    {
        require(!wait_until(d.bell, d.said, n, {.policy = policy}), "a number was missed");
        require(d.said.load(std::memory_order_relaxed) == n);
        d.answered.store(n, std::memory_order_relaxed);
        d.back.ring();
    }
}

// Whoever spins on a machine that is busy otherwise costs the other side its time slices.
std::uint64_t rounds_of(std::string const& policy)
{
    return (policy == "busy" ? 300u : 5000u) * (long_form() ? 50u : 1u);
}

ATRIUM_TEST_ROLE(answerer)
{
    segment const s(open_only, arguments.at(0));
    answer_numbers(desk_in(s), rounds_of(arguments.at(1)), policy_of(arguments.at(1)));
    return 0;
}

ATRIUM_TEST_ROLE(sleeper)
{
    segment const s(open_only, arguments.at(0));
    desk&         d    = desk_in(s);
    auto const    seen = d.bell.look();
    say("ready");
    return d.bell.wait(seen, 60s, {.policy = policy_of(arguments.at(1))}) ? 0 : 1;
}

ATRIUM_TEST_ROLE(ringer)
{
    segment const s(open_only, arguments.at(0));
    say("ready");
    while (hear())
        desk_in(s).bell.ring();
    return 0;
}

// So long that a sleeper who was not woken does not look again by itself before the test has failed.
struct patient : leaves_nothing, with_desk
{
    patient() : with_desk(flat_segment(600s)) {}
};

struct fixture : leaves_nothing, with_desk
{
};

// One bell for many, each of whom must hear every ring.
void ring_for_many(desk& d, std::size_t listeners, std::uint64_t rings, wait_policy const& policy)
{
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < listeners; ++t)
        threads.emplace_back([&] {
            for (std::uint64_t n = 1; n <= rings; ++n)
            {
                if (wait_until(d.bell, d.said, n, {.policy = policy}))
                    return fail("a ring was missed");
                d.answered.fetch_add(1);
                d.back.ring();
            }
        });
    for (std::uint64_t n = 1; n <= rings; ++n)
    {
        d.said.store(n, std::memory_order_relaxed);
        d.bell.ring();
        if (wait_until(d.back, d.answered, n * listeners, {.policy = policy}))
            fail("an answer was missed");
    }
    for (std::thread& thread : threads)
        thread.join();
    BOOST_TEST(d.answered.load() == rings * listeners);
}

} // namespace

BOOST_AUTO_TEST_SUITE(sync_doorbell)

BOOST_FIXTURE_TEST_CASE(threads_miss_no_ring_of_each_other, patient)
{
    for (std::string const policy : all_policies)
    {
        BOOST_TEST_INFO_SCOPE(policy);
        d.said.store(0);
        d.answered.store(0);
        std::thread other([&] { answer_numbers(d, rounds_of(policy), policy_of(policy)); });
        say_numbers(d, rounds_of(policy), policy_of(policy));
        other.join();
        BOOST_TEST(d.answered.load() == rounds_of(policy));
    }
}

BOOST_FIXTURE_TEST_CASE(processes_miss_no_ring_of_each_other, patient)
{
    for (std::string const policy : all_policies)
    {
        BOOST_TEST_INFO_SCOPE(policy);
        d.said.store(0);
        d.answered.store(0);
        child other("answerer", {s.name(), policy});
        say_numbers(d, rounds_of(policy), policy_of(policy));
        BOOST_TEST(other.wait(60s) == exited(0));
    }
}

BOOST_FIXTURE_TEST_CASE(everybody_who_waits_hears_a_ring, patient)
{
    for (std::string const policy : {"frugal", "balanced"})
    {
        BOOST_TEST_INFO_SCOPE(policy);
        d.said.store(0);
        d.answered.store(0);
        ring_for_many(d, 4, 500, policy_of(policy));
    }
}

// No other word orders it: that is what the thread sanitizer is to see.
BOOST_FIXTURE_TEST_CASE(what_was_written_before_a_ring_is_there_after_it, fixture)
{
    constexpr std::uint64_t rings = 500;
    bool                    good  = true;
    std::thread             listener([&] {
        for (std::uint64_t n = 1; n <= rings; ++n)
        {
            good = good && d.bell.wait(n - 1, 30s) && d.guarded == n;
            d.back.ring();
        }
    });
    for (std::uint64_t n = 1; n <= rings; ++n)
    {
        d.guarded = n;
        d.bell.ring();
        BOOST_REQUIRE(d.back.wait(n - 1, 30s).has_value());
    }
    listener.join();
    BOOST_TEST(good);
}

BOOST_FIXTURE_TEST_CASE(who_waits_in_short_pieces_recovers_for_the_dead, leaves_nothing)
{
    with_desk few(flat_segment(50ms));
    ready_child("bystander", {few.s.name()}).kill();
    BOOST_TEST(eventually(
        [&] {
            static_cast<void>(few.d.bell.wait(few.d.bell.look(), 1ms, {.policy = wait_policy::frugal()}));
            return few.s.recoveries() == 1u;
        },
        30s));
}

// No form of the wait skips that, however short its deadlines are.
BOOST_FIXTURE_TEST_CASE(who_spins_in_short_pieces_recovers_for_the_dead, leaves_nothing)
{
    wait_policy const long_spin{.spin = 1h, .yields = 0, .sleeps = true, .adaptive = false};
    for (wait_policy const& policy :
         {wait_policy::busy(), wait_policy::streaming(), long_spin, wait_policy::crowded(), wait_policy::balanced()})
    {
        BOOST_TEST_INFO_SCOPE("spins for " << policy.spin.count() << " ns, sleeps: " << policy.sleeps
                                           << ", gathers for " << policy.gather.count() << " ns");
        with_desk few(flat_segment(50ms));
        ready_child("bystander", {few.s.name()}).kill();
        deadline const until = 20s; // no sleep between the pieces: such a loop does nothing else
        while (few.s.recoveries() == 0 && !until.passed())
            static_cast<void>(few.d.bell.wait(few.d.bell.look(), 1ms, {.policy = policy}));
        BOOST_TEST(few.s.recoveries() == 1u);
    }
}

BOOST_FIXTURE_TEST_CASE(who_waits_in_short_pieces_for_a_peer_hears_of_its_death, leaves_nothing)
{
    with_desk            unhurried(flat_segment(1min));
    child                peer = ready_child("bystander", {unhurried.s.name()});
    participant_id const id   = unhurried.s.participants().back().id;
    peer.kill();
    for (char const* const policy : all_policies)
    {
        auto const rung =
            unhurried.d.bell.wait(unhurried.d.bell.look(), 1ms, {.policy = policy_of(policy), .peer = id});
        BOOST_TEST((rung.has_error() && rung.error() == errc::peer_dead), policy);
    }
}

BOOST_FIXTURE_TEST_CASE(a_ring_before_the_wait_counts, fixture)
{
    for (std::string const policy : all_policies)
    {
        auto const seen = d.bell.look();
        d.bell.ring();
        BOOST_TEST(d.bell.wait(seen, 0s, {.policy = policy_of(policy)}).has_value());
        BOOST_TEST(d.bell.wait(seen, no_deadline, {.policy = policy_of(policy)}).has_value());
        BOOST_TEST(d.bell.wait(d.bell.look(), 0s, {.policy = policy_of(policy)}).error() == errc::timed_out);
    }
}

BOOST_FIXTURE_TEST_CASE(a_wait_ends_at_its_deadline, fixture)
{
    for (std::string const policy : all_policies)
    {
        BOOST_TEST_INFO_SCOPE(policy);
        BOOST_TEST(d.bell.wait(d.bell.look(), 20ms, {.policy = policy_of(policy)}).error() == errc::timed_out);
    }
}

BOOST_FIXTURE_TEST_CASE(a_wait_for_a_peer_ends_with_his_death, fixture)
{
    wait_policy const long_spin{.spin = 1h, .yields = 0, .sleeps = true, .adaptive = false};
    for (wait_policy const& policy : {wait_policy::frugal(), wait_policy::crowded(), wait_policy::balanced(),
                                      wait_policy::busy(), wait_policy::streaming(), long_spin})
    {
        child                peer = ready_child("bystander", {s.name()});
        participant_id const id   = s.participants().back().id;
        BOOST_TEST(d.bell.wait(d.bell.look(), 20ms, {.policy = policy, .peer = id}).error() == errc::timed_out);
        peer.stop();
        BOOST_TEST(d.bell.wait(d.bell.look(), 20ms, {.policy = policy, .peer = id}).error() == errc::timed_out);
        peer.kill();
        BOOST_TEST(d.bell.wait(d.bell.look(), 60s, {.policy = policy, .peer = id}).error() == errc::peer_dead);
        BOOST_TEST(d.bell.wait(d.bell.look(), 60s, {.policy = policy, .peer = id}).error() == errc::peer_dead);
    }
}

BOOST_FIXTURE_TEST_CASE(a_wait_for_a_peer_ends_when_he_leaves, fixture)
{
    child                peer = ready_child("bystander", {s.name()});
    participant_id const id   = s.participants().back().id;
    let_end(peer);
    BOOST_TEST(d.bell.wait(d.bell.look(), 60s, {.peer = id}).error() == errc::peer_dead);
}

BOOST_FIXTURE_TEST_CASE(what_a_peer_rang_before_he_died_is_heard, fixture)
{
    child                peer = ready_child("ringer", {s.name()});
    participant_id const id   = s.participants().back().id;
    auto const           seen = d.bell.look();
    peer.send_line("ring");
    BOOST_TEST(eventually([&] { return d.bell.look() != seen; }, 30s));
    peer.kill();
    BOOST_TEST(d.bell.wait(seen, 30s, {.peer = id}).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_sleeper_who_dies_is_not_missed, fixture)
{
    child dead  = ready_child("sleeper", {s.name(), "frugal"});
    child alive = ready_child("sleeper", {s.name(), "frugal"});
    dead.kill();
    d.bell.ring();
    BOOST_TEST(alive.wait(30s) == exited(0));
    child next = ready_child("sleeper", {s.name(), "balanced"});
    d.bell.ring();
    BOOST_TEST(next.wait(30s) == exited(0));
}

BOOST_FIXTURE_TEST_CASE(whoever_waits_recovers_for_the_dead, fixture)
{
    for (std::string const policy : all_policies)
    {
        BOOST_TEST_INFO_SCOPE(policy);
        auto const recoveries = s.recoveries();
        ready_child("bystander", {s.name()}).kill();
        BOOST_TEST(d.bell.wait(d.bell.look(), 100ms, {.policy = policy_of(policy)}).error() == errc::timed_out);
        BOOST_TEST(s.recoveries() == recoveries + 1);
        BOOST_TEST(s.participants().size() == 1u);
    }
}

BOOST_FIXTURE_TEST_CASE(a_forked_child_is_told_so, fixture)
{
    auto const  seen = d.bell.look();
    pid_t const pid  = ::fork();
    if (pid == 0)
    {
        auto const rung = d.bell.wait(seen, 1s);
        ::_exit(rung.has_error() && rung.error() == errc::forked ? 0 : 1);
    }
    int status = 0;
    BOOST_TEST(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
}

BOOST_FIXTURE_TEST_CASE(one_outside_of_segments_or_mapped_for_reading_is_refused, fixture)
{
    doorbell outside;
    BOOST_TEST(outside.wait(outside.look(), 1s).error() == errc::invalid_argument);
    segment const reading(open_read_only, s.name());
    auto&         bell = desk_in(reading).bell;
    BOOST_TEST(bell.wait(bell.look(), 1s).error() == errc::read_only);
}

BOOST_AUTO_TEST_SUITE_END()
