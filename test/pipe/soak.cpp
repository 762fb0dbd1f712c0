/// Processes that send, receive, compete, come late and go are killed at random, again and again: survivors hear no sender's
/// numbers twice or out of order, and after each round of kills every count is exact.
#include <atrium/pipe/router.hpp>

#include "memory/reference_objects.hpp"
#include "pipe/pipe_fixture.hpp"
#include "support/random_killer.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Says whose it is; nobody else has that number.
struct note_of
{
    static constexpr bool is_shareable = true;

    note_of(std::uint64_t who, std::uint64_t given) : sender(who), number(given), check(who ^ ~given) {}
    ~note_of() { check = 0; } // nobody reads it any more

    noted_end     end;
    std::uint64_t sender;
    std::uint64_t number;
    std::uint64_t check;
    noted_life    life;
};

/// Draws names for senders.
struct register_of_senders
{
    atomic<std::uint64_t> last{0};
    atomic<std::uint64_t> heard{0}; ///< references that anybody has received
};

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::register_of_senders> = true;

namespace {

constexpr std::size_t    capacity = 400;
constexpr router_options options  = {.pipes = 12, .ordered_senders = 4, .history = 3};

// What one receiver has heard: each sender's numbers rise.
class ear
{
public:
    void hear(note_of const& one)
    {
        require(one.check == (one.sender ^ ~one.number), "a note is whole");
        auto& last = last_[one.sender];
        require(one.number > last, "no number comes twice, or late");
        last = one.number;
    }

private:
    std::map<std::uint64_t, std::uint64_t> last_;
};

class talker
{
public:
    explicit talker(station const& at)
        : names_(open_only, at.s, "names"),
          notes_(open_only, at.s, "notes"),
          router_(open_only, at.s, "router", options),
          random_(static_cast<unsigned>(seed() ^ static_cast<std::uint64_t>(::getpid())))
    {}

    void send(int times)
    {
        std::uint64_t const me = names_->last.fetch_add(1) + 1;
        for (std::uint64_t number = 1; number <= static_cast<std::uint64_t>(times); ++number)
        {
            auto one = notes_.make(me, number);
            if (!one)
            {
                require(one.error() == errc::exhausted);
                continue;
            }
            auto const sent = random_() % 2 == 0 ? router_.send(*one, 5ms) : router_.send(std::move(*one), 5ms);
            require(sent || sent.error() == errc::no_receivers, "what is sent is sent, or there is nobody");
        }
    }

    void receive(int times)
    {
        auto const kind = random_() % 4;
        auto       p    = kind == 0   ? router_.subscribe(open_or_create, "workers", {.capacity = 8})
                          : kind == 1 ? router_.subscribe({.capacity = 4, .when_full = overflow::fail})
                          : kind == 2 ? router_.subscribe({.capacity = 2, .when_full = overflow::drop_oldest})
                                      : router_.subscribe({.capacity = 16, .history = 3});
        ear        here;
        for (; times != 0; --times)
        {
            auto const one = p.receive(2ms);
            if (one)
            {
                here.hear(**one);
                names_->heard.fetch_add(1);
            }
            else
                require(one.error() == errc::timed_out || one.error() == errc::peer_dead);
        }
    }

    void talk()
    {
        if (random_() % 2 == 0)
            send(30);
        else
            receive(30);
    }

private:
    named<register_of_senders> names_;
    pool<note_of>              notes_;
    router<note_of>            router_;
    std::minstd_rand           random_;
};

ATRIUM_TEST_ROLE(talker_in_notes)
{
    station const at(arguments.at(0));
    talker        one(at);
    while (!told_to_end())
        one.talk();
    return 0;
}

// With new threads, and the router opened anew, all the time.
ATRIUM_TEST_ROLE(hasty_talker)
{
    station const at(arguments.at(0));
    while (!told_to_end())
        std::thread([&] { talker(at).talk(); }).join();
    return 0;
}

// Hears everything that it can.
ATRIUM_TEST_ROLE(steady_listener)
{
    station const   at(arguments.at(0));
    router<note_of> r(open_only, at.s, "router", options);
    auto            p = r.subscribe({.capacity = 64});
    ear             here;
    while (!told_to_end())
    {
        auto const one = p.receive(20ms);
        if (one)
            here.hear(**one);
        else
            require(one.error() == errc::timed_out || one.error() == errc::peer_dead);
    }
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_soak, leaves_nothing)

BOOST_AUTO_TEST_CASE(handing_over_survives_random_kills)
{
    auto in_segment          = pipe_segment();
    in_segment.named_objects = 64;
    segment                    s(create_only, unique_name("soak"), in_segment);
    counted const              all(s);
    named<register_of_senders> names(create_only, s, "names");
    pool<note_of>              notes(create_only, s, "notes", {.capacity = capacity});
    auto const                 blocks = blocks_of_objects(s);
    std::uint64_t const        kills  = long_form() ? 10'000 : 300;
    std::uint64_t              killed = 0;
    for (std::uint64_t round = 0; killed < kills; ++round)
    {
        auto            r = std::optional<router<note_of>>(std::in_place, create_only, s, "router", options);
        arguments const name{s.name()};
        actor const     mortal{"talker_in_notes", name};
        auto const      report =
            kill_at_random({mortal,
                            mortal,
                            mortal,
                            mortal,
                            {"hasty_talker", name},
                            {.role = "steady_listener", .given = name, .immortal = true}},
                           {.kills = std::min<std::uint64_t>(100, kills - killed), .turn = round}, [&](std::uint64_t) {
                               BOOST_TEST(heap(s).check(30s) == "");
                               if (auto one = notes.make(0u, ++killed))
                               {
                                   auto const sent = r->send(std::move(*one), 100ms);
                                   BOOST_TEST((sent || sent.error() == errc::no_receivers)); // nobody has come yet
                               }
                               BOOST_TEST(r->info().pipes.size() <= options.pipes);
                           });
        BOOST_TEST(report.unexpected == 0u);
        BOOST_TEST(s.recover(30s).has_value());
        named<life_counts> const usable(open_only, s, "counts"); // what was left to this process goes
        static_cast<void>(make_shared<plain>(s).value());
        BOOST_TEST(pipe_problems(s) == "");
        BOOST_TEST(r->info().pipes.size() == 0u);
        r.reset();
        BOOST_TEST(notes.statistics().outstanding == 0u);
        BOOST_TEST(reference_problems(s) == "");
        BOOST_TEST(blocks_of_objects(s) == blocks);
        if (report.unexpected != 0)
            break;
    }
    BOOST_TEST(names->heard.load() != 0u);
    BOOST_TEST(all->constructed.load() - all->destruction_ended.load() <= killed);
    BOOST_TEST_MESSAGE(killed << " killed, " << all->constructed.load() << " notes, " << names->heard.load()
                              << " received by those who come and go");
}

BOOST_AUTO_TEST_SUITE_END()
