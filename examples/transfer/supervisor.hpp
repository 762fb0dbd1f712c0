/// \file
/// The process that starts the others, kills two of them, and looks on.
#pragma once

#include "file.hpp"
#include "process.hpp"
#include "shared.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace transfer {

using seconds = std::chrono::duration<double>;

/// One kill, and what became of it.
struct outage
{
    bool     by_signal = false; ///< It died of SIGKILL, and had not ended before.
    unsigned at        = 0;     ///< Per cent of the file.
    seconds  recovery{0};       ///< From the kill until a survivor had removed its traces.
    seconds  catching_up{0};    ///< From the kill until all consumers had blocks that were not under way before.
};

/// What was seen in the whole transfer.
struct findings
{
    outage        consumer{};
    outage        producer{};
    seconds       busy{0};             ///< Time of the transfer without the outages,
    std::uint64_t busy_blocks     = 0; ///< and blocks that all consumers got in it.
    std::uint64_t free_before     = 0;
    std::uint64_t free_after      = 0; ///< Bytes that are free in the segment's heap.
    std::uint64_t elements_before = 0;
    std::uint64_t elements_after  = 0; ///< Outstanding elements of the pool.
    latencies     sorted_latencies{};
};

/// Creates the segment, and runs the transfer of one file.
class supervisor
{
public:
    supervisor(std::filesystem::path const& from, std::string const& segment);

    /// Transfers the file; one consumer is killed after a third, the producer after two thirds.
    /// \par Errors  throws when one of them fails, or nothing moves any more
    findings run();

    std::uint64_t blocks() const { return work_->blocks(); }

private:
    struct role
    {
        std::string              name;
        std::vector<std::string> arguments;
        process                  run{};
    };

    void   transfer(findings& found);
    void   start(role& which);
    void   go_on(findings& found, std::uint64_t until);
    outage kill_and_restart(role& which, std::uint64_t next_limit);
    void   watch_until(std::function<bool()> const& condition);
    void   look_after_processes();
    void   raise_limit(std::uint64_t limit);
    void   say(std::string const& what) const;

    std::uint64_t free_memory() const;
    unsigned      per_cent(std::uint64_t blocks) const;

    std::array<temporary_file, consumers> to_;
    atrium::segment                       segment_;
    atrium::named<job>                    work_;
    atrium::named<latencies>              took_;
    role                                  producer_;
    std::array<role, consumers>           consumers_;
    unsigned                              announced_ = 0; // per cent
    std::chrono::steady_clock::time_point began_{};
};

} // namespace transfer
