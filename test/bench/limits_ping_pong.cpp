/// \file
/// What two processes on two cores can do at best without sleeping: a word there and back, bytes there and back.
#include "figure.hpp"
#include "os/process.hpp"
#include "process.hpp"

#include <atomic>
#include <cstring>
#include <memory>

namespace atrium::bench {

namespace {

/// A turn is the number last written; the asker writes odd ones, the answerer the next even one.
struct table
{
    alignas(64) std::atomic<std::uint64_t> turn{0};
};

constexpr std::uint64_t stop = ~std::uint64_t{0};

/// Whether a side that finds nothing new pauses before it looks again. Where the two cores are threads of one, pausing
/// leaves the other the core and shortens the answer; where they are far apart it changes nothing.
enum class spinning
{
    bare,
    pausing,
};

template <spinning How> std::uint64_t wait_past(std::atomic<std::uint64_t> const& turn, std::uint64_t last)
{
    for (;;)
    {
        // Acquire P1, pairs with the release P1 of the other side: what it copied before is to be seen.
        auto const seen = turn.load(std::memory_order_acquire);
        if (seen != last)
            return seen;
        if constexpr (How == spinning::pausing)
            os::relax();
    }
}

void write_turn(std::atomic<std::uint64_t>& turn, std::uint64_t next)
{
    // Release P1, pairs with the acquire P1 in wait_past.
    turn.store(next, std::memory_order_release);
}

/// Answers each odd turn, doing `work` first, until told to stop.
template <spinning How, class Work> void answer(std::atomic<std::uint64_t>& turn, Work const& work)
{
    for (std::uint64_t last = 0;;)
    {
        auto const seen = wait_past<How>(turn, last);
        if (seen == stop)
            return;
        work();
        last = seen + 1;
        write_turn(turn, last);
    }
}

template <spinning How> probe atomic_ping_pong()
{
    return [shared = std::make_shared<shared_object<table>>()](nanoseconds budget) {
        auto& turn = (*shared)->turn;
        turn.store(0, std::memory_order_relaxed); // before the child exists
        child         peer(cores().second, [&] { answer<How>(turn, [] {}); });
        std::uint64_t next  = 1;
        auto          taken = time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n, next += 2)
            {
                write_turn(turn, next);
                wait_past<How>(turn, next);
            }
        });
        write_turn(turn, stop);
        peer.wait();
        return taken;
    };
}

/// Bytes are copied into shared memory and out of it on the way there, and likewise on the way back.
class copy_ping_pong
{
public:
    explicit copy_ping_pong(std::size_t bytes) : there_(bytes), back_(bytes), mine_(bytes), bytes_(bytes) {}

    round take(nanoseconds budget)
    {
        auto& turn = table_->turn;
        turn.store(0, std::memory_order_relaxed); // before the child exists
        child         peer(cores().second, [&] {
            private_pages const own(bytes_);
            answer<spinning::bare>(turn, [&] { pass_on(there_, own, back_); });
        });
        std::uint64_t next  = 1;
        auto          taken = time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n, next += 2)
            {
                std::memcpy(there_.address(), mine_.address(), bytes_);
                write_turn(turn, next);
                wait_past<spinning::bare>(turn, next);
                std::memcpy(mine_.address(), back_.address(), bytes_);
                used(*mine_.address());
            }
        });
        write_turn(turn, stop);
        peer.wait();
        return taken;
    }

private:
    void pass_on(shared_pages const& from, private_pages const& own, shared_pages const& to) const
    {
        std::memcpy(own.address(), from.address(), bytes_);
        used(*own.address());
        std::memcpy(to.address(), own.address(), bytes_);
    }

    shared_object<table> table_;
    shared_pages         there_;
    shared_pages         back_;
    private_pages        mine_;
    std::size_t          bytes_;
};

std::function<probe()> copy_of(std::size_t bytes, double unit)
{
    return [=]() -> probe {
        return [state = std::make_shared<copy_ping_pong>(bytes), unit](nanoseconds budget) {
            return scaled(state->take(budget), unit);
        };
    };
}

constexpr auto atomic_name = "limit.atomic_ping_pong";

registered const here{
    {.name    = atomic_name,
     .unit    = "ns",
     .about   = "one cache line, two processes on two cores, there and back",
     .cores   = 2,
     .prepare = atomic_ping_pong<spinning::bare>},
    {.name     = "limit.atomic_ping_pong_pausing",
     .unit     = "ns",
     .about    = "the same, each side pausing before it looks again",
     .baseline = atomic_name,
     .cores    = 2,
     .prepare  = atomic_ping_pong<spinning::pausing>},
    {.name     = "limit.copy_ping_pong_64B",
     .unit     = "ns",
     .about    = "64 B copied through shared memory, there and back",
     .baseline = atomic_name,
     .cores    = 2,
     .prepare  = copy_of(64, 1)},
    {.name     = "limit.copy_ping_pong_4KiB",
     .unit     = "ns",
     .about    = "4 KiB copied through shared memory, there and back",
     .baseline = atomic_name,
     .cores    = 2,
     .prepare  = copy_of(4096, 1)},
    {.name    = "limit.copy_ping_pong_1MiB",
     .unit    = "us",
     .about   = "1 MiB copied through shared memory, there and back",
     .cores   = 2,
     .prepare = copy_of(1 << 20, 1e-3)},
};

} // namespace

} // namespace atrium::bench
