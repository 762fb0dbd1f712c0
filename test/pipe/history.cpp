/// Late joiners: the last of each sender, once and in order, whatever is sent meanwhile.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

constexpr std::size_t most_speakers = 4;

struct utterance
{
    std::uint64_t speaker = 0;
    std::uint64_t number  = 0;
};

// How far each has come: everything up to that number has been sent.
struct progress
{
    atomic<std::uint64_t> sent[most_speakers]{};
    atomic<std::uint64_t> ends{0};
};

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::progress> = true;

namespace {

struct news
{
    explicit news(std::size_t history)
        : r(create_only, s, "router", {.pipes = 8, .ordered_senders = 4, .history = history})
    {}

    segment               s{create_only, unique_name("history"), pipe_segment()};
    pool<std::uint64_t>   all{create_only, s, "numbers", {.capacity = 512}};
    router<std::uint64_t> r;
};

std::vector<std::uint64_t> drained(atrium::pipe<std::uint64_t>& from)
{
    std::vector<std::uint64_t> got;
    while (auto one = from.try_receive())
        got.push_back(**one);
    return got;
}

constexpr std::size_t kept = 7;

// Where several send at full speed while others join, threads and processes. Speaker 0 has said 20 and is silent.
struct assembly
{
    assembly()
    {
        for (std::uint64_t n = 1; n != 21; ++n)
            require(silent.send(all.make(0u, n).value(), 1s).error() == errc::no_receivers);
        so_far->sent[0].store(20);
    }
    ~assembly() { BOOST_TEST(pipe_problems(s) == ""); }
    assembly(assembly const&)            = delete;
    assembly& operator=(assembly const&) = delete;

    segment                   s{create_only, unique_name("history"), pipe_segment()};
    pool<utterance>           all{create_only, s, "utterances", {.capacity = 512}};
    router<utterance>         r{create_only, s, "router", {.pipes = 8, .ordered_senders = 4, .history = kept}};
    named<progress>           so_far{create_only, s, "progress"};
    ordered_sender<utterance> silent{r.make_ordered_sender()};
};

// At full speed: 1, 2, 3 and so on. False where something was not sent.
bool speak(router<utterance>& to, pool<utterance>& from, progress& so_far, std::uint64_t speaker)
{
    for (std::uint64_t n = 1; so_far.ends.load() == 0; ++n)
    {
        auto made = from.make(speaker, n);
        for (; !made && so_far.ends.load() == 0; made = from.make(speaker, n))
            std::this_thread::yield(); // all are on their way
        if (!made)
            break;
        auto const sent = to.send(std::move(*made), 60s);
        if (sent ? sent->refused() != 0 && sent->refusals()[0].why != errc::closed : sent.error() != errc::no_receivers)
            return false;
        so_far.sent[speaker].store(n);
    }
    return true;
}

// Threads that speak until this goes.
class speakers
{
public:
    speakers(assembly& in, std::uint64_t first, std::uint64_t end) : so_far_(*in.so_far)
    {
        for (; first != end; ++first)
            all_.push_back(
                std::async(std::launch::async, [&in, first] { return speak(in.r, in.all, *in.so_far, first); }));
    }
    speakers(speakers const&)            = delete;
    speakers& operator=(speakers const&) = delete;
    ~speakers()
    {
        so_far_.ends.store(1);
        for (auto& one : all_)
            BOOST_TEST(one.get());
    }

private:
    progress&                      so_far_;
    std::vector<std::future<bool>> all_;
};

// What somebody who joins has got of one sender.
struct row
{
    std::uint64_t first = 0; // 0: nothing
    std::uint64_t last  = 0;

    [[nodiscard]] bool add(std::uint64_t number)
    {
        bool const follows = first == 0 || number == last + 1;
        first              = first == 0 ? number : first;
        last               = number;
        return follows;
    }
    [[nodiscard]] std::uint64_t count() const { return first == 0 ? 0 : last + 1 - first; }

    bool operator==(row const&) const = default;
};

// Joins, and receives until it has something of each who speaks that was sent after that. \returns what was wrong
std::string join(router<utterance>& r, progress const& so_far, std::uint64_t end)
{
    std::array<row, most_speakers>           got{};
    std::array<std::uint64_t, most_speakers> before{}, after{};
    for (std::size_t n = 0; n != end; ++n)
        before[n] = so_far.sent[n].load();
    auto p = r.subscribe({.capacity = 64, .history = kept});
    for (std::size_t n = 0; n != end; ++n)
        after[n] = so_far.sent[n].load();
    for (std::uint64_t missing = end - 1; missing != 0;)
    {
        auto const one = p.receive(60s);
        if (!one)
            return "nothing comes";
        auto const [speaker, number] = **one;
        bool const was_missing       = speaker != 0 && got[speaker].last < after[speaker] + 2;
        if (!got[speaker].add(number))
            return "a gap, or something twice or late";
        // One that was on its way when `after` was looked at came either as history or through the pipe.
        missing -= was_missing && number >= after[speaker] + 2 ? 1 : 0;
    }
    // The newest before it came was that number at least, and so many up to it are had at most; what was sent after that
    // is there.
    for (std::size_t n = 1; n != end; ++n)
    {
        if (got[n].first + kept <= before[n])
            return "more than the newest";
        if (got[n].first > after[n] + 1)
            return "some are missing";
    }
    return got[0] == row{20 - kept + 1, 20} ? "" : "not the last of who is silent";
}

ATRIUM_TEST_ROLE(speaker_at_full_speed)
{
    segment const         s(open_only, arguments.at(0));
    pool<utterance>       all(open_only, s, "utterances");
    router<utterance>     r(open_only, s, "router");
    named<progress> const so_far(open_only, s, "progress");
    require(speak(r, all, *so_far, std::stoul(arguments.at(1))));
    return 0;
}

// Says so many, and waits.
ATRIUM_TEST_ROLE(speaker_of_some)
{
    segment const         s(open_only, arguments.at(0));
    pool<utterance>       all(open_only, s, "utterances");
    router<utterance>     r(open_only, s, "router");
    named<progress> const so_far(open_only, s, "progress");
    std::uint64_t const   speaker = std::stoul(arguments.at(1));
    std::uint64_t const   count   = std::stoul(arguments.at(2));
    for (std::uint64_t n = 1; n <= count; ++n)
        require(r.send(all.make(speaker, n).value(), 60s).has_value());
    so_far->sent[speaker].store(count);
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(late_joiner)
{
    segment const         s(open_only, arguments.at(0));
    router<utterance>     r(open_only, s, "router");
    named<progress> const so_far(open_only, s, "progress");
    for (auto turns = std::stoul(arguments.at(1)); turns != 0; --turns)
    {
        auto const wrong = join(r, *so_far, std::stoul(arguments.at(2)));
        require(wrong.empty(), wrong);
    }
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_history, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_late_joiner_gets_the_last_ones)
{
    news now(5);
    auto first = now.r.subscribe();
    for (std::uint64_t n = 1; n != 9; ++n)
        BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).value().delivered() == 1u);
    auto few  = now.r.subscribe({.history = 3});
    auto many = now.r.subscribe({.history = 100});
    auto none = now.r.subscribe();
    BOOST_TEST(now.r.send(now.all.make(9u).value(), 1s).value().delivered() == 4u);
    BOOST_TEST(drained(few) == (std::vector<std::uint64_t>{6, 7, 8, 9}));
    BOOST_TEST(drained(many) == (std::vector<std::uint64_t>{4, 5, 6, 7, 8, 9}));
    BOOST_TEST(drained(none) == (std::vector<std::uint64_t>{9}));
    BOOST_TEST(drained(first).size() == 9u);
    BOOST_TEST(now.all.statistics().outstanding == 5u); // what the sender keeps
    BOOST_TEST(pipe_problems(now.s) == "");
}

// Also where nobody has received anything yet.
BOOST_AUTO_TEST_CASE(the_first_to_come_gets_what_was_sent_to_nobody)
{
    news now(4);
    for (std::uint64_t n = 1; n != 7; ++n)
        BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).error() == errc::no_receivers);
    auto p = now.r.subscribe({.history = 4});
    BOOST_TEST(drained(p) == (std::vector<std::uint64_t>{3, 4, 5, 6}));
}

BOOST_AUTO_TEST_CASE(each_sender_has_a_history_of_its_own)
{
    news now(2);
    auto keeps = now.r.subscribe();
    auto one   = now.r.make_ordered_sender();
    auto two   = now.r.make_ordered_sender();
    for (std::uint64_t n = 1; n != 5; ++n)
    {
        BOOST_TEST(one.send(now.all.make(10 + n).value(), 1s).value().delivered() == 1u);
        BOOST_TEST(two.send(now.all.make(20 + n).value(), 1s).value().delivered() == 1u);
    }
    auto p = now.r.subscribe({.history = 2});
    BOOST_TEST(drained(p) == (std::vector<std::uint64_t>{13, 14, 23, 24}));
}

// What is in the history goes with the router, and not before.
BOOST_AUTO_TEST_CASE(a_history_ends_with_its_router)
{
    segment const       s(create_only, unique_name("history"), pipe_segment());
    pool<std::uint64_t> all(create_only, s, "numbers", {.capacity = 16});
    {
        router<std::uint64_t> r(create_only, s, "router", {.history = 3});
        auto                  p = r.subscribe();
        for (std::uint64_t n = 1; n != 6; ++n)
            BOOST_TEST(r.send(all.make(n).value(), 1s).value().delivered() == 1u);
        p = r.subscribe();
        BOOST_TEST(all.statistics().outstanding == 3u);
    }
    BOOST_TEST(all.statistics().outstanding == 0u);
}

// At full speed: no gap, nothing twice, and of each sender no more than the newest before it came.
BOOST_AUTO_TEST_CASE(who_joins_while_there_is_sending_gets_each_once)
{
    for (std::uint64_t const end : {2u, 4u})
    {
        assembly          now;
        speakers const    speaking(now, 1, end);
        int const         turns = long_form() ? 20'000 : 200;
        std::future<bool> other = std::async(std::launch::async, [&] {
            for (int turn = 0; turn != turns; ++turn)
            {
                if (!join(now.r, *now.so_far, end).empty())
                    return false;
            }
            return true;
        });
        for (int turn = 0; turn != turns; ++turn)
            BOOST_REQUIRE(join(now.r, *now.so_far, end) == "");
        BOOST_TEST(other.get());
    }
}

BOOST_AUTO_TEST_CASE(processes_join_while_others_send)
{
    assembly           now;
    std::string const  turns = long_form() ? "5000" : "100";
    std::vector<child> speaking;
    std::vector<child> joining;
    for (unsigned n = 1; n != most_speakers; ++n)
        speaking.emplace_back("speaker_at_full_speed", arguments{now.s.name(), std::to_string(n)});
    for (int n = 0; n != 3; ++n)
        joining.emplace_back("late_joiner", arguments{now.s.name(), turns, std::to_string(most_speakers)});
    for (child& one : joining)
        BOOST_TEST(one.wait(120s) == exited(0));
    now.so_far->ends.store(1);
    for (child& one : speaking)
        BOOST_TEST(one.wait(60s) == exited(0));
}

// Killed when it has been silent, or in the middle of sending, while another one goes on.
BOOST_AUTO_TEST_CASE(the_last_of_the_dead_are_still_there)
{
    for (std::uint64_t turn = 0; turn != (long_form() ? 2000u : 40u); ++turn)
    {
        bool const     silent = turn % 2 == 0;
        assembly       now;
        auto const     keeps = now.r.subscribe({.capacity = 1, .when_full = overflow::drop_oldest});
        speakers const speaking(now, 1, 2);
        // It has a lane by then: with the dead one's it would go on with that one's history.
        ATRIUM_EVENTUALLY(now.so_far->sent[1].load() != 0, 60s);
        child dies = silent ? ready_child("speaker_of_some", {now.s.name(), "2", std::to_string(turn % 15 + 1)})
                            : child("speaker_at_full_speed", {now.s.name(), "2"});
        ATRIUM_EVENTUALLY(now.so_far->sent[2].load() > (silent ? 0 : 20 + turn), 60s);
        BOOST_TEST(dies.kill() == killed(SIGKILL));
        BOOST_TEST(now.s.recover(30s).has_value());
        std::uint64_t const           sent = now.so_far->sent[2].load();
        std::vector<std::future<row>> all;
        for (int n = 0; n != 2; ++n)
            all.push_back(std::async(std::launch::async, [&now] {
                row  of_the_dead;
                bool right = true;
                auto p     = now.r.subscribe({.capacity = 64, .history = kept});
                auto after = now.so_far->sent[1].load();
                for (std::uint64_t last = 0; last < after + 2;)
                {
                    auto const one = p.receive(60s).value();
                    last           = one->speaker == 1 ? one->number : last;
                    right          = right && (one->speaker != 2 || of_the_dead.add(one->number));
                }
                return right ? of_the_dead : row();
            }));
        row const one   = all[0].get();
        row const other = all[1].get();
        BOOST_TEST_CONTEXT("turn " << turn << ", sent " << sent << ", got " << one.first << " to " << one.last)
        {
            BOOST_TEST((one == other));
            // What was on its way may be there. If it is not, the oldest may have made room for it.
            BOOST_TEST((one.last == sent || (!silent && one.last == sent + 1)));
            std::uint64_t const expected = std::min<std::uint64_t>(one.last, kept);
            BOOST_TEST((one.count() == expected || (!silent && one.last == sent && one.count() == expected - 1)));
        }
    }
}

// Who opens a pipe that somebody has just made waits until that one has got his history.
BOOST_AUTO_TEST_CASE(those_who_compete_get_nothing_of_the_history_twice)
{
    for (int turn = 0; turn != (long_form() ? 2000 : 50); ++turn)
    {
        news now(8);
        for (std::uint64_t n = 1; n != 9; ++n)
            BOOST_TEST(now.r.send(now.all.make(n).value(), 1s).error() == errc::no_receivers);
        std::atomic<int>                          there{0};
        std::array<std::vector<std::uint64_t>, 3> got;
        std::vector<std::thread>                  receivers;
        for (auto& mine : got)
            receivers.emplace_back([&] {
                auto p = now.r.subscribe(open_or_create, "jobs", {.history = 8});
                there.fetch_add(1);
                while (auto one = p.receive(20s))
                    mine.push_back(**one);
            });
        BOOST_TEST(eventually([&] { return there.load() != 0; }, 20s));
        for (std::uint64_t n = 9; n != 21; ++n)
            BOOST_TEST(now.r.send(now.all.make(n).value(), 20s).value().delivered() == 1u);
        BOOST_TEST(eventually([&] { return there.load() == 3; }, 20s));
        now.r.close();
        for (std::thread& one : receivers)
            one.join();
        std::map<std::uint64_t, int> seen;
        for (auto const& mine : got)
        {
            for (std::uint64_t const n : mine)
                ++seen[n];
        }
        // All that was sent to the pipe, and the newest 8 before that: fewer of the first where these were no longer among
        // the newest when the maker, who may be the last to be there, came to copy them.
        BOOST_REQUIRE(!seen.empty());
        BOOST_TEST(seen.begin()->first <= 9u);
        BOOST_TEST(seen.size() == 21 - seen.begin()->first);
        BOOST_TEST(seen.rbegin()->first == 20u);
        for (auto const& [number, times] : seen)
            BOOST_TEST(times == 1, number);
    }
}

BOOST_AUTO_TEST_SUITE_END()
