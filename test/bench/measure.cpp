#include "measure.hpp"

#include "process.hpp"

#include <algorithm>
#include <stdexcept>

namespace atrium::bench {

namespace {

/// Far more than any round takes beside its budget, so that only a hang meets it.
constexpr std::chrono::seconds patience{60};

/// The value at that part of the sorted values, between two of them by the distance to each.
double quantile(std::vector<double> const& sorted, double part)
{
    auto const place = part * static_cast<double>(sorted.size() - 1);
    auto const low   = static_cast<std::size_t>(place);
    auto const high  = std::min(low + 1, sorted.size() - 1);
    auto const rest  = place - static_cast<double>(low);
    return sorted[low] * (1 - rest) + sorted[high] * rest;
}

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return quantile(values, 0.5);
}

/// One side of the comparison: takes rounds and keeps them.
class side
{
public:
    explicit side(figure const& what) : name_(what.name)
    {
        watchdog::feed(name_, static_cast<int>(patience.count()));
        probe_ = what.prepare();
    }

    void take(nanoseconds budget)
    {
        watchdog::feed(name_, static_cast<int>(std::chrono::ceil<std::chrono::seconds>(budget + patience).count()));
        auto const taken = probe_(budget);
        for (auto const value : taken.values)
            values_.push_back({value, 1.0 / static_cast<double>(taken.values.size())});
        sum_.rounds.push_back(median(taken.values));
        sum_.repetitions += taken.repetitions;
    }

    [[nodiscard]] distribution sum_up()
    {
        std::sort(values_.begin(), values_.end(), [](auto const& a, auto const& b) { return a.value < b.value; });
        sum_.median  = median(sum_.rounds);
        sum_.p10     = quantile(0.1);
        sum_.p90     = quantile(0.9);
        sum_.lowest  = values_.front().value;
        sum_.highest = values_.back().value;
        return sum_;
    }

private:
    /// Every round weighs the same, however many batches it had time for.
    struct weighted
    {
        double value;
        double weight;
    };

    [[nodiscard]] double quantile(double part) const
    {
        auto below = part * static_cast<double>(sum_.rounds.size());
        for (auto const& [value, weight] : values_)
            if ((below -= weight) <= 0)
                return value;
        return values_.back().value;
    }

    std::string           name_;
    probe                 probe_;
    std::vector<weighted> values_;
    distribution          sum_;
};

ratio compare(distribution const& values, distribution const& baseline, better good)
{
    std::vector<double> ratios;
    for (std::size_t i = 0; i != values.rounds.size(); ++i)
    {
        auto const [value, base] = std::pair(values.rounds[i], baseline.rounds[i]);
        ratios.push_back(good == better::lower ? value / base : base / value);
    }
    std::sort(ratios.begin(), ratios.end());
    return {quantile(ratios, 0.5), ratios.front(), ratios.back()};
}

} // namespace

measured measure(figure const& what, measure_options const& options)
{
    measured result{.what = &what};
    side     own(what);
    if (what.baseline.empty())
    {
        for (int i = 0; i != options.rounds; ++i)
            own.take(options.budget / options.rounds);
        result.values = own.sum_up();
        return result;
    }
    result.baseline = find_figure(what.baseline);
    if (result.baseline == nullptr)
        throw std::logic_error(what.name + " is compared with " + what.baseline + ", which does not exist");
    side base(*result.baseline);
    for (int i = 0; i != options.rounds; ++i)
    {
        auto& earlier = i % 2 == 0 ? own : base;
        auto& later   = i % 2 == 0 ? base : own;
        earlier.take(options.budget / options.rounds / 2);
        later.take(options.budget / options.rounds / 2);
    }
    result.values          = own.sum_up();
    result.baseline_values = base.sum_up();
    result.ratio           = compare(result.values, *result.baseline_values, what.good);
    return result;
}

} // namespace atrium::bench
