/// \file
/// What the program says: a table for people, a file for programs.
#pragma once

#include "measure.hpp"

#include <string>
#include <vector>

namespace atrium::bench {

/// A figure that could not be measured, and why.
struct missing
{
    figure const* what = nullptr;
    std::string   why{};
    bool          failed = false; ///< Rather than skipped because the machine has not what it needs.
};

/// Prints the machine, the build, and what the program is pinned to.
void print_setting(measure_options const& options);

void print_table_head();
void print(measured const& m);
void print(missing const& m);

/// Prints names, units, baselines and descriptions.
void print_list(std::vector<figure const*> const& figures);

/// Writes everything as one JSON object.
void write_json(std::string const& path, measure_options const& options, std::vector<measured> const& results,
                std::vector<missing> const& not_measured);

} // namespace atrium::bench
