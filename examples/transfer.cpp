// A file goes from one process to two others through shared memory, and two of the three are killed on the way.
//
//     transfer [FILE]
//
// The producer reads the file block by block into elements of a pool, and sends references to them through a router; each
// consumer writes a new file of what it receives (transfer/producer.cpp, transfer/consumer.cpp). This process starts them,
// kills a consumer after a third of the way and the producer after two thirds, at any moment; starts them again; and
// checks that nothing was lost (transfer/supervisor.cpp). What they share is in transfer/shared.hpp: begin there.
#include "transfer/file.hpp"
#include "transfer/shared.hpp"
#include "transfer/supervisor.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include <unistd.h>

namespace {

using namespace transfer;

bool lies_in_memory(std::string const& name)
{
    auto const files = std::filesystem::directory_iterator("/dev/shm");
    return std::any_of(begin(files), end(files), [&](auto const& entry) {
        return entry.path().filename().string().find(name) != std::string::npos;
    });
}

void tell(char const* who, outage const& of)
{
    std::printf("%-12s%s at %u %%: recovered after %.0f ms, all caught up after %.0f ms\n", who,
                of.by_signal ? "killed" : "NOT KILLED", of.at, of.recovery.count() * 1000,
                of.catching_up.count() * 1000);
}

void tell(latencies const& sorted)
{
    auto const at = [&](double part) {
        auto const index = static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1));
        return std::chrono::duration<double, std::micro>(sorted[index]).count();
    };
    std::printf("latency     of %zu blocks, from send to receive: p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n",
                sorted.size(), at(0.5), at(0.99), at(0.999));
}

bool tell(char const* what, char const* unit, std::uint64_t before, std::uint64_t after)
{
    bool const equal = before == after;
    std::printf("%-12s%lu %s before, %lu after: %s\n", what, before, unit, after, equal ? "equal" : "NOT EQUAL");
    return equal;
}

// Transfers the file, or one that is found or made; tells all, and whether all is well.
bool transfer_file(std::filesystem::path from)
{
    std::string const             name = "transfer-" + std::to_string(getpid());
    std::optional<temporary_file> made;
    if (from.empty() && (from = find_large_file()).empty())
    {
        from = made.emplace(name + "-made").path();
        fill(from, 48u << 20);
    }
    auto const megabytes = static_cast<double>(std::filesystem::file_size(from)) / 1e6;
    std::printf("file        %s, %.1f MB\n", from.c_str(), megabytes);

    std::optional<supervisor> over(std::in_place, from, name);
    findings const            found = over->run();
    auto const                part  = static_cast<double>(found.busy_blocks) / static_cast<double>(over->blocks());
    over.reset();                                           // the last one to leave
    std::printf("sha-256     equal, say both consumers\n"); // or one of them would have failed
    std::printf("throughput  %.0f MB/s to each of them, without the outages\n", megabytes * part / found.busy.count());
    tell(found.sorted_latencies);
    tell("consumer 1", found.consumer);
    tell("producer", found.producer);
    bool const pool  = tell("pool", "blocks outstanding", found.elements_before, found.elements_after);
    bool const heap  = tell("heap", "bytes free", found.free_before, found.free_after);
    bool const clean = !lies_in_memory(name);
    std::printf("/dev/shm    %s\n", clean ? "nothing left" : "SOMETHING IS LEFT");
    return found.consumer.by_signal && found.producer.by_signal && pool && heap && clean;
}

} // namespace

int main(int argc, char** argv)
{
    std::string const first = argc > 1 ? argv[1] : "";
    try
    {
        if (argc == 4 && first == "producer")
            return produce(argv[2], argv[3]), 0;
        if (argc == 5 && first == "consumer")
            return consume(argv[2], argv[3], std::stoul(argv[4])), 0;
        bool const passed = transfer_file(first);
        std::printf("verdict     %s\n", passed ? "passed: two were killed, and nothing was lost" : "FAILED");
        return passed ? 0 : 1;
    }
    catch (std::exception const& e)
    {
        std::fflush(stdout);
        std::fprintf(stderr, "transfer: %s\n", e.what());
        if (argc <= 2)
            std::printf("verdict     FAILED\n");
        return 1;
    }
}
