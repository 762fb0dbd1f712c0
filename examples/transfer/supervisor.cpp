#include "supervisor.hpp"

#include <atrium/memory/heap.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <thread>

namespace transfer {

using clock = std::chrono::steady_clock;

supervisor::supervisor(std::filesystem::path const& from, std::string const& segment)
    : to_(segment),
      with_(atrium::create_only, segment),
      work_(*with_.work),
      producer_{"producer", from},
      consumer_{"consumer", to_.path()}
{
    work_.file_size = std::filesystem::file_size(from);
    if (work_.file_size < 3)
        throw std::runtime_error(from.string() + " is too small for three thirds");
    work_.block_size = std::clamp<std::uint64_t>(work_.file_size / 256, 1, 64u << 10);
    work_.digest     = sha256_of(from);
}

// The producer is let no further than a sixth of the file beyond the next kill: so no machine is so fast, or this
// process so slow, that there is nothing left to kill.
findings supervisor::run()
{
    auto const blocks = work_.blocks();
    findings   found{.free_before = free_memory()};
    began_ = clock::now();
    raise_limit(blocks / 2);
    start(producer_);
    start(consumer_);

    found.producer = kill_and_restart(producer_, blocks / 3, blocks * 5 / 6);
    found.consumer = kill_and_restart(consumer_, blocks * 2 / 3, blocks);
    watch_until([&] { return confirmed() == blocks; });
    found.busy = clock::now() - began_ - found.producer.silence - found.consumer.silence;

    watch_until([&] { return producer_.run.has_finished() && consumer_.run.has_finished(); });
    found.free_after = free_memory();
    return found;
}

void supervisor::start(role& which)
{
    which.run = process({which.name, with_.segment.name(), which.file});
    say(which.name + " is process " + std::to_string(which.run.id()));
}

// Kills at a random moment soon after so many blocks, waits until a survivor has noticed, and starts another.
outage supervisor::kill_and_restart(role& which, std::uint64_t after, std::uint64_t next_limit)
{
    watch_until([&] { return confirmed() >= after; });
    std::this_thread::sleep_for(std::chrono::microseconds(std::random_device()() % 3000));

    auto const recoveries = with_.segment.recoveries();
    auto const rebuilt    = work_.rebuilt.load(std::memory_order_relaxed);
    auto const killed     = clock::now();
    outage     found{.by_signal = which.run.kill(), .at = per_cent()};
    auto const under_way = confirmed() + window;
    say(which.name + " killed");

    watch_until([&] { return with_.segment.recoveries() > recoveries; });
    found.recovery = clock::now() - killed;
    say("its traces are removed");

    raise_limit(next_limit);
    start(which);
    watch_until([&] { return confirmed() >= std::min(under_way + 1, next_limit); });
    found.silence       = clock::now() - killed;
    found.with_the_lock = work_.rebuilt.load(std::memory_order_relaxed) > rebuilt;
    return found;
}

void supervisor::watch_until(std::function<bool()> const& condition)
{
    auto last_seen  = confirmed();
    auto last_moved = clock::now();
    while (!condition())
    {
        static_cast<void>(producer_.run.has_finished()); // throws where it has failed
        static_cast<void>(consumer_.run.has_finished());
        if (per_cent() >= announced_ + 10)
        {
            announced_ = per_cent() / 10 * 10;
            say(std::string(announced_ / 10, '#'));
        }
        auto const now = clock::now();
        if (auto const seen = confirmed(); seen != last_seen)
        {
            last_seen  = seen;
            last_moved = now;
        }
        else if (now - last_moved > patience)
            throw std::runtime_error("nothing moves any more");
        std::this_thread::sleep_for(500us);
    }
}

void supervisor::raise_limit(std::uint64_t limit)
{
    work_.limit.store(limit, std::memory_order_relaxed);
    work_.moved.ring();
}

void supervisor::say(std::string const& what) const
{
    std::printf("%7.3f s %4u %%  %s\n", seconds(clock::now() - began_).count(), per_cent(), what.c_str());
    std::fflush(stdout);
}

// Exact, since this segment does not grow.
std::uint64_t supervisor::free_memory() const
{
    return atrium::heap(with_.segment).statistics(patience).value().free_bytes;
}

std::uint64_t supervisor::confirmed() const
{
    return work_.confirmed.load(std::memory_order_acquire);
}

unsigned supervisor::per_cent() const
{
    return static_cast<unsigned>(confirmed() * 100 / work_.blocks());
}

} // namespace transfer
