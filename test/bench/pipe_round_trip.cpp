/// \file
/// A reference handed to another process through one router, and back through a second.
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>

#include "figure.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace atrium::bench {

namespace {

template <std::size_t Bytes> struct object
{
    std::array<std::uint64_t, Bytes / sizeof(std::uint64_t)> words;
};

enum class payload
{
    untouched,
    read_64B, ///< each side reads 64 bytes that the other has written, and writes others
};

enum class keeping
{
    moved,
    copied, ///< each side keeps its own reference until the next comes
};

/// Later than any round can end, and computed once, as for the bare futex.
deadline far_ahead()
{
    return std::chrono::seconds(1000);
}

template <std::size_t Bytes> void use(object<Bytes>& o, payload how)
{
    if (how == payload::untouched)
        return;
    std::uint64_t sum = 0;
    for (std::size_t n = 0; n != 8; ++n)
        sum += std::exchange(o.words[n], sum);
    used(sum);
}

template <std::size_t Bytes>
void pass_on(router<object<Bytes>>& to, shared_ptr<object<Bytes>>& what, keeping how, deadline until)
{
    if (how == keeping::moved)
        to.send(std::move(what), until).value();
    else
        to.send(std::as_const(what), until).value();
}

struct terms
{
    payload     touch = payload::untouched;
    keeping     keep  = keeping::moved;
    wait_policy policy{};
    int         cores = 2;
};

template <std::size_t Bytes> void answer(std::string const& name, terms const& how, line const& ready)
{
    segment const         in(open_only, name, bench_options());
    router<object<Bytes>> there(open_only, in, "there");
    router<object<Bytes>> back(open_only, in, "back");
    auto                  requests = there.subscribe();
    auto const            until    = far_ahead();
    ready.childs().say();
    shared_ptr<object<Bytes>> one;
    for (;;)
    {
        auto got = requests.receive(until, how.policy);
        if (!got)
            return; // closed
        one = std::move(*got);
        use(*one, how.touch);
        pass_on(back, one, how.keep, until);
    }
}

template <std::size_t Bytes> round round_trip(nanoseconds budget, terms const& how)
{
    auto const name      = segment_name("round_trip");
    auto       options   = bench_options();
    options.maximum_size = 1u << 30;
    segment const         in(create_only, name, options);
    router<object<Bytes>> there(create_only, in, "there");
    router<object<Bytes>> back(create_only, in, "back");
    auto                  answers = back.subscribe();
    line                  ready;
    child peer(how.cores == 1 ? cores().first : cores().second, [&] { answer<Bytes>(name, how, ready); });
    ready.parents().hear();
    pool<object<Bytes>> objects(create_only, in, "objects", {.capacity = 4});
    auto                one   = objects.make().value();
    auto const          until = far_ahead();
    auto                taken = time_batches(budget, [&](std::uint64_t n) {
        for (; n != 0; --n)
        {
            use(*one, how.touch);
            pass_on(there, one, how.keep, until);
            one = answers.receive(until, how.policy).value();
        }
    });
    there.close();
    peer.wait();
    return taken;
}

template <std::size_t Bytes>
figure round_trip_figure(char const* name, char const* about, char const* baseline, terms const& how)
{
    bool const in_microseconds = how.cores == 1;
    return {.name     = name,
            .unit     = in_microseconds ? "us" : "ns",
            .about    = about,
            .baseline = baseline,
            .cores    = how.cores,
            .prepare  = [=]() -> probe {
                return [=](nanoseconds budget) {
                    return scaled(round_trip<Bytes>(budget, how), in_microseconds ? 1e-3 : 1);
                };
            }};
}

constexpr auto ping_pong = "limit.atomic_ping_pong";
constexpr auto asleep    = "limit.timed_futex_round_trip_one_core";
constexpr auto large     = std::size_t{8} << 20;

terms spinning(payload touch, keeping keep)
{
    return {.touch = touch, .keep = keep, .policy = wait_policy::busy(), .cores = 2};
}

terms sleeping()
{
    return {.touch = payload::untouched, .keep = keeping::moved, .policy = wait_policy::balanced(), .cores = 1};
}

registered const here{
    round_trip_figure<64>("pipe.round_trip_64B",
                          "a reference to 64 B moved there and back, spinning; ratio at most 2.5", ping_pong,
                          spinning(payload::untouched, keeping::moved)),
    round_trip_figure<64>("pipe.round_trip_64B_read", "the same, each side reading what the other wrote; at most 3.5",
                          ping_pong, spinning(payload::read_64B, keeping::moved)),
    round_trip_figure<64>("pipe.round_trip_64B_copied",
                          "the same as moved, each side keeping its reference; at most 4.5", ping_pong,
                          spinning(payload::untouched, keeping::copied)),
    round_trip_figure<large>("pipe.round_trip_8MiB", "a reference to 8 MiB moved there and back, spinning; at most 2.5",
                             ping_pong, spinning(payload::untouched, keeping::moved)),
    round_trip_figure<large>("pipe.round_trip_8MiB_read", "the same, each side reading 64 B of it; at most 3.5",
                             ping_pong, spinning(payload::read_64B, keeping::moved)),
    round_trip_figure<large>("pipe.round_trip_8MiB_copied", "the same as moved, each side keeping it; at most 4.5",
                             ping_pong, spinning(payload::untouched, keeping::copied)),
    round_trip_figure<64>("pipe.round_trip_64B_one_core",
                          "two processes asleep on one core, a reference there and back; at most 1.15, better 1.08",
                          asleep, sleeping()),
};

} // namespace

} // namespace atrium::bench
