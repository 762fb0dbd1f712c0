/// Others use the heap of the segment all the time, each for a moment: nothing of a pipe is left behind for that.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_scene.hpp"
#include "pipe/sleeper_roles.hpp"

#include <atomic>
#include <thread>

using namespace atrium;
using namespace atrium::test;

BOOST_FIXTURE_TEST_SUITE(pipe_busy_heap, leaves_nothing)

// The receiver has taken nothing yet, and so needs memory to take what is in its pipe; its sender has ended.
BOOST_AUTO_TEST_CASE(what_is_in_a_pipe_goes_with_its_receiver)
{
    std::uint64_t left = 0;
    for (unsigned n = 0; n != (long_form() ? 2000u : 100u); ++n)
    {
        pipe_scene now;
        child      leaver = ready_child("waking_leaver", now.name());
        child      sender = ready_child("waking_sender", now.name());
        let_end(sender);
        std::atomic<bool> over{false};
        std::thread       others([&] {
            while (!over.load())
                static_cast<void>(heap(now.s).statistics(1s));
        });
        leaver.close_input();
        BOOST_TEST(leaver.wait(60s) == exited(0));
        over.store(true);
        others.join();
        BOOST_TEST(now.s.recover(10s).has_value());
        now.others_go_on();
        for (auto* p : {&now.waits, &now.drops, &now.workers})
            static_cast<void>(now.drain(**p));
        left += now.items.statistics().outstanding;
    }
    BOOST_TEST(left == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
