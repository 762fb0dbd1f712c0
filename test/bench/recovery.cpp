/// \file
/// How long a death is felt: until a blocked survivor has recovered for the dead, and the work that this is.
#include <atrium/memory/heap.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include "figure.hpp"
#include "heap_load.hpp"
#include "process.hpp"
#include "segment_heap.hpp"
#include "segment_name.hpp"

#include <memory>
#include <new>
#include <random>
#include <thread>
#include <unistd.h>

namespace atrium::bench {

namespace {

using steady = std::chrono::steady_clock;

segment_options recovery_options()
{
    auto options         = bench_options();
    options.maximum_size = heap_bytes;
    return options;
}

/// A participant that owns a thousand blocks, and does nothing until it is killed.
class victim
{
public:
    explicit victim(std::string const& name)
        : process_(cores().first, [&] {
              segment const opened(open_only, name, recovery_options());
              heap          blocks(opened);
              for (int i = 0; i != 1000; ++i)
                  blocks.allocate(64, no_deadline).value();
              ready_.childs().say();
              for (;;)
                  pause();
          })
    {
        ready_.parents().hear();
    }

    void kill_and_see_death() { process_.kill_and_see_death(); }

private:
    line  ready_;
    child process_;
};

/// A participant in another process that sleeps at a doorbell all the time, and tells when it has recovered.
class survivor
{
public:
    explicit survivor(std::string name) : name_(std::move(name)), process_(cores().first, [this] { sleep(); })
    {
        told_.parents().hear();
    }

    /// Waits until it has recovered; gives the time of its callback.
    steady::time_point recovered() const
    {
        told_.parents().hear();
        return steady::time_point(steady::duration(report_->at.load(std::memory_order_relaxed)));
    }

    /// Rings it out of its sleep.
    void end()
    {
        child(cores().first, [this] {
            segment const opened(open_only, name_, recovery_options());
            report_->stop.store(true, std::memory_order_relaxed); // the ring releases it
            auto* const bell = opened.attached()->base() + report_->bell.load(std::memory_order_relaxed);
            std::launder(reinterpret_cast<doorbell*>(bell))->ring();
        }).wait();
        process_.wait();
    }

private:
    struct report
    {
        std::atomic<steady::rep>   at{0};   // written by the survivor before it tells
        std::atomic<std::uint64_t> bell{0}; // its offset; written by the survivor before it tells that it is ready
        std::atomic<bool>          stop{false};
    };

    void sleep() const
    {
        segment const made(create_only, name_, recovery_options());
        auto& bell = *new (heap(made).allocate(sizeof(doorbell), no_deadline, alignof(doorbell)).value()) doorbell;
        report_->bell.store(made.attached()->offset_of(&bell), std::memory_order_relaxed);
        auto const telling = made.on_recovery([this](recovery_report const&) {
            report_->at.store(steady::now().time_since_epoch().count(), std::memory_order_relaxed);
            told_.childs().say();
        });
        told_.childs().say();
        for (auto seen = bell.look(); !report_->stop.load(std::memory_order_relaxed); seen = bell.look())
            bell.wait(seen, no_deadline).value();
    }

    std::string           name_;
    shared_object<report> report_;
    line                  told_;
    child                 process_;
};

/// Milliseconds from the moment the parent can see the death, at a moment that the survivor's sleep does not know of.
round recovery_after_death(nanoseconds budget)
{
    auto const             name = segment_name("death");
    survivor               observer(name);
    static std::mt19937_64 random(1);
    auto                   taken = collect(budget, [&] {
        victim killed(name);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 100'000));
        killed.kill_and_see_death();
        auto const seen = steady::now();
        return std::chrono::duration<double, std::milli>(observer.recovered() - seen).count();
    });
    observer.end();
    return taken;
}

/// Microseconds of the recovery itself; what others have in the heap is `others`.
round recover_one(nanoseconds budget, fill others)
{
    auto const   name = segment_name("recover");
    segment      made(create_only, name, recovery_options());
    segment_heap filled(made);
    fill_heap(filled, others);
    return collect(budget, [&] {
        victim killed(name);
        killed.kill_and_see_death();
        auto const start  = steady::now();
        auto const report = made.recover(std::chrono::seconds(10)).value();
        auto const time   = std::chrono::duration<double, std::micro>(steady::now() - start).count();
        if (report.dead.size() != 1 || report.blocks_reclaimed < 1000)
            throw std::runtime_error("the dead participant or its blocks were not found");
        return time;
    });
}

registered const here{
    {.name    = "segment.recovery_after_death",
     .unit    = "ms",
     .about   = "from the death of a participant until a sleeper has recovered for it; should stay below 150",
     .prepare = [] { return probe(recovery_after_death); }},
    {.name    = "segment.recover_one",
     .unit    = "us",
     .about   = "recovery for one dead participant with 1000 blocks, in a heap of its own",
     .prepare = [] { return probe([](nanoseconds budget) { return recover_one(budget, fill::empty); }); }},
    {.name    = "segment.recover_one_in_full_heap",
     .unit    = "us",
     .about   = "the same in a heap of 64 MiB half full with blocks of others",
     .prepare = [] { return probe([](nanoseconds budget) { return recover_one(budget, fill::half); }); }},
};

} // namespace

} // namespace atrium::bench
