/// Many senders and many receivers, threads and processes, with every policy: nothing is lost, doubled or reordered but by
/// the policy of the pipe, and that is counted.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"
#include "support/role.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

constexpr std::size_t most_senders   = 8;
constexpr std::size_t most_receivers = 8;

// What goes through: whose it is, and which of his.
struct letter
{
    std::uint64_t sender = 0;
    std::uint64_t number = 0;
    std::uint64_t check  = 0;
};

// What all receivers of one pipe have got of each sender.
struct tally
{
    atomic<std::uint64_t> count[most_senders]{};
    atomic<std::uint64_t> sum[most_senders]{};
};

// What all senders were told.
struct ledger
{
    atomic<std::uint64_t> delivered{0};
    atomic<std::uint64_t> refused{0};
};

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::tally>  = true;
template <> inline constexpr bool atrium::is_shareable<atrium::test::ledger> = true;

namespace {

letter written(std::uint64_t sender, std::uint64_t number)
{
    return {sender, number, ~(sender << 32 | number)};
}

// Receives until there is no more; each sender's numbers rise.
void receive_all(atrium::pipe<letter>& from, tally& all, std::size_t batch)
{
    std::map<std::uint64_t, std::uint64_t> last;
    std::vector<shared_ptr<letter>>        got(batch);
    for (;;)
    {
        auto const count = from.receive(std::span(got), 60s);
        if (!count && count.error() == errc::closed)
            return;
        require(count.has_value(), "something comes, or the end");
        for (std::size_t n = 0; n != *count; ++n)
        {
            letter const& one = *got[n];
            require(one.check == ~(one.sender << 32 | one.number), "a letter is whole");
            require(one.number > last[one.sender], "in the order in which they were sent");
            last[one.sender] = one.number;
            all.count[one.sender].fetch_add(1);
            all.sum[one.sender].fetch_add(one.number);
            got[n].reset();
        }
    }
}

shared_ptr<letter> write(pool<letter>& from, std::uint64_t sender, std::uint64_t number)
{
    for (;;)
    {
        if (auto made = from.make(written(sender, number)))
            return std::move(*made);
        std::this_thread::yield(); // all are on their way
    }
}

// Sends 1 to `most`, moved and copied, one by one and in batches.
void send_all(router<letter>& to, pool<letter>& from, ledger& told, std::uint64_t sender, std::uint64_t most)
{
    auto const note = [&](result<delivery> const& sent) {
        require(sent.has_value());
        told.delivered.fetch_add(sent->delivered());
        told.refused.fetch_add(sent->refused());
    };
    std::array<shared_ptr<letter>, 5> batch;
    for (std::uint64_t number = 1; number <= most;)
    {
        switch (number % 3)
        {
        case 0:
            note(to.send(write(from, sender, number++), 60s));
            break;
        case 1:
        {
            auto const kept = write(from, sender, number++);
            note(to.send(kept, 60s));
            break;
        }
        default:
        {
            std::size_t const count = std::min<std::uint64_t>(batch.size(), most - number + 1);
            for (std::size_t n = 0; n != count; ++n)
                batch[n] = write(from, sender, number++);
            note(to.send(std::span(batch).first(count), 60s));
            std::ranges::for_each(batch, [](auto& one) { one.reset(); }); // what nobody got
        }
        }
    }
}

// Each of the largest rings takes two megabytes.
segment_options large_segment()
{
    auto options         = pipe_segment();
    options.participants = 40;
    options.maximum_size = 128u << 20;
    return options;
}

// Who meets, and how much the pipes hold for each sender: those of one receiver each, the one that all compete for, the one
// that refuses, the one that drops.
struct meeting
{
    unsigned    senders;
    unsigned    receivers;
    unsigned    share; // of all letters
    std::size_t own, jobs, few, newer;
};

// A post office: a router, the pipes that every test has, and what came out of them.
struct office
{
    office() : s(create_only, unique_name("many"), large_segment())
    {
        for (auto* one : {&mine, &shared, &few, &new_ones})
            one->emplace(create_only, s, "tally." + std::to_string(tallies++));
    }

    [[nodiscard]] arguments with(std::initializer_list<std::string> more) const
    {
        arguments all{s.name()};
        all.insert(all.end(), more);
        return all;
    }

    // Every letter so many times.
    static void is_whole(tally const& all, std::size_t senders, std::uint64_t most, std::uint64_t times = 1)
    {
        for (std::size_t n = 0; n != senders; ++n)
        {
            BOOST_TEST(all.count[n].load() == times * most);
            BOOST_TEST(all.sum[n].load() == times * (most * (most + 1) / 2));
        }
    }

    // To the last letter: what senders were told is what pipes count, and that is what came out of them.
    // \param at_the_end  when nobody sends any more, and no pipe has closed yet
    void agrees(router_info const& at_the_end, std::uint64_t received) const
    {
        std::uint64_t sent    = 0;
        std::uint64_t refused = 0;
        std::uint64_t dropped = 0;
        for (pipe_info const& one : at_the_end.pipes)
        {
            sent += one.sent;
            refused += one.refused;
            dropped += one.dropped;
        }
        BOOST_TEST((*told)->delivered.load() == sent);
        BOOST_TEST((*told)->refused.load() == refused);
        BOOST_TEST(received + dropped == sent);
    }

    static std::uint64_t sum(tally const& all)
    {
        std::uint64_t count = 0;
        for (auto const& of_one : all.count)
            count += of_one.load();
        return count;
    }

    segment                      s;
    pool<letter>                 letters{create_only, s, "letters", {.capacity = 512}};
    router<letter>               r{create_only, s, "router", {.pipes = most_receivers + 3}};
    unsigned                     tallies = 0;
    std::optional<named<tally>>  mine, shared, few, new_ones;
    std::optional<named<ledger>> told{std::in_place, create_only, s, "told"};
};

// ---- processes -----------------------------------------------------------------------------------------------------

ATRIUM_TEST_ROLE(letter_sender)
{
    segment const       s(open_only, arguments.at(0));
    pool<letter>        letters(open_only, s, "letters");
    router<letter>      r(open_only, s, "router");
    named<ledger> const told(open_only, s, "told");
    say("ready");
    static_cast<void>(hear());
    send_all(r, letters, *told, std::stoul(arguments.at(1)), std::stoul(arguments.at(2)));
    return 0;
}

// Of a pipe of that name; or "own": of one of its own, of that capacity.
ATRIUM_TEST_ROLE(letter_receiver)
{
    segment const      s(open_only, arguments.at(0));
    router<letter>     r(open_only, s, "router");
    named<tally> const all(open_only, s, arguments.at(1));
    auto               p = arguments.at(3) == "own" ? r.subscribe({.capacity = std::stoul(arguments.at(4))})
                                                    : r.subscribe(open_only, arguments.at(3));
    say("ready");
    receive_all(p, *all, std::stoul(arguments.at(2)));
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_many, leaves_nothing)

// So many senders and so many receivers: each of these with a pipe of its own, and as many who compete for another. Every
// policy meets the smallest ring and the largest.
BOOST_AUTO_TEST_CASE(processes_hand_over_everything_once_and_in_order)
{
    for (meeting const& now_meet : {meeting{1, 1, 1, 1, 65536, 4, 1},
                                    {1, 4, 1, 65536, 8, 1, 4},
                                    {4, 1, 1, 16, 1, 65536, 7},
                                    {3, 2, 1, 5, 3, 4, 65536},
                                    {1, 8, 2, 1, 1, 1, 1},
                                    {8, 3, 2, 16, 8, 4, 4},
                                    {8, 8, 6, 3, 1, 2, 65536}})
    {
        auto const [senders, receivers, share, own, jobs_hold, few_hold, newer_hold] = now_meet;
        std::uint64_t const most = (long_form() ? 100'000 : 1'500) / share;
        office              now;
        auto few   = now.r.subscribe(create_only, "few", {.capacity = few_hold, .when_full = overflow::fail});
        auto newer = now.r.subscribe(create_only, "new", {.capacity = newer_hold, .when_full = overflow::drop_oldest});
        auto jobs  = std::optional(now.r.subscribe(create_only, "jobs", {.capacity = jobs_hold}));
        std::vector<child> all;
        for (unsigned n = 0; n != receivers; ++n)
        {
            all.emplace_back("letter_receiver", now.with({"tally.0", "7", "own", std::to_string(own)}));
            all.emplace_back("letter_receiver", now.with({"tally.1", "1", "jobs"}));
        }
        all.emplace_back("letter_receiver", now.with({"tally.2", "3", "few"}));
        all.emplace_back("letter_receiver", now.with({"tally.3", "3", "new"}));
        std::vector<child> sending;
        for (unsigned n = 0; n != senders; ++n)
            sending.emplace_back("letter_sender", now.with({std::to_string(n), std::to_string(most)}));
        for (auto* const some : {&all, &sending})
        {
            for (child& one : *some)
                one.wait_for_line("ready", 60s);
        }
        jobs.reset(); // those who compete keep it
        for (child& one : sending)
            one.close_input();
        for (child& one : sending)
            BOOST_TEST(one.wait(120s) == exited(0));
        auto const at_the_end = now.r.info();
        now.r.close();
        for (child& one : all)
            BOOST_TEST(one.wait(60s) == exited(0));
        BOOST_TEST_CONTEXT(senders << " senders, " << receivers << " receivers")
        {
            BOOST_TEST(at_the_end.pipes.size() == receivers + 3u);
            office::is_whole(**now.mine, senders, most, receivers);
            office::is_whole(**now.shared, senders, most);
            BOOST_TEST(office::sum(**now.few) + few.info().refused == most * senders);
            BOOST_TEST(office::sum(**now.new_ones) + newer.info().dropped == most * senders);
            BOOST_TEST(newer.info().sent == most * senders);
            now.agrees(at_the_end, office::sum(**now.mine) + office::sum(**now.shared) + office::sum(**now.few) +
                                       office::sum(**now.new_ones));
        }
        BOOST_TEST(now.letters.statistics().outstanding == 0u);
        BOOST_TEST(pipe_problems(now.s) == "");
    }
}

// The same within one process, where the thread sanitizer sees it.
BOOST_AUTO_TEST_CASE(threads_hand_over_everything_once_and_in_order)
{
    for (meeting const& now_meet : {meeting{1, 1, 1, 65536, 1, 65536, 2},
                                    {2, 2, 1, 1, 65536, 1, 65536},
                                    {4, 3, 1, 16, 8, 3, 1},
                                    {1, 8, 2, 16, 2, 4, 2},
                                    {8, 8, 6, 1, 1, 1, 1}})
    {
        auto const [senders, receivers, share, own, jobs_hold, few_hold, newer_hold] = now_meet;
        std::uint64_t const      most = (long_form() ? 100'000 : 1'500) / share;
        office                   now;
        std::vector<std::thread> all;
        std::vector<tally>       mine(receivers);
        auto                     jobs  = std::optional(now.r.subscribe(create_only, "jobs", {.capacity = jobs_hold}));
        auto                     few   = now.r.subscribe({.capacity = few_hold, .when_full = overflow::fail});
        auto                     newer = now.r.subscribe({.capacity = newer_hold, .when_full = overflow::drop_oldest});
        for (unsigned n = 0; n != receivers; ++n)
        {
            all.emplace_back(
                [p = now.r.subscribe({.capacity = own}), &to = mine[n], n]() mutable { receive_all(p, to, n + 1); });
            all.emplace_back([p = *jobs, &now]() mutable { receive_all(p, **now.shared, 2); });
        }
        all.emplace_back([&] { receive_all(few, **now.few, 2); });
        all.emplace_back([&] { receive_all(newer, **now.new_ones, 1); });
        jobs.reset();
        std::vector<std::thread> sending;
        for (unsigned n = 0; n != senders; ++n)
            sending.emplace_back([&now, n, most] { send_all(now.r, now.letters, **now.told, n, most); });
        for (std::thread& one : sending)
            one.join();
        auto const at_the_end = now.r.info();
        now.r.close();
        for (std::thread& one : all)
            one.join();
        BOOST_TEST_CONTEXT(senders << " senders, " << receivers << " receivers")
        {
            std::uint64_t received = office::sum(**now.shared) + office::sum(**now.few) + office::sum(**now.new_ones);
            for (tally const& one : mine)
            {
                office::is_whole(one, senders, most);
                received += office::sum(one);
            }
            office::is_whole(**now.shared, senders, most);
            BOOST_TEST(office::sum(**now.few) + few.info().refused == most * senders);
            BOOST_TEST(office::sum(**now.new_ones) + newer.info().dropped == most * senders);
            now.agrees(at_the_end, received);
        }
        BOOST_TEST(now.letters.statistics().outstanding == 0u);
        BOOST_TEST(pipe_problems(now.s) == "");
    }
}

// Pipes come and go while there is sending; each gets a row without gaps.
BOOST_AUTO_TEST_CASE(receivers_come_and_go_while_others_send)
{
    office            now;
    std::atomic<bool> all_sent{true};
    auto              keeps = now.r.subscribe({.capacity = 64, .when_full = overflow::drop_oldest});
    std::jthread      sending([&](std::stop_token const& ends) { // also where a check has failed
        for (std::uint64_t number = 1; !ends.stop_requested(); ++number)
        {
                 if (!now.r.send(write(now.letters, 0, number), 20s))
                all_sent.store(false);
        }
    });
    for (int turn = 0; turn != (long_form() ? 5000 : 150); ++turn)
    {
        auto          p    = now.r.subscribe({.capacity = std::size_t{1} << (turn % 5)});
        std::uint64_t last = 0;
        for (int n = 0; n != 20; ++n)
        {
            auto const one = p.receive(20s).value();
            BOOST_REQUIRE((last == 0 || one->number == last + 1));
            last = one->number;
        }
        if (turn % 3 == 0)
            p.close();
    }
    sending.request_stop();
    sending.join();
    BOOST_TEST(all_sent.load());
    while (keeps.try_receive())
    {}
    BOOST_TEST(now.letters.statistics().outstanding == 0u);
    BOOST_TEST(pipe_problems(now.s) == "");
}

BOOST_AUTO_TEST_SUITE_END()
