/// \file
/// The process that starts the two others, kills them, and looks on.
#pragma once

#include "file.hpp"
#include "process.hpp"
#include "shared.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace transfer {

using seconds = std::chrono::duration<double>;

/// One kill, and what became of it.
struct outage
{
    bool     by_signal     = false; ///< It died of SIGKILL, and had not ended before.
    bool     with_the_lock = false; ///< It died with the queue locked, which was torn then.
    unsigned at            = 0;     ///< Per cent of the file.
    seconds  recovery{0};           ///< From the kill until a survivor had removed its traces.
    seconds  silence{0};            ///< From the kill until blocks arrived that were not under way before.
};

/// What was seen in the whole transfer.
struct findings
{
    outage        producer{};
    outage        consumer{};
    seconds       busy{0}; ///< Time of the transfer without the outages.
    std::uint64_t free_before = 0;
    std::uint64_t free_after  = 0; ///< Bytes that are free in the segment's heap.
};

/// Creates the segment, and runs the transfer of one file.
class supervisor
{
public:
    supervisor(std::filesystem::path const& from, std::string const& segment);

    /// Transfers the file; the producer is killed after a third, the consumer after two thirds.
    /// \par Errors  throws when one of them fails, or nothing moves any more
    findings run();

private:
    struct role
    {
        std::string           name;
        std::filesystem::path file;
        process               run{};
    };

    void   start(role& which);
    outage kill_and_restart(role& which, std::uint64_t after, std::uint64_t next_limit);
    void   watch_until(std::function<bool()> const& condition);
    void   raise_limit(std::uint64_t limit);
    void   say(std::string const& what) const;

    std::uint64_t free_memory() const;
    std::uint64_t confirmed() const;
    unsigned      per_cent() const;

    temporary_file                        to_;
    shared                                with_;
    job&                                  work_;
    role                                  producer_;
    role                                  consumer_;
    unsigned                              announced_ = 0; // per cent
    std::chrono::steady_clock::time_point began_{};
};

} // namespace transfer
