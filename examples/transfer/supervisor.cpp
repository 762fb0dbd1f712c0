#include "supervisor.hpp"

#include <atrium/memory/heap.hpp>
#include <atrium/memory/make_shared.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <thread>

namespace transfer {

using clock = std::chrono::steady_clock;

namespace {

// As many as there can be at once: those in the pipes, where the last ones of a killed producer may be beside those of its
// successor, and one in the hands of each process.
constexpr std::size_t most_blocks = 2 * consumers * pipe_capacity + consumers + 2;

// It has its full size from the start, so that the free memory of before and after can be compared.
atrium::segment_options room_for(std::uint64_t file_size)
{
    auto const size = (8u << 20) + file_size / 256;
    return {.size = size, .maximum_size = size};
}

} // namespace

supervisor::supervisor(std::filesystem::path const& from, std::string const& segment)
    : to_{temporary_file(segment + "-1"), temporary_file(segment + "-2")},
      segment_(atrium::create_only, segment, room_for(std::filesystem::file_size(from))),
      work_(atrium::create_only, segment_, "job"),
      took_(atrium::create_only, segment_, "latencies"),
      producer_{"producer", {"producer", segment, from}},
      consumers_{role{"consumer 1", {"consumer", segment, to_[0].path(), "0"}},
                 role{"consumer 2", {"consumer", segment, to_[1].path(), "1"}}}
{
    work_->file_size = std::filesystem::file_size(from);
    if (work_->file_size < 6)
        throw std::runtime_error(from.string() + " is too small to be divided");
    work_->block_size = std::clamp<std::uint64_t>(work_->file_size / 512, 1, largest_block);
    work_->digest     = sha256_of(from);
    took_->resize(consumers * blocks());
}

findings supervisor::run()
{
    findings found;
    // Who refers to objects, as this process will when it drops what the dead had, keeps some memory for that.
    static_cast<void>(atrium::make_shared<int>(segment_).value());
    found.free_before = free_memory();
    transfer(found);
    found.free_after = free_memory();
    found.sorted_latencies.assign(took_->begin(), took_->end());
    std::sort(found.sorted_latencies.begin(), found.sorted_latencies.end());
    return found;
}

// The producer is let no further than a sixth of the file beyond the next kill: so no machine is so fast, or this
// process so slow, that there is nothing left to kill.
void supervisor::transfer(findings& found)
{
    block_pool         pool(atrium::create_only, segment_, "blocks", {.capacity = most_blocks});
    block_router const router(atrium::create_only, segment_, "router");
    found.elements_before = pool.statistics().outstanding;

    began_ = clock::now();
    raise_limit(blocks() / 2);
    start(producer_);
    std::for_each(consumers_.begin(), consumers_.end(), [this](role& r) { start(r); });
    watch_until([&] { return work_->confirmed_by_all() != 0; });

    go_on(found, blocks() / 3);
    found.consumer = kill_and_restart(consumers_[0], blocks() * 5 / 6);
    go_on(found, blocks() * 2 / 3);
    found.producer = kill_and_restart(producer_, blocks());
    go_on(found, blocks());
    watch_until([&] {
        return producer_.run.has_finished() && consumers_[0].run.has_finished() && consumers_[1].run.has_finished();
    });
    say("all have finished, both digests are right");
    found.elements_after = pool.statistics().outstanding;
}

void supervisor::start(role& which)
{
    which.run = process(which.arguments);
    say(which.name + " is process " + std::to_string(which.run.id()));
}

// Time that counts.
void supervisor::go_on(findings& found, std::uint64_t until)
{
    auto const began = clock::now();
    auto const first = work_->confirmed_by_all();
    watch_until([&] { return work_->confirmed_by_all() >= until; });
    found.busy += clock::now() - began;
    found.busy_blocks += work_->confirmed_by_all() - first;
}

// Kills at a random moment from now on, waits until a survivor has noticed, and starts another.
outage supervisor::kill_and_restart(role& which, std::uint64_t next_limit)
{
    std::this_thread::sleep_for(std::chrono::microseconds(std::random_device()() % 1000));
    auto const recoveries = segment_.recoveries();
    auto const killed     = clock::now();
    outage     found{.by_signal = which.run.kill(), .at = per_cent(work_->confirmed_by_all())};
    auto const furthest = std::max(work_->confirmed_by(0), work_->confirmed_by(1));
    say(which.name + " killed");

    watch_until([&] { return segment_.recoveries() > recoveries; });
    found.recovery = clock::now() - killed;
    say("its traces are removed");

    raise_limit(next_limit);
    start(which);
    auto const fresh = std::min(furthest + pipe_capacity + 2, next_limit); // behind the last one that was under way
    watch_until([&] { return work_->confirmed_by_all() >= fresh; });
    found.catching_up = clock::now() - killed;
    return found;
}

void supervisor::watch_until(std::function<bool()> const& condition)
{
    auto const progress = [this] { return work_->confirmed_by(0) + work_->confirmed_by(1); };
    auto       last     = progress();
    auto       until    = clock::now() + patience;
    while (!condition())
    {
        auto const seen = work_->news.look();
        look_after_processes();
        if (auto const now = progress(); now != last)
        {
            last  = now;
            until = clock::now() + patience;
        }
        else if (clock::now() > until)
            throw std::runtime_error("nothing moves any more");
        static_cast<void>(work_->news.wait(seen, 1ms)); // not everything that is waited for rings
    }
}

void supervisor::look_after_processes()
{
    static_cast<void>(producer_.run.has_finished()); // throws where it has failed
    for (role& consumer : consumers_)
        static_cast<void>(consumer.run.has_finished());
    if (auto const now = per_cent(work_->confirmed_by_all()); now >= announced_ + 10)
    {
        announced_ = now / 10 * 10;
        say("");
    }
}

void supervisor::raise_limit(std::uint64_t limit)
{
    work_->limit.store(limit, std::memory_order_relaxed);
    work_->news.ring();
}

// A line with how far both consumers are.
void supervisor::say(std::string const& what) const
{
    std::printf("%7.3f s  %3u %%  %3u %%%s%s\n", seconds(clock::now() - began_).count(),
                per_cent(work_->confirmed_by(0)), per_cent(work_->confirmed_by(1)), what.empty() ? "" : "  ",
                what.c_str());
    std::fflush(stdout);
}

// Exact, since this segment does not grow.
std::uint64_t supervisor::free_memory() const
{
    return atrium::heap(segment_).statistics(patience).value().free_bytes;
}

unsigned supervisor::per_cent(std::uint64_t of) const
{
    return static_cast<unsigned>(of * 100 / blocks());
}

} // namespace transfer
