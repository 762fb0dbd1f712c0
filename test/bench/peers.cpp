/// \file
/// Other libraries that hand messages from process to process, each measured by a program of its own beside this one:
///
///     .ci/install peers && cmake --preset release -DATRIUM_BENCH_PEERS=ON
///     cmake --build --preset release --target atrium_bench
///     build/release/test/atrium_bench --peers --filter 'pipe|peer'
///
/// A program is started anew for each round and ends with it, so that its processes and daemons run only while they are
/// measured. What it measures is in peers/peer.hpp; how it is built, in peers/CMakeLists.txt.
#include "figure.hpp"
#include "process.hpp"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unistd.h>

namespace atrium::bench {

namespace {

struct peer
{
    char const* name;
    char const* needs;        ///< What is to be installed.
    bool        polls = true; ///< Otherwise it has no spinning round trip.
};

constexpr std::array peers{
    peer{.name = "iceoryx", .needs = "Debian's iceoryx and libiceoryx-posh-dev"},
    peer{.name = "iceoryx2", .needs = "cargo 1.89 or later, as in Debian's cargo-web"},
    peer{.name = "message_queue", .needs = "Boost.Interprocess"},
    peer{.name = "zeromq", .needs = "Debian's libzmq3-dev", .polls = false},
};

struct measurement
{
    char const* name;
    char const* unit;
    char const* about;
    char const* baseline;
    better      good;
    int         cores;
    bool        spinning = false;
};

constexpr std::array measurements{
    measurement{.name     = "round_trip_64B",
                .unit     = "ns",
                .about    = "64 B there and back, filled and read, both sides polling",
                .baseline = "limit.atomic_ping_pong",
                .good     = better::lower,
                .cores    = 2,
                .spinning = true},
    measurement{.name     = "round_trip_64B_one_core",
                .unit     = "us",
                .about    = "two processes asleep on one core, 64 B there and back",
                .baseline = "limit.timed_futex_round_trip_one_core",
                .good     = better::lower,
                .cores    = 1},
    measurement{.name     = "stream_64B",
                .unit     = "M/s",
                .about    = "messages of 64 B filled, sent, received and read, none lost",
                .baseline = "limit.spsc_ring_64B",
                .good     = better::higher,
                .cores    = 2},
    measurement{.name     = "stream_1MiB",
                .unit     = "GB/s",
                .about    = "messages of 1 MiB filled, sent, received and read, none lost",
                .baseline = "limit.spsc_ring_1MiB_in_place",
                .good     = better::higher,
                .cores    = 2},
};

/// The program of a peer lies where this one does.
std::string program_of(peer const& which)
{
    auto const own = std::filesystem::read_symlink("/proc/self/exe");
    return own.parent_path() / (std::string("atrium_bench_peer_") + which.name);
}

/// What a program writes to its standard output.
class output
{
public:
    output()
    {
        int ends[2];
        check(pipe2(ends, O_CLOEXEC), "pipe2");
        writing_ = ends[1];
        reading_ = fdopen(ends[0], "r");
    }
    output(output const&)            = delete;
    output& operator=(output const&) = delete;
    ~output()
    {
        done_writing();
        std::fclose(reading_);
    }

    /// In the process that becomes the program.
    void become_standard() const { check(dup2(writing_, STDOUT_FILENO), "dup2"); }

    /// In this one, so that the end is seen.
    void done_writing()
    {
        if (writing_ >= 0)
            close(writing_);
        writing_ = -1;
    }

    /// A value on each line, then how often it was done.
    [[nodiscard]] round read()
    {
        round taken;
        for (char line[128]; std::fgets(line, sizeof line, reading_) != nullptr;)
        {
            double             value       = 0;
            unsigned long long repetitions = 0;
            if (std::sscanf(line, "%lf", &value) == 1)
                taken.values.push_back(value);
            else if (std::sscanf(line, "repetitions %llu", &repetitions) == 1)
                taken.repetitions = repetitions;
            else
                throw std::runtime_error(std::string("the peer's program says ") + line);
        }
        return taken;
    }

private:
    int        writing_ = -1;
    std::FILE* reading_ = nullptr;
};

round run(std::string const& program, char const* what, nanoseconds budget)
{
    auto const seconds = std::to_string(std::chrono::duration<double>(budget).count());
    auto const first   = std::to_string(cores().first);
    auto const second  = std::to_string(cores().second < 0 ? cores().first : cores().second);
    output     out;
    child      other(cores().first, [&] {
        out.become_standard();
        check(execl(program.c_str(), program.c_str(), what, "--seconds", seconds.c_str(), "--first", first.c_str(),
                         "--second", second.c_str(), nullptr),
                   program.c_str());
    });
    out.done_writing();
    auto taken = out.read();
    other.wait();
    if (taken.values.empty() || taken.repetitions == 0)
        throw std::runtime_error("the peer's program gave nothing");
    return taken;
}

/// Looks for the program only when it is asked for: most builds have none.
std::function<probe()> starting(peer const& which, char const* what)
{
    return [&which, what]() -> probe {
        auto program = program_of(which);
        if (access(program.c_str(), X_OK) != 0)
            throw std::runtime_error(std::string("not built: needs ") + which.needs +
                                     " (.ci/install peers) and -DATRIUM_BENCH_PEERS=ON");
        return [=](nanoseconds budget) { return run(program, what, budget); };
    };
}

std::vector<figure> figures()
{
    std::vector<figure> all;
    for (auto const& which : peers)
        for (auto const& what : measurements)
            if (which.polls || !what.spinning)
                all.push_back({.name     = std::string("peer.") + which.name + "_" + what.name,
                               .unit     = what.unit,
                               .about    = what.about,
                               .baseline = what.baseline,
                               .good     = what.good,
                               .cores    = what.cores,
                               .prepare  = starting(which, what.name),
                               .of_peer  = true});
    return all;
}

registered const here(figures());

} // namespace

} // namespace atrium::bench
