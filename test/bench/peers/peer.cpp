#include "peer.hpp"

#include <boost/program_options.hpp>

#include <cstdio>
#include <exception>
#include <iostream>
#include <unistd.h>

namespace atrium::bench::peers {

namespace {

namespace po = boost::program_options;

/// For a hang: longer than any peer takes to start and end, shorter than the patience of who started the program.
constexpr int spare_seconds = 30;

/// Where the results go. A library that logs on standard output shall not write among them.
std::FILE* results()
{
    std::FILE* const file = fdopen(check(dup(STDOUT_FILENO), "dup"), "w");
    if (file == nullptr)
        throw std::system_error(errno, std::generic_category(), "fdopen");
    check(dup2(STDERR_FILENO, STDOUT_FILENO), "dup2");
    return file;
}

struct arguments
{
    std::string what{};
    double      seconds = 1;
    int         first   = -1;
    int         second  = -1;
};

arguments parse(int argc, char** argv)
{
    arguments                          parsed;
    po::options_description            description;
    po::positional_options_description position;
    description.add_options()                               //
        ("what", po::value(&parsed.what)->required())       //
        ("seconds", po::value(&parsed.seconds)->required()) //
        ("first", po::value(&parsed.first)->required())     //
        ("second", po::value(&parsed.second)->required());
    position.add("what", 1);
    po::variables_map values;
    po::store(po::command_line_parser(argc, argv).options(description).positional(position).run(), values);
    po::notify(values);
    if (!(parsed.seconds >= 0 && parsed.seconds <= 86'400))
        throw po::error("--seconds takes 0 to 86400");
    return parsed;
}

/// What was asked for, in the unit of its figure.
std::function<round(task)> measurement(std::string const& what, abilities const& of)
{
    if (what == "round_trip_64B" && of.round_trip_polling)
        return of.round_trip_polling;
    if (what == "round_trip_64B_one_core" && of.round_trip_blocking)
        return [&](task asked) {
            asked.second = asked.first;
            asked.wait   = waiting::blocking;
            return scaled(of.round_trip_blocking(asked), 1e-3);
        };
    if (what == "stream_64B" && of.stream_64B)
        return [&](task const& asked) { return as_rate(of.stream_64B(asked), 1e3); };
    if (what == "stream_1MiB" && of.stream_1MiB)
        return [&](task const& asked) { return as_rate(of.stream_1MiB(asked), 1 << 20); };
    throw po::error("this peer has no " + what);
}

} // namespace

std::string own_name(std::string const& purpose)
{
    static auto const program = std::to_string(getpid());
    return "atrium_bench_peer." + program + "." + purpose;
}

int run(int argc, char** argv, abilities const& of)
{
    int status_of_failure = 2;
    try
    {
        auto const parsed  = parse(argc, argv);
        auto const measure = measurement(parsed.what, of);
        status_of_failure  = 1;
        std::thread([] {}).join(); // as in atrium_bench: no peer is spared its locked instructions
        pin_to(parsed.first);
        watchdog const guard;
        watchdog::feed(argv[0], static_cast<int>(parsed.seconds) + spare_seconds);
        auto const out = results();
        auto const taken =
            measure({.budget = std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(parsed.seconds)),
                     .first  = parsed.first,
                     .second = parsed.second});
        for (double const value : taken.values)
            std::fprintf(out, "%.9g\n", value);
        std::fprintf(out, "repetitions %llu\n", static_cast<unsigned long long>(taken.repetitions));
        return std::fclose(out) == 0 ? 0 : 1;
    }
    catch (std::exception const& failure)
    {
        std::cerr << argv[0] << ": " << failure.what() << '\n';
        return status_of_failure;
    }
}

} // namespace atrium::bench::peers
