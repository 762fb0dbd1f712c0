/// \file
/// Kills children at random moments and starts them again.
#pragma once

#include "support/child.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace atrium::test {

/// One of the children that are kept running. Its role works until told_to_end(), and then returns 0.
struct actor
{
    std::string   role;
    arguments     given    = {};
    child_options options  = {};
    bool          immortal = false; ///< Never killed: a survivor that must be held up by nobody.
};

/// How long and how often.
struct random_killer_options
{
    std::uint64_t             kills = 300;           ///< Ends after so many (10 000 in the long form are usual),
    std::chrono::milliseconds at_least{0};           ///< but not before this time has passed.
    std::chrono::microseconds shortest_pause{500};   ///< Between two kills,
    std::chrono::microseconds longest_pause{10'000}; ///< chosen evenly; a child may be killed while it starts.
    std::chrono::seconds      patience{30};          ///< For a child that has been told to end.
    std::uint64_t             turn = 0;              ///< Of several in a row: each has moments of its own.
    std::uint64_t stop_each        = 0; ///< At one of so many kills another mortal one stands still (SIGSTOP); 0: none.
};

/// What became of it.
struct random_killer_report
{
    std::uint64_t kills      = 0;
    std::uint64_t unexpected = 0; ///< Children that ended though nobody had killed them; the test case has failed.
    std::uint64_t ended_well = 0; ///< At the end, when all were told to.
};

/// Keeps one child per actor running, kills one at random again and again (seed: `ATRIUM_SEED`), and starts it anew.
/// `check` is called after every kill with their number so far, before the child is started again; it fails the test
/// case itself. Ends early when a check has failed.
random_killer_report kill_at_random(std::vector<actor> const& actors, random_killer_options const& options,
                                    std::function<void(std::uint64_t kills)> const& check = {});

} // namespace atrium::test
