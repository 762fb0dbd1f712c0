#include "figure.hpp"

#include <algorithm>
#include <stdexcept>

namespace atrium::bench {

namespace {

using steady = std::chrono::steady_clock;

/// The list itself, made at its first use because registration runs before `main`.
std::vector<figure>& list()
{
    static std::vector<figure> figures;
    return figures;
}

nanoseconds time_of(std::function<void(std::uint64_t)> const& work, std::uint64_t repetitions)
{
    auto const start = steady::now();
    work(repetitions);
    return steady::now() - start;
}

/// The number of repetitions that last at least `batch`, by the shortest of three tries of each size.
std::uint64_t batch_size(std::function<void(std::uint64_t)> const& work, nanoseconds batch, nanoseconds budget)
{
    auto const end = steady::now() + budget / 2;
    for (std::uint64_t size = 1;; size *= 2)
    {
        auto shortest = time_of(work, size);
        for (int i = 0; i != 2 && shortest >= batch; ++i)
            shortest = std::min(shortest, time_of(work, size));
        if (shortest >= batch || steady::now() >= end)
            return size;
    }
}

} // namespace

registered::registered(std::initializer_list<figure> figures) : registered(std::vector<figure>(figures)) {}

registered::registered(std::vector<figure> const& figures)
{
    for (auto const& added : figures)
    {
        auto const place = std::lower_bound(list().begin(), list().end(), added,
                                            [](figure const& a, figure const& b) { return a.name < b.name; });
        if (place != list().end() && place->name == added.name)
            throw std::logic_error("two figures are named " + added.name);
        list().insert(place, added);
    }
}

std::vector<figure> const& all_figures()
{
    return list();
}

figure const* find_figure(std::string const& name)
{
    auto const found = std::find_if(list().begin(), list().end(), [&](figure const& f) { return f.name == name; });
    return found == list().end() ? nullptr : &*found;
}

round time_batches(nanoseconds budget, std::function<void(std::uint64_t)> const& work, nanoseconds batch)
{
    auto const end  = steady::now() + budget;
    auto const size = batch_size(work, batch, budget);
    round      taken;
    do
    {
        auto const time = time_of(work, size);
        taken.values.push_back(static_cast<double>(time.count()) / static_cast<double>(size));
        taken.repetitions += size;
    } while (steady::now() < end);
    return taken;
}

round collect(nanoseconds budget, std::function<double()> const& measure_once)
{
    auto const end = steady::now() + budget;
    round      taken;
    do
    {
        taken.values.push_back(measure_once());
        ++taken.repetitions;
    } while (steady::now() < end);
    return taken;
}

round scaled(round taken, double factor)
{
    for (auto& value : taken.values)
        value *= factor;
    return taken;
}

round as_rate(round taken, double amount)
{
    for (auto& value : taken.values)
        value = amount / value;
    return taken;
}

} // namespace atrium::bench
