/// \file
/// The fastest stream between two processes: a bare ring with one producer and one consumer.
#include "figure.hpp"
#include "process.hpp"

#include <array>
#include <atomic>
#include <memory>

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

    void push(message const& m)
    {
        auto const tail = tail_.load(std::memory_order_relaxed); // own
        // Acquire R2, pairs with the release R2 in pop: the place is read before it is written again.
        while (tail - seen_head_ == Places)
            seen_head_ = head_.load(std::memory_order_acquire);
        places_[tail % Places] = m;
        // Release R1, pairs with the acquire R1 in pop: the message is whole before tail covers its place.
        tail_.store(tail + 1, std::memory_order_release);
    }

    /// Copies the message out.
    void pop(message& m)
    {
        auto const head = head_.load(std::memory_order_relaxed); // own
        while (head == seen_tail_)
            seen_tail_ = tail_.load(std::memory_order_acquire); // R1
        m = places_[head % Places];
        head_.store(head + 1, std::memory_order_release); // R2
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

template <std::size_t Bytes, std::size_t Places> probe stream_through_ring(double amount)
{
    return [=, shared = std::make_shared<shared_object<ring<Bytes, Places>>>()](nanoseconds budget) {
        return as_rate(stream(**shared, budget), amount);
    };
}

registered const here{
    {.name    = "limit.spsc_ring_64B",
     .unit    = "M/s",
     .about   = "messages of 64 B through a bare ring, copied in and out, two processes on two cores",
     .good    = better::higher,
     .cores   = 2,
     .prepare = [] { return stream_through_ring<64, 1024>(1e3); }},
    {.name     = "limit.spsc_ring_64KiB",
     .unit     = "GB/s",
     .about    = "messages of 64 KiB through a bare ring, copied in and out, two processes on two cores",
     .baseline = "limit.memcpy_64KiB",
     .good     = better::higher,
     .cores    = 2,
     .prepare  = [] { return stream_through_ring<65536, 16>(65536); }},
};

} // namespace

} // namespace atrium::bench
