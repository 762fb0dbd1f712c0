/// Deaths are told once, to those whom they concern, and what the dead had is nobody's: also where somebody stands still
/// with the heap while others recover.
#include <atrium/pipe/router.hpp>

#include "memory/race_roles.hpp"
#include "pipe/pipe_fixture.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

// What a role needs of the test's segment.
struct visitor
{
    explicit visitor(std::string const& name)
        : s(open_only, name, {.open_timeout = 30s}), items(open_only, s, "items"), r(open_only, s, "router")
    {}

    void send(std::uint64_t n) { require(r.send(items.make(n).value(), 10s).has_value()); }

    segment      s;
    pool<item>   items;
    router<item> r;
};

// Sends the numbers that follow the name, and says so; then it is killed, or ends in order.
ATRIUM_TEST_ROLE(sender_of_numbers)
{
    visitor here(arguments.at(0));
    for (std::size_t n = 1; n < arguments.size(); ++n)
        here.send(std::stoul(arguments[n]));
    be_ready_until_told();
    return 0;
}

// Has a pipe with room for one reference.
ATRIUM_TEST_ROLE(owner_of_a_narrow_pipe)
{
    visitor    here(arguments.at(0));
    auto const mine = here.r.subscribe({.capacity = 1});
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(maker_of_a_named_pipe)
{
    visitor here(arguments.at(0));
    arm();
    auto const mine = here.r.subscribe(open_or_create, "named", {.capacity = 4});
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(maker_of_a_pipe)
{
    visitor here(arguments.at(0));
    arm();
    auto const mine = here.r.subscribe({.capacity = 4});
    disarm();
    return 0;
}

// Gives up its pipe when it is told.
ATRIUM_TEST_ROLE(leaver_of_a_pipe)
{
    visitor here(arguments.at(0));
    auto    mine = std::optional(here.r.subscribe({.capacity = 1}));
    be_ready_until_told();
    arm();
    mine.reset();
    disarm();
    return 0;
}

// What a receiver has heard, in this order; 0 is a death.
constexpr std::uint64_t a_death = 0;
using story                     = std::vector<std::uint64_t>;

struct survivor
{
    explicit survivor(router_options const& options = {.pipes = 8}) : r(create_only, s, "router", options) {}
    ~survivor() { BOOST_TEST(pipe_problems(s) == ""); }
    survivor(survivor const&)            = delete;
    survivor& operator=(survivor const&) = delete;

    [[nodiscard]] child sender(std::vector<std::string> numbers) const
    {
        numbers.insert(numbers.begin(), s.name());
        return ready_child("sender_of_numbers", numbers);
    }

    // Sends these and dies; others have recovered.
    void sends_and_dies(std::vector<std::string> numbers)
    {
        BOOST_TEST((sender(std::move(numbers)).kill() == killed(SIGKILL)));
        BOOST_TEST(s.recover(10s).has_value());
    }

    static story heard(atrium::pipe<item>& from)
    {
        story all;
        for (;;)
        {
            auto const one = from.receive(detail::at_once);
            if (one)
                all.push_back((*one)->value);
            else if (one.error() == errc::peer_dead)
                all.push_back(a_death);
            else
                return all;
        }
    }

    // The same in batches.
    static story heard_in_batches(atrium::pipe<item>& from)
    {
        story                            all;
        std::array<shared_ptr<item>, 16> batch;
        for (;;)
        {
            auto const count = from.receive(std::span(batch), detail::at_once);
            if (!count && count.error() != errc::peer_dead)
                return all;
            if (!count)
                all.push_back(a_death);
            for (std::size_t n = 0; count && n != *count; ++n)
                all.push_back(std::exchange(batch[n], nullptr)->value);
        }
    }

    [[nodiscard]] error_code send(std::uint64_t n, deadline until)
    {
        auto const sent = r.send(items.make(n).value(), until);
        return sent ? error_code() : sent.error();
    }

    // Nobody has a pipe any more, and senders find that out.
    void nobody_is_left()
    {
        BOOST_TEST(eventually([&] { return send(50, 10ms) == errc::no_receivers; }, 10s));
        BOOST_TEST(r.info().pipes.empty());
    }

    segment      s{create_only, unique_name("deaths"), pipe_segment()};
    pool<item>   items{create_only, s, "items", {.capacity = 64}};
    router<item> r;
};

// While what the returned one has is wanted by who recovers: it stands still with the heap.
void resume_and_end(std::optional<child>& holder)
{
    BOOST_REQUIRE(holder.has_value());
    holder->resume();
    BOOST_TEST(holder->wait(30s) == exited(0));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_deaths, leaves_nothing)

// ---- senders -------------------------------------------------------------------------------------------------------

// Each wait ends with what the other sender sends, before anybody would have to look after the dead.
BOOST_AUTO_TEST_CASE(a_death_is_told_also_where_something_comes_in_time_again_and_again)
{
    for (wait_policy const& how : {wait_policy::busy(), wait_policy::streaming(), wait_policy::balanced()})
    {
        survivor now;
        auto     p = now.r.subscribe({.capacity = 16}); // fewer than there are items
        BOOST_TEST((now.sender({"1"}).kill() == killed(SIGKILL)));
        std::atomic<bool> over{false};
        std::thread       steady([&] {
            while (!over.load())
            {
                require(!now.send(2, 10s));
                std::this_thread::sleep_for(1ms); // so that each is waited for
            }
        });
        bool              told  = false;
        deadline const    until = 20s;
        while (!told && !until.passed())
            told = p.receive(until, how).error() == errc::peer_dead;
        over.store(true);
        while (p.receive(detail::at_once))
        {}
        steady.join();
        BOOST_TEST(told);
        static_cast<void>(survivor::heard(p));
    }
}

// They had the same number, one after the other, and nobody has received meanwhile.
BOOST_AUTO_TEST_CASE(each_of_two_deaths_is_told)
{
    for (auto const heard : {&survivor::heard, &survivor::heard_in_batches})
    {
        survivor now;
        auto     p = now.r.subscribe({.capacity = 16});
        now.sends_and_dies({"1", "2"});
        now.sends_and_dies({"3", "4"});
        BOOST_TEST(heard(p) == (story{1, 2, 3, 4, a_death, a_death}));
    }
}

// The next user of a dead one's number is not taken for dead, nor the dead one forgotten over it.
BOOST_AUTO_TEST_CASE(a_death_is_told_while_the_next_user_of_the_number_sends)
{
    for (auto const heard : {&survivor::heard, &survivor::heard_in_batches})
    {
        survivor now;
        auto     p = now.r.subscribe({.capacity = 16});
        now.sends_and_dies({"1", "2"});
        child lives = now.sender({"3", "4"});
        auto  all   = heard(p);
        BOOST_TEST(std::erase(all, a_death) == 1u);
        BOOST_TEST(all == (story{1, 2, 3, 4}));
        lives.kill();
        BOOST_TEST(now.s.recover(10s).has_value());
        BOOST_TEST(heard(p) == (story{a_death}));
    }
}

// Its number's last user has sent to the pipe, and ended in order; this one found it full.
BOOST_AUTO_TEST_CASE(the_death_of_who_has_sent_nothing_is_not_told)
{
    survivor now;
    auto     p     = now.r.subscribe({.capacity = 2, .when_full = overflow::fail});
    child    sends = now.sender({"1", "2"});
    let_end(sends);
    now.sends_and_dies({"3", "4"});
    BOOST_TEST(p.info().refused == 2u);
    BOOST_TEST(survivor::heard(p) == (story{1, 2}));
}

// ---- receivers -----------------------------------------------------------------------------------------------------

// Who recovers cannot have the heap, which the pipe's name needs to go: another look is taken later.
BOOST_AUTO_TEST_CASE(the_pipe_of_a_dead_receiver_goes_though_the_heap_was_not_to_be_had)
{
    survivor now;
    child    owner = ready_child("owner_of_a_narrow_pipe", {now.s.name()});
    BOOST_TEST(!now.send(1, 10ms));
    owner.kill();
    std::optional<child> holder;
    {
        interlude const meanwhile("segment.recover.announced", 1, [&] { holder = stopped_heap_holder(now.s.name()); });
        BOOST_TEST(now.s.recover(10s).value().dead.size() == 1u);
        BOOST_TEST(meanwhile.was_reached());
    }
    resume_and_end(holder);
    now.nobody_is_left();
}

// The same where who waits for room recovers, and does not wait for the heap at all.
BOOST_AUTO_TEST_CASE(the_pipe_of_a_dead_receiver_goes_though_who_waits_found_the_heap_busy)
{
    survivor now;
    child    owner = ready_child("owner_of_a_narrow_pipe", {now.s.name()});
    BOOST_TEST(!now.send(1, 10ms));
    owner.kill();
    std::optional<child> holder;
    {
        interlude const meanwhile("segment.recover.announced", 1, [&] { holder = stopped_heap_holder(now.s.name()); });
        while (!meanwhile.was_reached())
            BOOST_REQUIRE(!now.send(2, 10ms)); // the pipe is there, and full
    }
    resume_and_end(holder);
    now.nobody_is_left();
}

// What the last receiver could not give back, since somebody stood still with the heap, is given back later.
BOOST_AUTO_TEST_CASE(a_named_pipe_goes_though_the_heap_was_not_to_be_had)
{
    survivor             now;
    auto                 p      = std::optional(now.r.subscribe(create_only, "named", {.capacity = 1}));
    std::optional<child> holder = stopped_heap_holder(now.s.name());
    p.reset();
    resume_and_end(holder);
    now.nobody_is_left();
}

// The maker has published the name, and dies before senders find the pipe. Who has opened it by its name hears the end.
BOOST_AUTO_TEST_CASE(a_pipe_whose_maker_dies_is_closed_with_its_router)
{
    survivor now;
    child    maker("maker_of_a_named_pipe", {now.s.name()}, {.stop_at_name = "directory.create.live"});
    BOOST_TEST(maker.wait_stopped(30s));
    auto p = now.r.subscribe(open_only, "named", {.patience = 10s});
    now.r.close();
    maker.kill();
    BOOST_TEST(now.s.recover(10s).has_value());
    BOOST_TEST(p.receive(10s).error() == errc::closed);
    BOOST_TEST(now.send(1, 10s) == errc::closed);
}

// The last user of the place has made it free, but has its name still when the next one dies there.
BOOST_AUTO_TEST_CASE(a_place_is_not_opened_for_the_name_of_its_former_pipe)
{
    survivor now({.pipes = 1});
    child    leaver("leaver_of_a_pipe", {now.s.name()}, {.stop_at_name = "pipe.closed"});
    leaver.wait_for_line("ready", 30s);
    leaver.close_input();
    BOOST_TEST(leaver.wait_stopped(30s));
    child dies("maker_of_a_pipe", {now.s.name()}, {.crash_at_name = "pipe.claimed"});
    BOOST_TEST((dies.wait(30s) == killed(SIGKILL)));
    BOOST_TEST(now.s.recover(10s).has_value());
    BOOST_TEST(now.send(1, 10s) == errc::no_receivers);
    BOOST_TEST(now.r.info().pipes.empty());
    leaver.resume();
    BOOST_TEST(leaver.wait(30s) == exited(0));
    auto p = now.r.subscribe(); // the only place
    BOOST_TEST(!now.send(2, 10s));
    BOOST_TEST(survivor::heard(p) == (story{2}));
}

BOOST_AUTO_TEST_SUITE_END()
