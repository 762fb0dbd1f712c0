/// \file
/// Takes the rounds of a figure and its baseline alternately, and sums them up.
#pragma once

#include "figure.hpp"

#include <optional>
#include <vector>

namespace atrium::bench {

/// How often and how long.
struct measure_options
{
    int         rounds = 5;                       ///< Of the figure, and as many of its baseline.
    nanoseconds budget = std::chrono::seconds(1); ///< For all rounds of a figure and its baseline together.
};

/// All rounds of one figure.
struct distribution
{
    double              median  = 0; ///< Of the rounds' medians.
    double              p10     = 0; ///< Of all batches of all rounds, each round weighing the same; so the next three.
    double              p90     = 0;
    double              lowest  = 0;
    double              highest = 0;
    std::uint64_t       repetitions = 0;
    std::vector<double> rounds{}; ///< The median of each.
};

/// How many times the baseline's cost: 1 is equal, less is better, whichever way the unit runs.
struct ratio
{
    double median  = 0; ///< Of the ratios of each round, like the next two.
    double lowest  = 0;
    double highest = 0;
};

/// A figure as measured.
struct measured
{
    figure const*               what = nullptr;
    distribution                values{};
    figure const*               baseline = nullptr; ///< Null if it has none, like the next two.
    std::optional<distribution> baseline_values{};
    std::optional<bench::ratio> ratio{};
};

/// Measures `what`, and its baseline in the same rounds; which of the two goes first changes from round to round.
/// \par Errors  What the figure throws; `std::logic_error` if its baseline is not registered.
[[nodiscard]] measured measure(figure const& what, measure_options const& options);

} // namespace atrium::bench
