/// \file
/// The fastest stream between two processes: a bare ring with one producer and one consumer.
#include "figure.hpp"
#include "process.hpp"
#include "words.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <span>

namespace atrium::bench {

namespace {

/// `Places` messages of `Bytes`. Each side keeps what it last saw of the other's index, and looks again only when
/// that says full or empty.
template <std::size_t Bytes, std::size_t Places> class ring
{
    static_assert((Places & (Places - 1)) == 0);

public:
    struct alignas(Bytes < 4096 ? 64 : 4096) message
    {
        std::array<std::uint64_t, Bytes / sizeof(std::uint64_t)> words;
    };

    /// `fill` writes the message in its place.
    template <class Fill> void push_in_place(Fill const& fill)
    {
        auto const tail = tail_.load(std::memory_order_relaxed); // own
        // Acquire R2, pairs with the release R2 in pop: the place is read before it is written again.
        while (tail - seen_head_ == Places)
            seen_head_ = head_.load(std::memory_order_acquire);
        fill(places_[tail % Places]);
        // Release R1, pairs with the acquire R1 in pop: the message is whole before tail covers its place.
        tail_.store(tail + 1, std::memory_order_release);
    }

    /// `read` reads the message in its place.
    template <class Read> void pop_in_place(Read const& read)
    {
        auto const head = head_.load(std::memory_order_relaxed); // own
        while (head == seen_tail_)
            seen_tail_ = tail_.load(std::memory_order_acquire); // R1
        read(places_[head % Places]);
        head_.store(head + 1, std::memory_order_release); // R2
    }

    void push(message const& m)
    {
        push_in_place([&](message& place) { place = m; });
    }

    void pop(message& m)
    {
        pop_in_place([&](message const& place) { m = place; });
    }

    /// The producer waits until all is taken.
    void drain() const
    {
        auto const tail = tail_.load(std::memory_order_relaxed); // own
        while (head_.load(std::memory_order_acquire) != tail)    // R2
            ;
    }

private:
    alignas(64) std::atomic<std::uint64_t> head_{0}; // written by the consumer only
    alignas(64) std::atomic<std::uint64_t> tail_{0}; // written by the producer only
    alignas(64) std::uint64_t seen_head_ = 0;        // the producer's
    alignas(64) std::uint64_t seen_tail_ = 0;        // the consumer's
    std::array<message, Places> places_;
};

/// Streams from this process to one on the second core; the first word of a message says whether it is the last.
template <class Ring> round stream(Ring& shared, nanoseconds budget)
{
    using message = typename Ring::message;
    child      consumer(cores().second, [&] {
        auto const m = std::make_unique<message>();
        do
        {
            shared.pop(*m);
            used(m->words[0]);
        } while (m->words[0] != 0);
    });
    auto const m = std::make_unique<message>();
    m->words.fill(1);
    auto taken = time_batches(
        budget,
        [&](std::uint64_t n) {
            for (; n != 0; --n)
                shared.push(*m);
            shared.drain();
        },
        std::chrono::milliseconds(1));
    m->words.fill(0);
    shared.push(*m);
    consumer.wait();
    return taken;
}

/// The same without copies: the producer fills every word of a message, and the consumer reads every one.
template <class Ring> round stream_in_place(Ring& shared, nanoseconds budget)
{
    using message = typename Ring::message;
    child      consumer(cores().second, [&] {
        bool last = false;
        while (!last)
            shared.pop_in_place([&](message const& m) {
                used(sum_of(std::span(m.words)));
                last = m.words[0] == 0;
            });
    });
    auto const push = [&](std::uint64_t value) {
        shared.push_in_place([&](message& m) { fill_words(std::span(m.words), value); });
    };
    auto taken = time_batches(
        budget,
        [&](std::uint64_t n) {
            for (; n != 0; --n)
                push(n);
            shared.drain();
        },
        std::chrono::milliseconds(1));
    push(0);
    consumer.wait();
    return taken;
}

template <std::size_t Bytes, std::size_t Places, class Stream>
probe stream_through_ring(double amount, Stream const& stream_of)
{
    return [=, shared = std::make_shared<shared_object<ring<Bytes, Places>>>()](nanoseconds budget) {
        return as_rate(stream_of(**shared, budget), amount);
    };
}

constexpr auto copied   = [](auto& shared, nanoseconds budget) { return stream(shared, budget); };
constexpr auto in_place = [](auto& shared, nanoseconds budget) { return stream_in_place(shared, budget); };

registered const here{
    {.name    = "limit.spsc_ring_64B",
     .unit    = "M/s",
     .about   = "messages of 64 B through a bare ring, copied in and out, two processes on two cores",
     .good    = better::higher,
     .cores   = 2,
     .prepare = [] { return stream_through_ring<64, 1024>(1e3, copied); }},
    {.name     = "limit.spsc_ring_64KiB",
     .unit     = "GB/s",
     .about    = "messages of 64 KiB through a bare ring, copied in and out, two processes on two cores",
     .baseline = "limit.memcpy_64KiB",
     .good     = better::higher,
     .cores    = 2,
     .prepare  = [] { return stream_through_ring<65536, 16>(65536, copied); }},
    {.name    = "limit.spsc_ring_1MiB_in_place",
     .unit    = "GB/s",
     .about   = "messages of 1 MiB filled and read where they lie in a bare ring, two processes on two cores",
     .good    = better::higher,
     .cores   = 2,
     .prepare = [] { return stream_through_ring<1 << 20, 8>(1 << 20, in_place); }},
};

} // namespace

} // namespace atrium::bench
