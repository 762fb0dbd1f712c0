/// Whatever keeps a reference from being handed over, whoever waits has an answer by his deadline, and each reason has its
/// own.
#include <atrium/pipe/router.hpp>

#include "pipe/deadline_scene.hpp"

#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

// The only refusal that there was.
void is_refused(result<delivery> const& sent, std::size_t delivered, std::uint32_t pipe, errc why)
{
    BOOST_REQUIRE(sent.has_value());
    BOOST_TEST(sent->delivered() == delivered);
    BOOST_REQUIRE((sent->refused() == 1u && sent->refusals().size() == 1u));
    BOOST_TEST((sent->refusals()[0].pipe == pipe && sent->refusals()[0].why == why));
}

// What it comes to is there long before its deadline.
template <class T> T long_before(std::future<T>& coming)
{
    BOOST_TEST((coming.wait_for(answers_within) == std::future_status::ready));
    return coming.get();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_deadlines, leaves_nothing)

// ---- no room -------------------------------------------------------------------------------------------------------

// And it stays the caller's.
BOOST_AUTO_TEST_CASE(a_full_pipe_is_waited_for_until_the_deadline)
{
    deadline_scene now;
    auto           p = now.r.subscribe({.capacity = 1});
    BOOST_TEST(now.send(1, late).value().delivered() == 1u);
    auto two = now.items.make(2u).value();
    is_refused(now.r.send(two, soon), 0, p.number(), errc::timed_out);
    is_refused(now.r.send(std::move(two), soon), 0, p.number(), errc::timed_out);
    BOOST_TEST((two != nullptr && two.use_count() == 1));
    is_refused(now.r.send(std::move(two), detail::at_once), 0, p.number(), errc::full);
    is_refused(now.r.try_send(std::move(two)), 0, p.number(), errc::full);
}

BOOST_AUTO_TEST_CASE(of_two_pipes_the_one_with_room_is_served)
{
    for (bool const full_is_first : {true, false})
    {
        deadline_scene now;
        auto           first  = now.r.subscribe({.capacity = full_is_first ? 1u : 8u});
        auto           second = now.r.subscribe({.capacity = full_is_first ? 8u : 1u});
        auto&          full   = full_is_first ? first : second;
        auto&          roomy  = full_is_first ? second : first;
        BOOST_TEST(now.send(1, late).value().delivered() == 2u);
        for (std::uint64_t n = 2; n != 5; ++n)
            is_refused(now.send(n, soon), 1, full.number(), errc::timed_out);
        for (std::uint64_t n = 1; n != 5; ++n)
            BOOST_TEST(roomy.receive(late).value()->value == n);
        BOOST_TEST(full.receive(late).value()->value == 1u);
        BOOST_TEST(full.receive(soon).error() == errc::timed_out);
    }
}

// By each policy: it costs senders their deadline or nothing, and nobody else anything.
BOOST_AUTO_TEST_CASE(a_receiver_that_never_reads_keeps_nobody)
{
    for (overflow const policy : {overflow::wait, overflow::fail, overflow::drop_oldest})
    {
        deadline_scene now;
        auto           never = now.r.subscribe({.capacity = 2, .when_full = policy});
        auto           reads = now.r.subscribe({.capacity = 32});
        bool const     drops = policy == overflow::drop_oldest;
        errc const     why   = policy == overflow::wait ? errc::timed_out : errc::full;
        auto           sends = std::async(std::launch::async, [&] {
            for (std::uint64_t n = 0; n != 20; ++n)
            {
                auto const sent = now.send(n, policy == overflow::wait ? 1ms : 10000ms).value();
                bool const both = n < 2 || drops;
                require(sent.delivered() == (both ? 2u : 1u) && sent.refused() == (both ? 0u : 1u));
                require(both || (sent.refusals()[0].pipe == never.number() && sent.refusals()[0].why == why));
            }
        });
        for (std::uint64_t n = 0; n != 20; ++n)
            BOOST_TEST(reads.receive(late).value()->value == n);
        long_before(sends);
        BOOST_TEST((never.info().refused == (drops ? 0u : 18u) && never.info().dropped == (drops ? 18u : 0u)));
        BOOST_TEST(now.items.statistics().outstanding == 2u);
    }
}

// ---- nobody, nothing, no more --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(who_sends_to_nobody_is_told_at_once)
{
    deadline_scene now;
    auto           one    = now.items.make(1u).value();
    auto           sender = now.r.make_ordered_sender();
    BOOST_TEST(now.r.send(std::move(one), no_deadline).error() == errc::no_receivers);
    BOOST_TEST(sender.send(std::move(one), no_deadline).error() == errc::no_receivers);
    BOOST_TEST((now.r.wait_for_receivers(1, soon).error() == errc::timed_out));
    {
        auto const goes = now.r.subscribe();
        BOOST_TEST(now.r.send(one, no_deadline).value().delivered() == 1u);
    }
    BOOST_TEST(now.r.send(std::move(one), no_deadline).error() == errc::no_receivers);
    now.r.close();
    BOOST_TEST(now.r.send(std::move(one), no_deadline).error() == errc::closed);
    BOOST_TEST(sender.send(std::move(one), no_deadline).error() == errc::closed);
    BOOST_TEST((now.r.wait_for_receivers(1, no_deadline).error() == errc::closed));
    BOOST_TEST((one != nullptr && one.use_count() == 1));
}

BOOST_AUTO_TEST_CASE(what_is_queued_comes_before_the_end)
{
    for (bool const all_of_it : {true, false})
    {
        deadline_scene now;
        auto           p = now.r.subscribe({.capacity = 8});
        for (std::uint64_t n = 0; n != 5; ++n)
            BOOST_TEST(now.send(n, late).value().delivered() == 1u);
        BOOST_TEST(p.receive(no_deadline).value()->value == 0u);
        all_of_it ? now.r.close() : p.close();
        BOOST_TEST((now.send(9, no_deadline).error() == (all_of_it ? errc::closed : errc::no_receivers)));
        for (std::uint64_t n = 1; n != 5; ++n)
            BOOST_TEST(p.receive(no_deadline).value()->value == n);
        BOOST_TEST(p.receive(no_deadline).error() == errc::closed);
        BOOST_TEST(p.try_receive().error() == errc::closed);
    }
}

BOOST_AUTO_TEST_CASE(who_waits_for_something_is_told_of_the_end)
{
    for (wait_policy const& how : {wait_policy::balanced(), wait_policy::frugal()})
    {
        for (bool const all_of_it : {true, false})
        {
            deadline_scene now;
            auto           p       = now.r.subscribe(create_only, "empty");
            auto           q       = now.r.subscribe(open_only, "empty");
            auto           one     = std::async(std::launch::async, [&] { return p.receive(late, how).error(); });
            auto           another = std::async(std::launch::async, [&] { return q.receive(late, how).error(); });
            BOOST_TEST(eventually([&] { return p.info().sleeps >= 2; }, 20s));
            all_of_it ? now.r.close() : now.r.subscribe(open_only, "empty").close();
            BOOST_TEST((long_before(one) == errc::closed && long_before(another) == errc::closed));
        }
    }
}

// The other pipe has got it by then.
BOOST_AUTO_TEST_CASE(who_waits_for_room_is_told_of_the_end)
{
    for (wait_policy const& how :
         {wait_policy::balanced(), wait_policy::frugal(), wait_policy::streaming(), wait_policy::crowded()})
    {
        for (bool const all_of_it : {true, false})
        {
            deadline_scene now;
            auto           full   = now.r.subscribe({.capacity = 1});
            auto           roomy  = now.r.subscribe({.capacity = 4});
            auto           number = full.number();
            auto           sends  = std::async(std::launch::async, [&] {
                require(now.send(1, late).value().delivered() == 2);
                return now.r.send(now.items.make(2u).value(), late, how);
            });
            for (std::uint64_t n = 1; n != 3; ++n)
                BOOST_TEST(roomy.receive(late).value()->value == n);
            all_of_it ? now.r.close() : full.close();
            is_refused(long_before(sends), 1, number, errc::closed);
            BOOST_TEST(full.receive(late).value()->value == 1u);
            BOOST_TEST(full.receive(late).error() == errc::closed);
        }
    }
}

// ---- somebody stands still with the heap ---------------------------------------------------------------------------

// Who has what he needs does not ask for it; who needs memory waits until his deadline.
BOOST_AUTO_TEST_CASE(who_stands_still_with_the_heap_keeps_those_only_who_need_memory)
{
    deadline_scene now;
    auto           p = now.r.subscribe({.capacity = 4});
    BOOST_TEST(now.send(1, late).value().delivered() == 1u);
    BOOST_TEST(p.receive(late).value()->value == 1u);
    child holder = stopped_heap_holder(now.s.name());
    for (std::uint64_t n = 2; n != 12; ++n)
    {
        BOOST_TEST(now.send(n, late).value().delivered() == 1u);
        BOOST_TEST(p.receive(late).value()->value == n);
    }
    BOOST_TEST(p.receive(soon).error() == errc::timed_out);
    answers_in_time(holder, [&] { // on a thread that has sent nothing yet
        auto const sent = now.send(20, soon);
        BOOST_TEST((sent ? sent->refused() == 1u && sent->refusals()[0].why == errc::timed_out
                         : sent.error() == errc::timed_out));
        BOOST_CHECK_EXCEPTION(static_cast<void>(now.r.subscribe({.patience = soon})), system_error, [](auto const& e) {
            return e.code() == errc::timed_out || e.code() == errc::recovery_busy;
        });
    });
    holder.resume();
    BOOST_TEST(holder.wait(30s) == exited(0));
    BOOST_TEST(now.r.subscribe().number() != p.number());
}

// What could not be kept for late joiners is not sent, nor what follows it.
BOOST_AUTO_TEST_CASE(a_batch_ends_with_what_cannot_be_kept)
{
    deadline_scene now;
    auto           theirs =
        std::optional<router<item>>(std::in_place, create_only, now.s, "router.0", router_options{.pipes = 1});
    auto                          first  = std::optional(theirs->subscribe({.capacity = 8}));
    child                         sender = ready_child("sender_of_own_elements", {now.s.name(), "1"});
    router<item>                  ours(create_only, now.s, "ours", {.pipes = 1, .history = 1});
    auto                          listens = ours.subscribe({.capacity = 128});
    std::vector<shared_ptr<item>> batch;
    for (unsigned n = 0; n != detail::sending::most + 2; ++n)
        batch.push_back(n == 2 ? first->receive(late).value() : make_shared<item>(now.s, n).value());
    first.reset(); // with the pools that it held
    theirs.reset();
    lane_thread talker;
    talker.run([&] {
        for (int n = 0; n != 2; ++n) // with all that a sender needs
            BOOST_TEST(ours.send(now.items.make(99u).value(), late).value().delivered() == 1u);
        has_references_left(now.items);
    });
    child holder = stopped_heap_holder(now.s.name());
    answers_in_time(holder, [&] {
        talker.run([&] { // the fourth would have to drop theirs from the history
            BOOST_TEST(ours.send(std::span(batch), soon).value().delivered() == 3u);
        });
    });
    for (std::size_t n = 0; n != batch.size(); ++n)
        BOOST_TEST((batch[n] == nullptr) == (n < 3));
    holder.resume();
    BOOST_TEST(holder.wait(30s) == exited(0));
    let_end(sender);
}

// A receiver that has waited for a while gives up the pools that it had for references, which needs the heap.
BOOST_AUTO_TEST_CASE(who_receives_nothing_keeps_his_deadline_though_the_heap_is_not_to_be_had)
{
    deadline_scene                  now;
    std::vector<router<item>>       routers;
    std::vector<atrium::pipe<item>> pipes;
    for (unsigned n = 0; n != routers_there; ++n)
    {
        routers.emplace_back(create_only, now.s, numbered("router.", n), router_options{.pipes = 1});
        pipes.push_back(routers.back().subscribe({.capacity = 8}));
    }
    child sender = ready_child("sender_of_own_elements", {now.s.name()});
    for (auto& p : pipes)
    {
        for (unsigned n = 0; n != pools_of_each; ++n)
            BOOST_TEST(p.receive(late).has_value());
    }
    child holder = stopped_heap_holder(now.s.name());
    answers_in_time(holder, [&] {
        for (auto& p : pipes)
            BOOST_TEST(p.receive(50ms, wait_policy::frugal()).error() == errc::timed_out);
    });
    holder.resume();
    BOOST_TEST(holder.wait(30s) == exited(0));
    let_end(sender);
}

BOOST_AUTO_TEST_SUITE_END()
