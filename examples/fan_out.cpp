// One sender, a quick receiver and a slow one: what becomes of those for which the slow one's pipe has no room.
#include <atrium/memory/named.hpp>
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <cstdio>
#include <string>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

struct tally
{
    static constexpr bool is_shareable = true;

    atrium::atomic<int> here{0}; // receivers that have subscribed
    atrium::doorbell    changed; // that number has
    atrium::atomic<int> quick{0};
    atrium::atomic<int> slow{0}; // how many each has received
};

constexpr int all = 400;

int receive(bool is_slow, atrium::overflow when_full) // each receiver, a process
{
    atrium::segment      segment(atrium::open_only, "fan-out");
    atrium::named<tally> counts(atrium::open_only, segment, "counts");
    atrium::router<int>  router(atrium::open_only, segment, "router");

    // Each receiver chooses for its own pipe. The quick one wants all.
    auto pipe = router.subscribe({.capacity = 16, .when_full = is_slow ? when_full : atrium::overflow::wait});
    counts->here.fetch_add(1, std::memory_order_relaxed);
    counts->changed.ring();
    for (;;)
    {
        auto const next = pipe.receive(5s);
        if (!next)
            return next.error() == atrium::errc::closed ? 0 : 1;
        (is_slow ? counts->slow : counts->quick).fetch_add(1, std::memory_order_relaxed);
        if (is_slow)
            std::this_thread::sleep_for(200us); // its work
    }
}

pid_t start(char* name, std::string role, std::string when_full)
{
    pid_t child     = 0;
    char* started[] = {name, role.data(), when_full.data(), nullptr};
    return posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, started, environ) == 0 ? child : 0;
}

bool has_succeeded(pid_t child)
{
    int status = 0;
    return child != 0 && waitpid(child, &status, 0) == child && status == 0;
}

// Returns how many were refused. The pool lives on for those that are in the pipes.
std::size_t send_all(atrium::segment const& segment, atrium::router<int>& router)
{
    atrium::pool<int> numbers(atrium::create_only, segment, "numbers");
    std::size_t       refused = 0;
    for (int n = 0; n != all; ++n)
        refused += router.send(numbers.make(n).value(), 5s).value().refused();
    return refused;
}

bool fan_out(char* name, atrium::overflow when_full)
{
    atrium::segment      segment(atrium::create_only, "fan-out");
    atrium::named<tally> counts(atrium::create_only, segment, "counts");
    atrium::router<int>  router(atrium::create_only, segment, "router");
    std::string const    policy = std::to_string(static_cast<int>(when_full));
    pid_t const          quick  = start(name, "quick", policy);
    pid_t const          slow   = start(name, "slow", policy);
    for (auto seen = counts->changed.look(); counts->here.load(std::memory_order_relaxed) != 2;
         seen      = counts->changed.look())
        counts->changed.wait(seen, 5s).value();

    auto const  refused = send_all(segment, router);
    std::size_t dropped = 0;
    for (auto const& pipe : router.info().pipes)
        dropped += pipe.dropped;
    router.close();
    if (!has_succeeded(quick) || !has_succeeded(slow))
        return false;

    int const by_quick = counts->quick.load(std::memory_order_relaxed);
    int const by_slow  = counts->slow.load(std::memory_order_relaxed);
    std::printf("%-12s quick got %d, slow got %3d, dropped %3zu, refused %3zu\n",
                std::string(to_string(when_full)).c_str(), by_quick, by_slow, dropped, refused);
    return by_quick == all && static_cast<std::size_t>(by_slow) + dropped + refused == all;
}

int main(int argc, char** argv)
{
    if (argc > 2)
        return receive(argv[1] == std::string("slow"), static_cast<atrium::overflow>(std::stoi(argv[2])));
    bool const all_well = fan_out(argv[0], atrium::overflow::wait) && fan_out(argv[0], atrium::overflow::fail) &&
                          fan_out(argv[0], atrium::overflow::drop_oldest);
    return all_well ? 0 : 1;
}
