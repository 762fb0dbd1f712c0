/// \file
/// Killing or stopping this process at a crash point, and telling the test which points were met.
#pragma once

#include "support/descriptor.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace atrium::test {

/// What a child does at which point; 0 and an empty name: at none.
struct crash_orders
{
    std::uint64_t crash_at = 0; ///< Kills the process (SIGKILL) at this point, counted from arm() over all threads.
    std::string   crash_at_name = {}; ///< Kills it at the point of this name,
    std::uint64_t stop_at       = 0;  ///< Stops it (SIGSTOP) at this point.
    std::string   stop_at_name  = {}; ///< Stops it at the point of this name,
    std::uint64_t hit           = 1;  ///< when the named point is met for this time.
};

struct crash_page;

/// The orders of one child and what it has met; in memory that outlives the child.
/// \par Thread safety  Safe.
class crash_trace
{
public:
    explicit crash_trace(crash_orders const& orders);
    crash_trace(crash_trace const&)            = delete;
    crash_trace& operator=(crash_trace const&) = delete;
    ~crash_trace();

    /// How many points were met since arm(); 0 without it.
    [[nodiscard]] std::uint64_t points_met() const noexcept;

    /// The name of the last one; empty where there was none.
    [[nodiscard]] std::string last_point() const;

    /// Every name with the number of times that it was met.
    [[nodiscard]] std::map<std::string, std::uint64_t> names() const;

    /// The memory, for the child.
    [[nodiscard]] int file() const noexcept { return file_.get(); }

private:
    descriptor  file_;
    crash_page* page_;
};

/// In a role: from here on crash points are counted, from 0, and what the test ordered happens. Threads that meet
/// points are started after it. A forked child counts nothing until it calls this itself.
void arm();

/// Ends the counting; what was counted stays.
void disarm() noexcept;

/// In a role: how many points were met since arm().
[[nodiscard]] std::uint64_t points_met() noexcept;

/// In a role: the name of the last one.
[[nodiscard]] std::string last_point();

} // namespace atrium::test
