/// A process stands still between any two steps of waking others: whoever does the same after it wakes them. The detection
/// time, after which sleepers would look again by themselves, is longer than any wait here.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_scene.hpp"
#include "pipe/sleeper_roles.hpp"
#include "segment/stopped_answers.hpp"

using namespace atrium;
using namespace atrium::test;

namespace {

segment_options unhurried()
{
    auto options           = pipe_segment();
    options.detection_time = 10min;
    return options;
}

// Says it long before it would look again by itself; else it is ended, and the check fails. It may end later: that needs
// the heap, which the one who stands still may have.
bool says_soon(child& sleeper, std::string const& what)
{
    auto const line = sleeper.line(answers_within);
    BOOST_TEST((line == what), "a sleeper was not woken while another stood still with waking it");
    if (!line)
        sleeper.kill();
    return line.has_value();
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_stopped_wakers, leaves_nothing)

BOOST_AUTO_TEST_CASE(who_sends_next_wakes_a_receiver_whose_waker_stands_still)
{
    met_enough(for_every_stop_point([](child_options const& victim) {
                   pipe_scene now(unhurried());
                   child      waker = ready_child("waking_sender", now.name(), victim);
                   BOOST_TEST(now.workers->receive(1s).value()->value == 1u);
                   child sleeper = sleeping_child("sleeping_receiver", {now.s.name(), "workers"});
                   waker.close_input();
                   bool const stopped = waker.wait_stopped(60s);
                   BOOST_TEST(now.sender->send(now.items.make(100u).value(), 1s).value().delivered() == 3u);
                   bool const woken  = says_soon(sleeper, "received");
                   auto const status = finish(waker, stopped);
                   BOOST_TEST((!woken || sleeper.wait(60s) == exited(0)));
                   BOOST_TEST(now.of_victim(now.drain(*now.waits)).size() == 2u);
                   now.is_as_before(woken ? 0 : 1);
                   return status;
               }),
               8);
}

BOOST_AUTO_TEST_CASE(who_receives_next_wakes_a_sender_whose_waker_stands_still)
{
    met_enough(for_every_stop_point([](child_options const& victim) {
                   pipe_scene now(unhurried());
                   auto       narrow = std::optional(now.r->subscribe(create_only, "narrow", {.capacity = 2}));
                   BOOST_TEST(now.sender->send(now.items.make(100u).value(), 1s).value().delivered() == 4u);
                   child waker   = ready_child("waking_receiver", {now.s.name(), "narrow"}, victim);
                   child sleeper = sleeping_child("sleeping_sender", now.name());
                   waker.close_input();
                   bool const stopped = waker.wait_stopped(60s);
                   auto const one     = narrow->receive(1s).value()->value;
                   now.book->seen[one].fetch_add(1);
                   bool const woken  = says_soon(sleeper, "delivered");
                   auto const status = finish(waker, stopped);
                   BOOST_TEST((!woken || sleeper.wait(60s) == exited(0)));
                   for (std::uint64_t const n : now.drain(*narrow).values)
                       now.book->seen[n].fetch_add(1);
                   for (std::uint64_t n = 1; n != (woken ? 4u : 3u); ++n)
                       BOOST_TEST(now.book->seen[n].load() == 1u);
                   narrow.reset();
                   now.is_as_before(woken ? 0 : 1);
                   return status;
               }),
               5);
}

BOOST_AUTO_TEST_SUITE_END()
