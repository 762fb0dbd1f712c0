/// \file
/// Counted references: what the standard's cost in one process, these in a segment; and heap objects beside those of
/// Boost.Interprocess.
#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/weak_ptr.hpp>
#include <atrium/pool/pool.hpp>

#include "figure.hpp"
#include "heap_load.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/smart_ptr/shared_ptr.hpp>

#include <memory>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace atrium::bench {

namespace {

struct object
{
    char bytes[64];
};

segment_options options_with_room()
{
    auto options         = bench_options();
    options.maximum_size = heap_bytes;
    return options;
}

/// Repeats `once`.
template <class Once> probe repeat(Once once)
{
    return [once](nanoseconds budget) mutable {
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
                once();
        });
    };
}

/// A segment with an object that stays. What is below refers to it.
struct place
{
    segment            in{create_only, segment_name("references"), options_with_room()};
    pool<object>       objects{create_only, in, "objects", {.capacity = 1000}};
    shared_ptr<object> first  = objects.make().value();
    shared_ptr<object> second = objects.make().value();
};

probe copy_drop()
{
    return repeat([here = std::make_shared<place>()] {
        auto const copy = here->first;
        used(copy);
    });
}

probe make_drop()
{
    return repeat([here = std::make_shared<place>()] {
        auto const made = make_shared<object>(here->in);
        used(made);
    });
}

/// Assigns one, then the other: a reference more to this, one less to that.
template <class Pointer, class Shared> auto assign_in_turns(Pointer& pointer, Shared const& first, Shared const& second)
{
    return [&, turn = false]() mutable {
        turn    = !turn;
        pointer = turn ? first : second;
        used(pointer);
    };
}

probe segment_ptr_assign()
{
    auto const here   = std::make_shared<place>();
    auto const holder = make_shared<segment_ptr<object>>(here->in).value();
    return repeat([here, holder, assign = assign_in_turns(*holder, here->first, here->second)]() mutable { assign(); });
}

struct standard_place
{
    std::shared_ptr<object> first  = std::make_shared<object>();
    std::shared_ptr<object> second = std::make_shared<object>();
    std::shared_ptr<object> pointer;
};

probe standard_assign()
{
    auto const here = std::make_shared<standard_place>();
    return repeat([here, assign = assign_in_turns(here->pointer, here->first, here->second)]() mutable { assign(); });
}

probe weak_lock()
{
    return repeat([here = std::make_shared<place>(), weak = weak_ptr<object>()]() mutable {
        if (weak.expired())
            weak = weak_ptr<object>(here->first);
        auto const locked = weak.lock();
        used(locked);
    });
}

probe standard_weak_lock()
{
    auto const here = std::make_shared<standard_place>();
    return repeat([here, weak = std::weak_ptr<object>(here->first)] {
        auto const locked = weak.lock();
        used(locked);
    });
}

namespace ipc = boost::interprocess;

/// As `peer_interprocess.cpp` has it: nameless as soon as it exists.
class managed_place
{
public:
    managed_place() : segment_(ipc::create_only, name().c_str(), heap_bytes)
    {
        ipc::shared_memory_object::remove(name().c_str());
    }

    auto make()
    {
        return ipc::make_managed_shared_ptr(segment_.construct<object>(ipc::anonymous_instance)(), segment_);
    }

private:
    static std::string name() { return "atrium_bench.objects." + std::to_string(getpid()); }

    ipc::managed_shared_memory segment_;
};

probe interprocess_make_drop()
{
    return repeat([here = std::make_shared<managed_place>()] {
        auto const made = here->make();
        used(made);
    });
}

constexpr std::size_t held_by_the_dead = 100'000;

segment_options options_for_many()
{
    auto options         = bench_options();
    options.maximum_size = 256u << 20;
    return options;
}

/// Has many references when it is killed: to elements of its own, or to one that stays.
class holder_of_many
{
public:
    holder_of_many(std::string const& name, bool own)
        : process_(cores().first, [&, own] {
              segment const                    in(open_only, name, options_for_many());
              pool<object>                     objects(open_only, in, "objects");
              named<segment_ptr<object>> const staying(open_only, in, "staying");
              std::vector<shared_ptr<object>>  held(held_by_the_dead);
              for (auto& one : held)
                  one = own ? objects.make().value() : staying->share().value();
              ready_.childs().say();
              for (;;)
                  pause();
          })
    {
        ready_.parents().hear();
    }

    void kill() { process_.kill_and_see_death(); }

private:
    line  ready_;
    child process_;
};

/// Milliseconds of the recovery.
probe recover_many(bool own)
{
    return [own](nanoseconds budget) {
        auto const                       name = segment_name("many");
        segment                          in(create_only, name, options_for_many());
        pool<object>                     objects(create_only, in, "objects", {.capacity = held_by_the_dead + 1});
        named<segment_ptr<object>> const staying(create_only, in, "staying");
        *staying = objects.make().value();
        return collect(budget, [&] {
            holder_of_many killed(name, own);
            killed.kill();
            auto const start  = std::chrono::steady_clock::now();
            auto const report = in.recover(std::chrono::seconds(60)).value();
            auto const time   = std::chrono::steady_clock::now() - start;
            if (report.references_released != held_by_the_dead || objects.statistics().outstanding != 1)
                throw std::runtime_error("references of the dead were left, or others given up");
            return std::chrono::duration<double, std::milli>(time).count();
        });
    };
}

constexpr auto interprocess_name = "peer.interprocess_shared_ptr_make_drop_64B";
constexpr auto assign_name       = "limit.shared_ptr_assign";
constexpr auto weak_name         = "limit.weak_ptr_lock";

registered const here{
    {.name     = "memory.shared_ptr_copy_drop",
     .unit     = "ns",
     .about    = "copy of a shared_ptr, and dropping it; should stay below 1.0",
     .baseline = "limit.shared_ptr_copy",
     .prepare  = copy_drop},
    {.name    = interprocess_name,
     .unit    = "ns",
     .about   = "make_managed_shared_ptr of 64 B in a managed_shared_memory, and dropping it",
     .prepare = interprocess_make_drop},
    {.name     = "memory.make_shared_drop_64B",
     .unit     = "ns",
     .about    = "make_shared of 64 B in a segment, and dropping it; should stay below 0.2",
     .baseline = interprocess_name,
     .prepare  = make_drop},
    {.name    = assign_name,
     .unit    = "ns",
     .about   = "assign one of two std::shared_ptr to a third, in turns",
     .prepare = standard_assign},
    {.name     = "memory.segment_ptr_assign",
     .unit     = "ns",
     .about    = "assign one of two shared_ptr to a segment_ptr, in turns",
     .baseline = assign_name,
     .prepare  = segment_ptr_assign},
    {.name = weak_name, .unit = "ns", .about = "lock a std::weak_ptr, and drop it", .prepare = standard_weak_lock},
    {.name     = "memory.weak_lock",
     .unit     = "ns",
     .about    = "lock a weak_ptr, and drop it",
     .baseline = weak_name,
     .prepare  = weak_lock},
    {.name    = "memory.recover_100k_objects",
     .unit    = "ms",
     .about   = "recovery for a dead participant with 100 000 references to elements that nobody else has",
     .prepare = [] { return recover_many(true); }},
    {.name    = "memory.recover_100k_references",
     .unit    = "ms",
     .about   = "the same with 100 000 references to an object of others",
     .prepare = [] { return recover_many(false); }},
};

} // namespace

} // namespace atrium::bench
