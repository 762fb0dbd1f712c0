/// Others use the heap of the segment all the time, each for a moment: nothing of a pipe is left behind for that.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_scene.hpp"
#include "pipe/sleeper_roles.hpp"

#include <atomic>
#include <thread>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr unsigned pipes_there = 16;

// Leaves pipes in which something is, without having received anything.
ATRIUM_TEST_ROLE(leaver_of_pipes)
{
    segment const                   s(open_only, arguments.at(0));
    router<item>                    r(open_only, s, "many");
    std::vector<atrium::pipe<item>> all;
    for (unsigned n = 0; n != pipes_there; ++n)
        all.push_back(r.subscribe({.capacity = 2}));
    be_ready_until_told();
    all.clear();
    say("left");
    static_cast<void>(hear());
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_busy_heap, leaves_nothing)

// The same where there is no memory for references. Each pipe looks after the dead to get some, and so after the others,
// which cannot be ended either: that is no reason to begin with all of them again.
BOOST_AUTO_TEST_CASE(what_is_in_many_pipes_goes_when_there_is_memory_again)
{
    pipe_scene now;
    {
        router<item> r(create_only, now.s, "many", {.pipes = pipes_there});
        child        leaver = ready_child("leaver_of_pipes", now.name());
        BOOST_TEST(r.send(now.items.make(1u).value(), 1s).value().delivered() == pipes_there);
        std::vector<void*> taken;
        heap               memory(now.s);
        for (std::size_t size : {64u << 10, 4096u, 256u, 16u})
        {
            for (auto block = memory.allocate(size, 1s); block; block = memory.allocate(size, 1s))
                taken.push_back(*block);
        }
        leaver.send_line("leave");
        leaver.wait_for_line("left", 60s);
        for (void* const block : taken)
            BOOST_TEST(memory.deallocate(block).has_value());
        leaver.close_input();
        BOOST_TEST(leaver.wait(60s) == exited(0));
        BOOST_TEST(now.s.recover(10s).has_value());
        BOOST_TEST(now.items.statistics().outstanding == 0u);
        BOOST_TEST(r.info().pipes.empty());
        BOOST_TEST(pipe_problems(now.s) == "");
    }
    now.is_as_before(0);
}

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
