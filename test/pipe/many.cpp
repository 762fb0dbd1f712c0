/// Many senders and many receivers, threads and processes, with every policy: nothing is lost, doubled or reordered but by
/// the policy of the pipe, and that is counted.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"
#include "support/role.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

constexpr std::size_t most_senders = 8;

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

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::tally> = true;

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
void send_all(router<letter>& to, pool<letter>& from, std::uint64_t sender, std::uint64_t most)
{
    std::array<shared_ptr<letter>, 5> batch;
    for (std::uint64_t number = 1; number <= most;)
    {
        switch (number % 3)
        {
        case 0:
            require(to.send(write(from, sender, number++), 60s).has_value());
            break;
        case 1:
        {
            auto const kept = write(from, sender, number++);
            require(to.send(kept, 60s).has_value());
            break;
        }
        default:
        {
            std::size_t const count = std::min<std::uint64_t>(batch.size(), most - number + 1);
            for (std::size_t n = 0; n != count; ++n)
                batch[n] = write(from, sender, number++);
            require(to.send(std::span(batch).first(count), 60s).has_value());
            std::ranges::for_each(batch, [](auto& one) { one.reset(); }); // what nobody got
        }
        }
    }
}

// A post office: a router, the pipes that every test has, and what came out of them.
struct office
{
    office() : s(create_only, unique_name("many"), pipe_segment())
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

    static void is_whole(tally const& all, std::size_t senders, std::uint64_t most)
    {
        for (std::size_t n = 0; n != senders; ++n)
        {
            BOOST_TEST(all.count[n].load() == most);
            BOOST_TEST(all.sum[n].load() == most * (most + 1) / 2);
        }
    }

    static std::uint64_t sum(tally const& all)
    {
        std::uint64_t count = 0;
        for (auto const& of_one : all.count)
            count += of_one.load();
        return count;
    }

    segment                     s;
    pool<letter>                letters{create_only, s, "letters", {.capacity = 512}};
    router<letter>              r{create_only, s, "router", {.pipes = 16}};
    unsigned                    tallies = 0;
    std::optional<named<tally>> mine, shared, few, new_ones;
};

// ---- processes -----------------------------------------------------------------------------------------------------

ATRIUM_TEST_ROLE(letter_sender)
{
    segment const  s(open_only, arguments.at(0));
    pool<letter>   letters(open_only, s, "letters");
    router<letter> r(open_only, s, "router");
    say("ready");
    static_cast<void>(hear());
    send_all(r, letters, std::stoul(arguments.at(1)), std::stoul(arguments.at(2)));
    return 0;
}

// Of a pipe of that name, or of one of its own.
ATRIUM_TEST_ROLE(letter_receiver)
{
    segment const      s(open_only, arguments.at(0));
    router<letter>     r(open_only, s, "router");
    named<tally> const all(open_only, s, arguments.at(1));
    auto p = arguments.size() == 4 ? r.subscribe(open_only, arguments.at(3)) : r.subscribe({.capacity = 16});
    say("ready");
    receive_all(p, *all, std::stoul(arguments.at(2)));
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_many, leaves_nothing)

// So many senders and so many receivers: each of these with a pipe of its own, and as many who compete for another.
BOOST_AUTO_TEST_CASE(processes_hand_over_everything_once_and_in_order)
{
    std::uint64_t const most = long_form() ? 100'000 : 1'500;
    for (auto const& [senders, receivers] : {std::pair{1u, 1u}, {1u, 4u}, {4u, 1u}, {3u, 2u}, {8u, 3u}})
    {
        office now;
        auto   few   = now.r.subscribe(create_only, "few", {.capacity = 4, .when_full = overflow::fail});
        auto   newer = now.r.subscribe(create_only, "new", {.capacity = 4, .when_full = overflow::drop_oldest});
        auto   jobs  = std::optional(now.r.subscribe(create_only, "jobs", {.capacity = 8}));
        std::vector<child> all;
        for (unsigned n = 0; n != receivers; ++n)
        {
            all.emplace_back("letter_receiver", now.with({"tally.0", "7"}));
            all.emplace_back("letter_receiver", now.with({"tally.1", "1", "jobs"}));
        }
        all.emplace_back("letter_receiver", now.with({"tally.2", "3", "few"}));
        all.emplace_back("letter_receiver", now.with({"tally.3", "3", "new"}));
        for (child& one : all)
            one.wait_for_line("ready", 30s);
        jobs.reset(); // those who compete keep it
        std::vector<child> sending;
        for (unsigned n = 0; n != senders; ++n)
            sending.push_back(ready_child("letter_sender", now.with({std::to_string(n), std::to_string(most)})));
        for (child& one : sending)
            one.close_input();
        for (child& one : sending)
            BOOST_TEST(one.wait(120s) == exited(0));
        auto const few_at_the_end = few.info();
        now.r.close();
        for (child& one : all)
            BOOST_TEST(one.wait(60s) == exited(0));
        office::is_whole(**now.mine, 0, 0);
        for (unsigned n = 0; n != senders; ++n)
            BOOST_TEST((*now.mine)->count[n].load() == most * receivers);
        office::is_whole(**now.shared, senders, most);
        BOOST_TEST(office::sum(**now.few) + few_at_the_end.refused == most * senders);
        BOOST_TEST(office::sum(**now.new_ones) + newer.info().dropped == most * senders);
        BOOST_TEST(newer.info().sent == most * senders);
        BOOST_TEST(now.letters.statistics().outstanding == 0u);
        BOOST_TEST(pipe_problems(now.s) == "");
    }
}

// The same within one process, where the thread sanitizer sees it.
BOOST_AUTO_TEST_CASE(threads_hand_over_everything_once_and_in_order)
{
    std::uint64_t const most = long_form() ? 100'000 : 1'500;
    for (auto const& [senders, receivers] : {std::pair{1u, 1u}, {2u, 2u}, {4u, 3u}})
    {
        office                              now;
        std::vector<std::thread>            all;
        std::vector<std::unique_ptr<tally>> own;
        auto                                jobs = std::optional(now.r.subscribe(create_only, "jobs", {.capacity = 8}));
        auto newer                               = now.r.subscribe({.capacity = 2, .when_full = overflow::drop_oldest});
        for (unsigned n = 0; n != receivers; ++n)
        {
            own.push_back(std::make_unique<tally>());
            all.emplace_back(
                [p = now.r.subscribe({.capacity = 16}), &to = *own.back(), n]() mutable { receive_all(p, to, n + 1); });
            all.emplace_back([p = *jobs, &now]() mutable { receive_all(p, **now.shared, 2); });
        }
        all.emplace_back([&] { receive_all(newer, **now.new_ones, 1); });
        jobs.reset();
        std::vector<std::thread> sending;
        for (unsigned n = 0; n != senders; ++n)
            sending.emplace_back([&now, n, most] { send_all(now.r, now.letters, n, most); });
        for (std::thread& one : sending)
            one.join();
        now.r.close();
        for (std::thread& one : all)
            one.join();
        for (auto const& one : own)
            office::is_whole(*one, senders, most);
        office::is_whole(**now.shared, senders, most);
        BOOST_TEST(office::sum(**now.new_ones) + newer.info().dropped == most * senders);
        BOOST_TEST(now.letters.statistics().outstanding == 0u);
        BOOST_TEST(pipe_problems(now.s) == "");
    }
}

// Pipes come and go while there is sending; each gets a row without gaps.
BOOST_AUTO_TEST_CASE(receivers_come_and_go_while_others_send)
{
    office            now;
    std::atomic<bool> ends{false};
    auto              keeps = now.r.subscribe({.capacity = 64, .when_full = overflow::drop_oldest});
    std::thread       sending([&] {
        for (std::uint64_t number = 1; !ends.load(); ++number)
            require(now.r.send(write(now.letters, 0, number), 20s).has_value());
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
    ends.store(true);
    sending.join();
    while (keeps.try_receive())
    {}
    BOOST_TEST(now.letters.statistics().outstanding == 0u);
    BOOST_TEST(pipe_problems(now.s) == "");
}

BOOST_AUTO_TEST_SUITE_END()
