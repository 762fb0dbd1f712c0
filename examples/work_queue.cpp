// Workers that compete for tasks; one is killed with a task in its hands, and the task is done all the same.
#include <atrium/memory/named.hpp>
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <iostream>
#include <numeric>
#include <string>
#include <thread>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

constexpr std::size_t workers = 3;
constexpr std::size_t all     = 300;
constexpr std::size_t fatal   = 100; // whoever gets this task first is killed with it

struct task
{
    std::size_t   number;
    std::uint64_t input;
};

struct board // what is done; by it, not by what was handed over, it is known what to do after a death
{
    static constexpr bool is_shareable = true;

    std::array<atrium::atomic<std::uint64_t>, all>     results{}; // 0: not yet
    std::array<atrium::atomic<std::uint64_t>, workers> done{};    // tasks of each worker
    atrium::atomic<std::size_t>                        here{0};   // workers that have subscribed
    atrium::atomic<bool>                               has_killed{false};
    atrium::doorbell                                   changed;

    bool is_done(std::size_t task) const { return results[task].load(std::memory_order_relaxed) != 0; }
    bool all_done() const
    {
        return std::all_of(results.begin(), results.end(),
                           [](auto const& result) { return result.load(std::memory_order_relaxed) != 0; });
    }
};

// How many numbers there are on Collatz's way to 1.
std::uint64_t solve(std::uint64_t number)
{
    std::this_thread::sleep_for(200us); // as if it were harder
    std::uint64_t steps = 1;
    for (; number > 1; ++steps)
        number = number % 2 == 0 ? number / 2 : 3 * number + 1;
    return steps;
}

int work(std::size_t self)
{
    atrium::segment      segment(atrium::open_only, "work-queue");
    atrium::named<board> results(atrium::open_only, segment, "board");
    atrium::router<task> router(atrium::open_only, segment, "router");
    auto                 pipe = router.subscribe(atrium::open_or_create, "workers", {.capacity = 32});
    results->here.fetch_add(1, std::memory_order_relaxed);
    results->changed.ring();
    for (;;)
    {
        auto const next = pipe.receive(5s);
        if (!next)
            return next.error() == atrium::errc::closed ? 0 : 1;
        if ((*next)->number == fatal && !results->has_killed.exchange(true, std::memory_order_relaxed))
            return kill(getpid(), SIGKILL);
        auto const    result  = solve((*next)->input);
        std::uint64_t nothing = 0; // a task that is sent again may be done twice, but counts once
        if (results->results[(*next)->number].compare_exchange_strong(nothing, result, std::memory_order_relaxed))
            results->done[self].fetch_add(1, std::memory_order_relaxed);
        results->changed.ring();
    }
}

// The producer.
class foreman
{
public:
    // Waits until all workers are there, since a pipe gets what is sent from then on.
    void wait_for_workers()
    {
        for (auto seen = board_->changed.look(); board_->here.load(std::memory_order_relaxed) != workers;
             seen      = board_->changed.look())
            board_->changed.wait(seen, 5s).value();
    }

    // Sends what is not done. Where the pipe is full this waits.
    std::size_t send_what_is_left()
    {
        std::size_t sent = 0;
        for (std::size_t n = 0; n != all; ++n)
        {
            if (!board_->is_done(n))
                sent += router_.send(tasks_.make(task{n, n + 1}).value(), 5s).value().delivered();
        }
        return sent;
    }

    // Returns how many tasks had to be sent again.
    std::size_t wait_until_all_done()
    {
        std::size_t   again     = 0;
        std::uint64_t recovered = 0; // deaths of which the consequences are known
        for (atrium::deadline const until = 20s; !board_->all_done() && !until.passed();)
        {
            auto const seen   = board_->changed.look();
            auto const deaths = segment_.recoveries();
            // What is neither done nor in the pipe is in the hands of a worker; if one has died, perhaps in its hands.
            if (deaths != recovered && router_.info().pipes.at(0).depth == 0)
            {
                recovered = deaths;
                again += send_what_is_left();
            }
            static_cast<void>(board_->changed.wait(seen, 100ms)); // a death does not ring
        }
        return again;
    }

    void close() { router_.close(); } // the workers get `closed`, and go

    board const& results() const { return *board_; }
    std::size_t  outstanding() const { return tasks_.statistics().outstanding; }

private:
    atrium::segment      segment_{atrium::create_only, "work-queue"};
    atrium::named<board> board_{atrium::create_only, segment_, "board"};
    atrium::pool<task>   tasks_{atrium::create_only, segment_, "tasks"};
    atrium::router<task> router_{atrium::create_only, segment_, "router"};
};

pid_t start(char* name, std::string number)
{
    pid_t child     = 0;
    char* started[] = {name, number.data(), nullptr};
    return posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, started, environ) == 0 ? child : 0;
}

int supervise(char* name)
{
    foreman                    here;
    std::array<pid_t, workers> children{};
    for (std::size_t n = 0; n != workers; ++n)
        children[n] = start(name, std::to_string(n));

    here.wait_for_workers();
    auto const sent  = here.send_what_is_left();
    auto const again = here.wait_until_all_done();
    here.close();

    bool        ended_as_meant = true;
    std::size_t killed         = 0;
    for (std::size_t n = 0; n != workers; ++n)
    {
        int status = 0;
        ended_as_meant &= waitpid(children[n], &status, 0) == children[n] && (status == SIGKILL || status == 0);
        killed += status == SIGKILL ? 1 : 0;
        std::cout << "worker " << n << (status == SIGKILL ? " was killed, after " : " did ")
                  << here.results().done[n].load(std::memory_order_relaxed) << " tasks\n";
    }
    auto const& counts = here.results().done;
    std::cout << sent << " tasks sent, " << again
              << " of them again; done: " << std::accumulate(counts.begin(), counts.end(), std::uint64_t{0})
              << ", in memory: " << here.outstanding() << '\n';
    return ended_as_meant && killed == 1 && again != 0 && here.results().all_done() ? 0 : 1;
}

int main(int argc, char** argv)
{
    return argc > 1 ? work(std::stoul(argv[1])) : supervise(argv[0]);
}
