/// \file
/// Runs a scenario once for every crash point that its victim meets.
///
/// In the environment: `ATRIUM_SAMPLE=k` takes every k-th point on average, chosen from `ATRIUM_SEED`; `ATRIUM_LONG=1`
/// takes every point, and every pair; `ATRIUM_POINT=17` or `17:4` takes just this one, to look at a failure.
#pragma once

#include "support/child.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <ostream>
#include <string>

namespace atrium::test {

/// What a driver has done.
struct crash_report
{
    std::uint64_t                        points   = 0; ///< That the victim meets when it is left alone.
    std::uint64_t                        runs     = 0; ///< Of the scenario, the one in which it is left alone included.
    std::uint64_t                        failures = 0; ///< Points at which a check failed.
    std::map<std::string, std::uint64_t> names; ///< Every name, with how often it is met when the victim is left alone.

    friend std::ostream& operator<<(std::ostream& to, crash_report const& report);
};

/// Prepares what it needs, starts the victim with these options, does its checks and returns how the victim ended. The
/// victim calls arm(), does the operations in question and ends with 0. Everything is made anew at each call.
using crash_scenario = std::function<exit_status(child_options const& victim)>;

/// Runs `scenario` with the victim left alone, then killed at its first point, its second, and so on, until a run in
/// which it ends by itself. A check that fails is reported with number and name of the point; after five points with
/// failures the rest is given up. In builds without crash points a victim that meets none is left at one run.
crash_report for_every_crash_point(crash_scenario const& scenario);

/// The same, but the victim is stopped; the scenario finds it by child::wait_stopped (false: it was not reached), shows
/// that others go on, and then resumes or kills it.
crash_report for_every_stop_point(crash_scenario const& scenario);

/// How the two victims ended.
struct pair_status
{
    exit_status first;
    exit_status second;
};

/// A scenario with a second victim, for example the process that recovers from the first one's death. The second is
/// started in any case, and does not fail if it finds nothing to recover.
using crash_pair_scenario = std::function<pair_status(child_options const& first, child_options const& second)>;

/// Runs `scenario` for `samples` pairs of points chosen from `ATRIUM_SEED`, or for all pairs in the long form. `points`
/// in the report are the first's.
crash_report for_crash_pairs(crash_pair_scenario const& scenario, std::uint64_t samples = 100);

} // namespace atrium::test
