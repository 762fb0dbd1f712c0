/// Processes that send, receive, compete, close, come late and go are killed at random, and stopped for a moment, again and
/// again: survivors hear no sender's numbers twice or out of order, one who is never killed misses nothing that was
/// delivered to it, and after each round of kills every count is exact.
#include <atrium/pipe/router.hpp>

#include "memory/reference_objects.hpp"
#include "pipe/pipe_fixture.hpp"
#include "support/random_killer.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <span>
#include <thread>
#include <unistd.h>
#include <utility>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Says whose it is; nobody else has that number. And what the listener who is never killed has got of that sender before.
struct note_of
{
    static constexpr bool          is_shareable = true;
    static constexpr std::uint64_t unknown      = ~std::uint64_t{0};

    note_of(std::uint64_t who, std::uint64_t given, std::uint64_t at_least = 0, std::uint64_t at_most = unknown)
        : sender(who), number(given), least(at_least), most(at_most), check(sum())
    {}
    ~note_of() { check = 0; } // nobody reads it any more

    [[nodiscard]] bool is_whole() const { return check == sum(); }

    noted_end     end;
    std::uint64_t sender;
    std::uint64_t number;
    std::uint64_t least;
    std::uint64_t most;
    std::uint64_t check;
    noted_life    life;

private:
    [[nodiscard]] std::uint64_t sum() const { return ~number ^ sender ^ least << 16 ^ most << 32; }
};

/// Draws names for senders; and what the immortal know of each other.
struct register_of_senders
{
    atomic<std::uint64_t> last{0};
    atomic<std::uint64_t> heard{0};     ///< references that anybody has received
    atomic<std::uint64_t> checked{0};   ///< of these: by the steady listener, when it was known how many it must have
    atomic<std::uint64_t> listening{0}; ///< the number of the steady listener's pipe, and one; 0: it is not there yet
    atomic<std::uint64_t> steady{0};    ///< the name of the steady talker
    atomic<std::uint64_t> delivered{0}; ///< by the steady talker to the steady listener
    atomic<std::uint64_t> ended{0};     ///< 1: the steady talker has said all
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
        require(one.is_whole(), "a note is whole");
        auto& last = last_[one.sender];
        require(one.number > last, "no number comes twice, or late");
        last = one.number;
        ++count_[one.sender];
    }

    // For the steady listener, before hear().
    [[nodiscard]] bool misses_nothing_before(note_of const& one) const
    {
        return count_of(one.sender) >= one.least && count_of(one.sender) <= one.most;
    }

    [[nodiscard]] std::uint64_t count_of(std::uint64_t sender) const
    {
        auto const found = count_.find(sender);
        return found == count_.end() ? 0 : found->second;
    }

private:
    std::map<std::uint64_t, std::uint64_t> last_;
    std::map<std::uint64_t, std::uint64_t> count_;
};

// How many of its references a sender has delivered to the steady listener, whose pipe is open as long as anybody sends.
class account
{
public:
    explicit account(register_of_senders const& names) : pipe_(names.listening.load()) {}

    [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

    // The `ahead` references that were sent together with this one may have been refused.
    [[nodiscard]] std::uint64_t least() const { return is_known() ? delivered_ : 0; }
    [[nodiscard]] std::uint64_t most(std::uint64_t ahead) const
    {
        return is_known() ? delivered_ + ahead : note_of::unknown;
    }

    void note(result<delivery> const& sent, std::uint64_t count)
    {
        if (!sent || !is_known())
            return; // nobody has got anything
        std::uint64_t told = 0;
        for (refusal const& one : sent->refusals())
        {
            told += one.count;
            if (one.pipe + 1u == pipe_)
                count -= one.count;
        }
        delivered_ += count;
        if (told != sent->refused()) // more refusals than are told one by one
            pipe_ = 0;
    }

    [[nodiscard]] bool is_known() const { return pipe_ != 0; }

private:
    std::uint64_t pipe_;
    std::uint64_t delivered_ = 0;
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
        if (random_() % 4 == 0)
        {
            try
            {
                auto ordered = router_.make_ordered_sender();
                return send_through(ordered, times);
            }
            catch (system_error const& e)
            {
                require(e.code() == errc::too_many_senders, e.what());
            }
        }
        send_through(router_, times);
    }

    // Only what can be had and sent in time.
    template <class Sender> void send_through(Sender& to, int times)
    {
        std::array<shared_ptr<note_of>, 5> batch;
        std::uint64_t const                me = names_->last.fetch_add(1) + 1;
        account                            with(*names_);
        std::uint64_t                      number = 0;
        while (number < static_cast<std::uint64_t>(times))
        {
            std::size_t const wanted = random_() % 4 == 0 ? 1 + random_() % batch.size() : 1;
            std::size_t       count  = 0;
            for (; count != wanted; ++count)
            {
                auto one = notes_.make(me, ++number, with.least(), with.most(count));
                if (!one)
                {
                    require(one.error() == errc::exhausted || one.error() == errc::timed_out);
                    break;
                }
                batch[count] = std::move(*one);
            }
            if (count == 0)
                continue;
            auto const kind = random_() % 2;
            auto const sent = wanted != 1 ? to.send(std::span(batch).first(count), 5ms)
                              : kind == 0 ? to.send(std::as_const(batch[0]), 5ms)
                                          : to.send(std::move(batch[0]), 5ms);
            require(sent || sent.error() == errc::no_receivers || sent.error() == errc::timed_out,
                    "what is sent is sent, or there is nobody, or somebody has the heap");
            with.note(sent, count);
            batch = {};
        }
    }

    void receive(int times)
    {
        auto const kind       = random_() % 4;
        auto       p          = kind == 0   ? router_.subscribe(open_or_create, "workers", {.capacity = 8})
                                : kind == 1 ? router_.subscribe({.capacity = 4, .when_full = overflow::fail})
                                : kind == 2 ? router_.subscribe({.capacity = 2, .when_full = overflow::drop_oldest})
                                            : router_.subscribe({.capacity = 16, .history = 3});
        bool const in_batches = random_() % 2 == 0;
        ear        here;
        for (; times != 0; --times)
        {
            auto const error = hear_from(p, here, in_batches, 2ms);
            if (error == errc::closed)
                return require(kind == 0, "only a worker's pipe is closed by another one");
            require(!error || error == errc::timed_out || error == errc::peer_dead);
        }
        if (random_() % 4 != 0)
            return;
        p.close();
        for (error_code error; error != errc::closed;)
        {
            error = hear_from(p, here, in_batches, 30s);
            require(!error || error == errc::peer_dead || error == errc::closed);
        }
    }

    // One, or some.
    error_code hear_from(atrium::pipe<note_of>& from, ear& here, bool in_batches, deadline until)
    {
        std::array<shared_ptr<note_of>, 4> got;
        auto const count = from.receive(std::span(got).first(in_batches ? got.size() : 1), until);
        if (!count)
            return count.error();
        for (std::size_t n = 0; n != *count; ++n)
            here.hear(*got[n]);
        names_->heard.fetch_add(*count);
        return {};
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

// Hears all that is delivered to it, and knows how much that is.
ATRIUM_TEST_ROLE(steady_listener)
{
    station const                    at(arguments.at(0));
    named<register_of_senders> const names(open_only, at.s, "names");
    router<note_of>                  r(open_only, at.s, "router", options);
    auto                             p = r.subscribe({.capacity = 64});
    ear                              here;
    names->listening.store(p.number() + 1);
    auto const hear_one = [&](deadline until) {
        auto const one = p.receive(until);
        if (!one)
            return one.error();
        require(here.misses_nothing_before(**one), "what was delivered comes");
        names->checked.fetch_add((*one)->most != note_of::unknown ? 1 : 0);
        here.hear(**one);
        return error_code();
    };
    while (!told_to_end() || names->ended.load() == 0)
    {
        auto const error = hear_one(20ms);
        require(!error || error == errc::timed_out || error == errc::peer_dead);
    }
    p.close();
    for (error_code error; error != errc::closed;)
    {
        error = hear_one(30s);
        require(!error || error == errc::peer_dead || error == errc::closed);
    }
    require(here.count_of(names->steady.load()) == names->delivered.load(), "all that was delivered has come");
    return 0;
}

// Sends until the steady listener has got it, however many others are killed: all of it is delivered.
template <class Sender> void talk_steadily(register_of_senders& names, pool<note_of>& notes, Sender& to)
{
    std::uint64_t const me     = names.steady.load();
    std::uint64_t       number = 0;
    account             with(names);
    require(with.is_known());
    std::array<shared_ptr<note_of>, 5> batch;
    while (!told_to_end())
    {
        std::size_t const wanted = 1 + number % batch.size();
        std::size_t       count  = 0;
        for (; count != wanted && !told_to_end(); ++count)
        {
            auto one = notes.make(me, number + 1, number, number);
            for (; !one && !told_to_end(); one = notes.make(me, number + 1, number, number))
            {
                require(one.error() == errc::exhausted || one.error() == errc::timed_out);
                std::this_thread::yield(); // others have them
            }
            if (!one)
                break;
            batch[count] = std::move(*one);
            ++number;
        }
        if (count == 0)
            break;
        auto const sent = count != 1        ? to.send(std::span(batch).first(count), 60s)
                          : number % 2 == 0 ? to.send(std::as_const(batch[0]), 60s)
                                            : to.send(std::move(batch[0]), 60s);
        require(sent.has_value());
        with.note(sent, count);
        require(!with.is_known() || with.delivered() == number, "the listener is always there");
        batch = {};
    }
    names.delivered.store(number);
}

// Others may have all there are for a while.
ordered_sender<note_of> ordered_sender_of(router<note_of>& r)
{
    for (deadline const until(60s);;)
    {
        try
        {
            return r.make_ordered_sender();
        }
        catch (system_error const& e)
        {
            require(e.code() == errc::too_many_senders && !until.passed(), e.what());
        }
        std::this_thread::sleep_for(1ms);
    }
}

// As a router's sender, or as an ordered one.
ATRIUM_TEST_ROLE(steady_talker)
{
    station const                    at(arguments.at(0));
    named<register_of_senders> const names(open_only, at.s, "names");
    pool<note_of>                    notes(open_only, at.s, "notes");
    router<note_of>                  r(open_only, at.s, "router", options);
    while (names->listening.load() == 0)
        std::this_thread::sleep_for(1ms);
    names->steady.store(names->last.fetch_add(1) + 1);
    if (arguments.at(1) == "ordered")
    {
        auto ordered = ordered_sender_of(r);
        talk_steadily(*names, notes, ordered);
    }
    else
        talk_steadily(*names, notes, r);
    names->ended.store(1);
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
    static_cast<void>(make_shared<plain>(s).value()); // the heap has its first table of objects from here on
    auto const          blocks    = blocks_of_objects(s);
    std::uint64_t const kills     = long_form() ? 10'000 : 300;
    std::uint64_t const used      = used_bytes(s);
    std::uint64_t       killed    = 0;
    std::uint64_t       delivered = 0;
    for (std::uint64_t round = 0; killed < kills; ++round)
    {
        auto            r = std::optional<router<note_of>>(std::in_place, create_only, s, "router", options);
        arguments const name{s.name()};
        actor const     mortal{"talker_in_notes", name};
        for (auto* const one : {&names->listening, &names->steady, &names->delivered, &names->ended})
            one->store(0);
        auto const report = kill_at_random(
            {mortal,
             mortal,
             mortal,
             mortal,
             {"hasty_talker", name},
             {.role = "steady_listener", .given = name, .immortal = true},
             {.role = "steady_talker", .given = {s.name(), round % 2 == 0 ? "threads" : "ordered"}, .immortal = true}},
            {.kills = std::min<std::uint64_t>(100, kills - killed), .turn = round, .stop_each = 8}, [&](std::uint64_t) {
                BOOST_TEST(heap(s).check(30s) == "");
                if (auto one = notes.make(0u, ++killed))
                {
                    auto const sent = r->send(std::move(*one), 100ms);
                    BOOST_TEST((sent || sent.error() == errc::no_receivers || // nobody has come yet
                                sent.error() == errc::timed_out));
                }
                BOOST_TEST(r->info().pipes.size() <= options.pipes);
            });
        BOOST_TEST(report.unexpected == 0u);
        BOOST_TEST(names->ended.load() == 1u);
        delivered += names->delivered.load();
        BOOST_TEST(s.recover(30s).has_value());
        named<life_counts> const usable(open_only, s, "counts"); // what was left to this process goes
        static_cast<void>(make_shared<plain>(s).value());
        BOOST_TEST(pipe_problems(s) == "");
        BOOST_TEST(r->info().pipes.size() == 0u);
        r.reset();
        BOOST_TEST(notes.statistics().outstanding == 0u);
        BOOST_TEST(reference_problems(s) == "");
        BOOST_TEST(blocks_of_objects(s) == blocks);
        BOOST_TEST(used_bytes(s) == used);
        if (report.unexpected != 0)
            break;
    }
    BOOST_TEST(names->heard.load() != 0u);
    BOOST_TEST(names->checked.load() != 0u);
    BOOST_TEST(delivered != 0u);
    BOOST_TEST(all->constructed.load() - all->destruction_ended.load() <= killed);
    BOOST_TEST_MESSAGE(killed << " killed, " << all->constructed.load() << " notes, " << names->heard.load()
                              << " received by those who come and go, " << names->checked.load()
                              << " by one who knew what it must have, " << delivered << " of these of one who stays");
}

BOOST_AUTO_TEST_SUITE_END()
