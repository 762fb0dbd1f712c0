/// \file
/// What a figure is, how it is registered, and how its rounds are taken.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace atrium::bench {

using std::chrono::nanoseconds;

/// What one round gave: one value per batch, and how often the thing measured was done in all of them.
struct round
{
    std::vector<double> values;
    std::uint64_t       repetitions = 0;
};

/// Measures for about `budget`. Called once per round; what must outlive a round is kept in the closure, and
/// nothing of it may run, spin or hold a core between two rounds: the baseline is measured there.
using probe = std::function<round(nanoseconds budget)>;

/// Which end of the scale is the good one.
enum class better
{
    lower,
    higher,
};

/// One number that the program can measure, or a limit or peer that others are compared with: all are figures.
struct figure
{
    std::string            name;                  ///< `part.what_size`, unique.
    std::string            unit;                  ///< Of all its values.
    std::string            about;                 ///< One line: what is measured.
    std::string            baseline{};            ///< The figure it is compared with; empty if it stands alone.
    better                 good  = better::lower; ///< Decides how the ratio is taken.
    int                    cores = 1;             ///< Cores it needs; fewer, and it is skipped.
    std::function<probe()> prepare{};             ///< Sets up what the rounds need, once, before the first.
    bool                   of_peer = false;       ///< Taken by another program, and only if --peers asks for it.
};

/// Adds figures to the program; a constant of this type stands at the end of each file that measures.
class registered
{
public:
    registered(std::initializer_list<figure> figures);
    explicit registered(std::vector<figure> const& figures);
};

/// All figures by name.
[[nodiscard]] std::vector<figure> const& all_figures();

/// The figure of that name, or null.
[[nodiscard]] figure const* find_figure(std::string const& name);

/// Does `work(n)`, which does the thing n times, in batches until `budget` is spent. The values are nanoseconds for one
/// repetition; a batch is made long enough, at least `batch`, that reading the clock does not count. The first calls
/// only find that length, and warm up.
[[nodiscard]] round time_batches(nanoseconds budget, std::function<void(std::uint64_t)> const& work,
                                 nanoseconds batch = std::chrono::microseconds(50));

/// Calls `measure_once`, which gives a value in the figure's unit, at least once and until `budget` is spent.
[[nodiscard]] round collect(nanoseconds budget, std::function<double()> const& measure_once);

/// The round with each value multiplied.
[[nodiscard]] round scaled(round taken, double factor);

/// The round with each time of one repetition turned into a rate: `amount` divided by it.
[[nodiscard]] round as_rate(round taken, double amount);

/// Keeps the compiler from leaving out what made `value`, and from knowing what memory holds afterwards.
template <class T> void used(T const& value)
{
    asm volatile("" : : "m"(value) : "memory");
}

} // namespace atrium::bench
