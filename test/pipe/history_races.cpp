/// Who joins is overtaken, between any two steps, by those who send and by others who open the same pipe.
#include <atrium/pipe/router.hpp>

#include "memory/race_roles.hpp"
#include "pipe/pipe_fixture.hpp"

#include <string>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

struct joining_scene
{
    explicit joining_scene(std::size_t history) : r(create_only, s, "router", {.pipes = 4, .history = history}) {}
    ~joining_scene() { BOOST_TEST(pipe_problems(s) == ""); }
    joining_scene(joining_scene const&)            = delete;
    joining_scene& operator=(joining_scene const&) = delete;

    // The next `count` numbers; those that are said to be delivered are the pipe's from then on.
    void send(std::uint64_t count)
    {
        for (; count != 0; --count)
        {
            auto const sent = r.send(items.make(++last).value(), 1s);
            if (sent && sent->delivered() != 0 && first_delivered == 0)
                first_delivered = last;
        }
    }

    static std::vector<std::uint64_t> drained(atrium::pipe<item>& from)
    {
        std::vector<std::uint64_t> all;
        while (auto const one = from.try_receive())
            all.push_back((*one)->value);
        return all;
    }

    segment       s{create_only, unique_name("joining"), pipe_segment()};
    pool<item>    items{create_only, s, "items", {.capacity = 64}};
    router<item>  r;
    std::uint64_t last            = 0;
    std::uint64_t first_delivered = 0; // 0: none yet
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_history_races, leaves_nothing)

// The sender goes on when the pipe is open, and once more while the joiner copies: what was delivered comes, after what is
// left of the history, without a gap and each once.
BOOST_AUTO_TEST_CASE(who_joins_gets_what_was_delivered_while_it_copied)
{
    for (std::uint64_t const history : {1u, 2u, 3u, 4u, 8u})
    {
        for (unsigned copied = 1; copied != 5; ++copied)
        {
            for (std::uint64_t const more : {1u, 2u, 3u, 5u})
            {
                joining_scene now(history);
                lane_thread   sender;
                sender.run([&] { now.send(2); }); // to nobody
                interlude const when_open("pipe.change_noted", 1, [&] { sender.run([&] { now.send(1 + more % 2); }); });
                interlude const while_it_copies("ring.cell_filled", copied,
                                                [&] { sender.run([&] { now.send(more); }); });
                auto            p = now.r.subscribe({.capacity = 16, .history = history});
                BOOST_TEST(when_open.was_reached());
                sender.run([&] { now.send(1); });
                auto const all = joining_scene::drained(p);
                BOOST_TEST_CONTEXT("history " << history << ", after copy " << copied << ", " << more << " more")
                {
                    BOOST_REQUIRE(!all.empty());
                    BOOST_TEST(all.back() == now.last);
                    BOOST_TEST(all.front() <= now.first_delivered);
                    for (std::size_t n = 1; n != all.size(); ++n)
                        BOOST_TEST(all[n] == all[n - 1] + 1);
                }
            }
        }
    }
}

// Another thread of the process that joins waits as others do.
BOOST_AUTO_TEST_CASE(a_thread_beside_the_one_that_joins_gets_nothing_twice)
{
    for (char const* point : {"pipe.change_noted", "ring.cell_filled", "pipe.history_until"})
    {
        joining_scene now(4);
        lane_thread   sender;
        lane_thread   other;
        sender.run([&] { now.send(1); });
        std::vector<std::uint64_t> all;
        interlude const            meanwhile(point, 1, [&] {
            sender.run([&] { now.send(1); });
            other.run([&] {
                auto q = now.r.subscribe(open_only, "workers", {.patience = 10s});
                all    = joining_scene::drained(q);
            });
        });
        auto                       p = now.r.subscribe(open_or_create, "workers", {.capacity = 8, .history = 4});
        BOOST_TEST(meanwhile.was_reached());
        for (std::uint64_t const n : joining_scene::drained(p))
            all.push_back(n);
        BOOST_TEST(all == (std::vector<std::uint64_t>{1, 2}));
    }
}

BOOST_AUTO_TEST_SUITE_END()
