/// Who has which number as a sender: threads that want one at the same time, that have no lane of their own, that end while
/// routers go; and threads that share a sender keep their own deadlines.
#include <atrium/pipe/router.hpp>

#include "memory/race_roles.hpp"
#include "pipe/pipe_fixture.hpp"
#include "segment/stopped_answers.hpp"

#include <algorithm>
#include <future>
#include <iterator>
#include <optional>
#include <thread>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

segment_options with_lanes(unsigned lanes)
{
    auto options  = pipe_segment();
    options.lanes = lanes;
    return options;
}

struct lanes_scene
{
    explicit lanes_scene(unsigned lanes = 64, std::size_t places = 128)
        : s(create_only, unique_name("lanes"), with_lanes(lanes)), items(create_only, s, "items", {.capacity = places})
    {}
    ~lanes_scene() { BOOST_TEST(pipe_problems(s) == ""); }
    lanes_scene(lanes_scene const&)            = delete;
    lanes_scene& operator=(lanes_scene const&) = delete;

    // False where nobody got it.
    template <class By> bool send(By& by, std::uint64_t n, deadline until = 1s)
    {
        auto const sent = by.send(items.make(n).value(), until);
        return sent && sent->delivered() == 1;
    }

    static std::vector<std::uint64_t> drained(atrium::pipe<item>& from)
    {
        std::vector<std::uint64_t> all;
        while (auto const one = from.try_receive())
            all.push_back((*one)->value);
        return all;
    }

    segment      s;
    pool<item>   items;
    router<item> r{create_only, s, "router", {.pipes = 4, .ordered_senders = 4}};
};

// Uses a lane as long as it lives.
void take_a_lane(lane_thread& thread, lanes_scene& now)
{
    thread.run([&] { BOOST_TEST(now.s.attached()->try_lane().has_value()); });
}

// In a full pipe, one thread waits for room and the other comes with a deadline that passes meanwhile: the one gets it once
// there is room, and the other is told that there was no time.
template <class Wait, class Come> void has_its_own_deadline(atrium::pipe<item>& full, Wait wait, Come come)
{
    std::promise<void> waits;
    auto               waiting = std::async(std::launch::async, [&] {
        interlude const meanwhile("pipe.send.waits", 1, [&] { waits.set_value(); });
        return wait();
    });
    require(waits.get_future().wait_for(60s) == std::future_status::ready, "it waits for room");
    auto       coming  = std::async(std::launch::async, come);
    bool const in_time = coming.wait_for(answers_within) == std::future_status::ready;
    BOOST_TEST(in_time, "a deadline passed without an answer while another thread was waiting");
    BOOST_TEST((full.receive(10s).has_value()));
    result<delivery> const waited = waiting.get();
    BOOST_TEST((waited && waited->delivered() == 1u));
    while (coming.wait_for(1ms) != std::future_status::ready)
        static_cast<void>(full.try_receive());
    result<delivery> const came = coming.get();
    BOOST_TEST((!came && came.error() == errc::timed_out));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_lanes, leaves_nothing)

// The block of a number is made when it is wanted first: by two at the same time.
BOOST_AUTO_TEST_CASE(no_two_ordered_senders_have_the_same_number)
{
    lanes_scene                         now;
    auto                                p = now.r.subscribe({.capacity = 64});
    lane_thread                         thread;
    std::optional<ordered_sender<item>> two;
    interlude const                     meanwhile("pipe.sender.formatted", 1,
                                                  [&] { thread.run([&] { two.emplace(now.r.make_ordered_sender()); }); });
    auto                                one = now.r.make_ordered_sender();
    BOOST_TEST(meanwhile.was_reached());
    BOOST_TEST(now.r.info().senders == 2u);
    for (std::uint64_t n = 0; n != 40; ++n)
        BOOST_TEST((n % 2 == 0 ? now.send(one, n) : now.send(*two, n)));
    BOOST_TEST(p.info().senders == 2u);
    auto const all = lanes_scene::drained(p);
    BOOST_TEST(all.size() == 40u);
    for (std::uint64_t const odd : {0u, 1u})
    {
        std::vector<std::uint64_t> of_one;
        std::ranges::copy_if(all, std::back_inserter(of_one), [&](auto n) { return n % 2 == odd; });
        BOOST_TEST((of_one.size() == 20u && std::ranges::is_sorted(of_one)));
    }
}

BOOST_AUTO_TEST_CASE(threads_that_share_an_ordered_sender_have_their_own_deadlines)
{
    lanes_scene now;
    auto        p      = now.r.subscribe({.capacity = 1});
    auto        sender = now.r.make_ordered_sender();
    BOOST_TEST(now.send(sender, 1));
    has_its_own_deadline(
        p, [&] { return sender.send(now.items.make(2u).value(), 60s); },
        [&] { return sender.send(now.items.make(3u).value(), 10ms); });
}

BOOST_AUTO_TEST_CASE(threads_without_a_lane_have_their_own_deadlines)
{
    for (deadline const& soon : {deadline(10ms), deadline(detail::at_once)})
    {
        lanes_scene now(1);
        BOOST_TEST(now.s.attached()->try_lane().has_value()); // this thread's
        auto p = now.r.subscribe({.capacity = 1});
        std::thread([&] { BOOST_TEST(now.send(now.r, 1)); }).join();
        has_its_own_deadline(
            p, [&] { return now.r.send(now.items.make(2u).value(), 60s); },
            [&] { return now.r.send(now.items.make(3u).value(), soon); });
    }
}

// It has sent as one of those without a lane, and might have one by now.
BOOST_AUTO_TEST_CASE(a_thread_that_gets_a_lane_late_keeps_its_order)
{
    constexpr std::uint64_t most = 2000;
    lanes_scene             now(2, most + 8);
    auto                    p = now.r.subscribe({.capacity = 2 * most});
    BOOST_TEST(now.s.attached()->try_lane().has_value()); // this thread's
    lane_thread other;
    lane_thread writer;
    take_a_lane(other, now);
    writer.run([&] {
        BOOST_TEST(!now.s.attached()->try_lane().has_value());
        for (std::uint64_t n = 0; n != 100; ++n)
            BOOST_REQUIRE(now.send(now.r, n));
    });
    other.end();
    writer.run([&] {
        for (std::uint64_t n = 100; n != most; ++n)
            BOOST_REQUIRE(now.send(now.r, n));
        BOOST_TEST(now.s.attached()->try_lane().has_value());
    });
    auto const all = lanes_scene::drained(p);
    BOOST_TEST(all.size() == most);
    BOOST_TEST(std::ranges::is_sorted(all));
}

// Every router of the process hears of it, also while others of them go.
BOOST_AUTO_TEST_CASE(a_thread_that_ends_is_no_sender_any_more)
{
    lanes_scene  now;
    auto         going = std::optional(router<item>(create_only, now.s, "going"));
    router<item> stays(create_only, now.s, "stays");
    auto         p0 = now.r.subscribe({.capacity = 4});
    auto         p1 = std::optional(going->subscribe({.capacity = 4}));
    auto         p2 = stays.subscribe({.capacity = 4});
    // It outlives the thread whose points it is met at.
    std::optional<interlude> meanwhile;
    lane_thread              other;
    lane_thread              ends;
    ends.run([&] {
        for (router<item>* to : {&now.r, &*going, &stays})
            BOOST_TEST(now.send(*to, 1));
        BOOST_TEST(now.send(stays, 2));
        meanwhile.emplace("pipe.sender.ended", 2, [&] {
            other.run([&] {
                p1.reset();
                going.reset();
            });
        });
    });
    BOOST_TEST(stays.info().senders == 1u);
    ends.end();
    BOOST_TEST(meanwhile->was_reached());
    BOOST_TEST(now.r.info().senders == 0u);
    BOOST_TEST(stays.info().senders == 0u);
    // The next user of the number knows what is there.
    lane_thread next;
    next.run([&] {
        for (std::uint64_t n = 3; n != 5; ++n)
            BOOST_TEST(now.send(stays, n));
        BOOST_TEST(!now.send(stays, 5, 10ms));
    });
    BOOST_TEST(lanes_scene::drained(p2) == (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

BOOST_AUTO_TEST_SUITE_END()
