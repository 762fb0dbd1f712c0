/// \file
/// What the programs of the peers have in common: the command line, the two processes, and what is measured of them.
///
/// A peer is a class with
///   polls                           whether waiting on two cores is done by asking again and again
///   membership(task, who)           what each of the two processes needs to take part; made when there are two, and
///     leave()                       called at the end of the second one
///   channel<Bytes>(name, task)      one direction, made before the second process, with
///     receiver()                    made in the process that receives, before its sender of another channel
///       receive(read)               `read` is given the words of the message, where they lie if the peer lets
///     sender()                      made in the process that sends; waits until the receiver is there if it must
///       send(fill)                  `fill` is given the words, likewise
#pragma once

#include "figure.hpp"
#include "process.hpp"
#include "words.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <thread>

namespace atrium::bench::peers {

/// How an end waits.
enum class waiting
{
    polling,
    blocking,
};

struct task
{
    nanoseconds budget{};
    int         first  = -1; ///< The core of the process that measures.
    int         second = -1; ///< The core of the other one, perhaps the same.
    waiting     wait   = waiting::polling;
};

/// How a peer is measured, each in nanoseconds for one message or round trip; empty what it cannot.
struct abilities
{
    std::function<round(task const&)> round_trip_polling{};
    std::function<round(task const&)> round_trip_blocking{};
    std::function<round(task const&)> stream_64B{};
    std::function<round(task const&)> stream_1MiB{};
};

/// The whole program: `<program> WHAT --seconds S --first CORE --second CORE` prints a value for each batch in the unit
/// of the figure, then `repetitions N`; the exit status is 0 if all went well, 2 for bad arguments.
int run(int argc, char** argv, abilities const& of);

/// A name that this run of the program alone uses; first asked for when there is one process.
[[nodiscard]] std::string own_name(std::string const& purpose);

constexpr std::uint64_t last = 0; ///< Fills the message after which the other process ends.

/// Gives the first word of what came, all of which has been read.
template <class Receiver> std::uint64_t receive_words(Receiver& from)
{
    std::uint64_t first = last;
    from.receive([&](auto words) {
        used(sum_of(words));
        first = words[0];
    });
    return first;
}

template <class Sender> void send_words(Sender& to, std::uint64_t value)
{
    to.send([&](auto words) { fill_words(words, value); });
}

template <class Channel> void answer(Channel& there, Channel& back, line const& ready)
{
    auto requests = there.receiver();
    auto answers  = back.sender();
    ready.childs().say();
    while (auto const value = receive_words(requests))
        send_words(answers, value);
}

template <class Peer> round round_trip(task const& what)
{
    typename Peer::template channel<64>              there(own_name("there"), what);
    typename Peer::template channel<64>              back(own_name("back"), what);
    line                                             ready;
    child                                            other(what.second, [&] {
        typename Peer::membership member(what, "other");
        answer(there, back, ready);
        member.leave();
    });
    [[maybe_unused]] typename Peer::membership const member(what, "measuring");
    auto                                             answers  = back.receiver();
    auto                                             requests = there.sender();
    ready.parents().hear();
    auto const ask = [&](std::uint64_t n) {
        for (; n != 0; --n)
        {
            send_words(requests, n);
            receive_words(answers);
        }
    };
    ask(1); // may wait for a connection
    auto taken = time_batches(what.budget, ask);
    send_words(requests, last);
    other.wait();
    return taken;
}

/// Alone on its cache line.
struct alignas(64) counted
{
    std::atomic<std::uint64_t> received{0};
};

template <class Channel> void consume(Channel& through, counted& count, line const& ready)
{
    auto from = through.receiver();
    ready.childs().say();
    for (std::uint64_t received = 1; receive_words(from) != last; ++received)
        count.received.store(received, std::memory_order_release); // P1, pairs with the acquire P1 of the sender
}

/// A batch ends when all that was sent has been received and read: one lost message, and it never does.
template <class Peer, std::size_t Bytes> round stream(task what)
{
    what.wait = Peer::polls ? waiting::polling : waiting::blocking;
    typename Peer::template channel<Bytes>           through(own_name("stream"), what);
    shared_object<counted>                           count;
    line                                             ready;
    child                                            other(what.second, [&] {
        typename Peer::membership member(what, "other");
        consume(through, *count, ready);
        member.leave();
    });
    [[maybe_unused]] typename Peer::membership const member(what, "measuring");
    auto                                             to = through.sender();
    ready.parents().hear();
    std::uint64_t sent = 0;
    auto const    send = [&](std::uint64_t n) {
        sent += n;
        for (; n != 0; --n)
            send_words(to, n);
        while (count->received.load(std::memory_order_acquire) != sent) // P1
            if (!Peer::polls) // threads of the peer's own may need this core
                std::this_thread::sleep_for(std::chrono::microseconds(20));
    };
    send(1); // may wait for a connection
    // Long batches, because a peer that wakes somebody does it at the end of each.
    auto taken = time_batches(what.budget, send, std::chrono::milliseconds(Peer::polls ? 5 : 20));
    send_words(to, last);
    other.wait();
    return taken;
}

/// Everything, for a peer that can block, and perhaps poll.
template <class Peer> abilities all_of()
{
    abilities all{.round_trip_blocking = round_trip<Peer>,
                  .stream_64B          = stream<Peer, 64>,
                  .stream_1MiB         = stream<Peer, std::size_t{1} << 20>};
    if constexpr (Peer::polls)
        all.round_trip_polling = round_trip<Peer>;
    return all;
}

/// For peers that need none.
struct no_membership
{
    no_membership(task const&, char const*) {}
    void leave() const {}
};

} // namespace atrium::bench::peers
