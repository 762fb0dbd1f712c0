// A file goes from one process to another through shared memory, and both are killed on the way.
//
//     transfer [FILE]
//
// The producer puts the blocks of the file into a map in a segment, the consumer takes them out and writes a new file
// (transfer/producer.cpp, transfer/consumer.cpp). This process starts both, kills the producer after a third of the way
// and the consumer after two thirds, at any moment, be it with the map locked and half-changed; starts them again; and
// checks that nothing was lost (transfer/supervisor.cpp).
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
    std::printf("%-12s%s at %u %%, %s the queue locked: recovered after %.0f ms, moving again after %.0f ms\n", who,
                of.by_signal ? "killed" : "NOT KILLED", of.at, of.with_the_lock ? "with" : "without",
                of.recovery.count() * 1000, of.silence.count() * 1000);
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

    findings const found = supervisor(from, name).run(); // the supervisor leaves at the end of this line
    bool const     equal = found.free_before == found.free_after;
    bool const     clean = !lies_in_memory(name);
    std::printf("sha-256     equal, says the consumer\n"); // or it would have failed
    std::printf("throughput  %.0f MB/s without the outages\n", megabytes / found.busy.count());
    tell("producer", found.producer);
    tell("consumer", found.consumer);
    std::printf("heap        %lu bytes free before, %lu after: %s\n", found.free_before, found.free_after,
                equal ? "equal" : "NOT EQUAL");
    std::printf("/dev/shm    %s\n", clean ? "nothing left" : "SOMETHING IS LEFT");
    return found.producer.by_signal && found.consumer.by_signal && equal && clean;
}

} // namespace

int main(int argc, char** argv)
{
    std::string const first = argc > 1 ? argv[1] : "";
    try
    {
        if (argc == 4 && first == "producer")
            return produce(argv[2], argv[3]), 0;
        if (argc == 4 && first == "consumer")
            return consume(argv[2], argv[3]), 0;
        bool const passed = transfer_file(first);
        std::printf("verdict     %s\n", passed ? "passed: both were killed, and nothing was lost" : "FAILED");
        return passed ? 0 : 1;
    }
    catch (std::exception const& e)
    {
        std::fflush(stdout);
        std::fprintf(stderr, "transfer: %s\n", e.what());
        return 1;
    }
}
