#include "report.hpp"

#include "process.hpp"

#include <atrium/base/version.hpp>

#include <boost/json.hpp>
#include <boost/version.hpp>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <sys/utsname.h>
#include <thread>

namespace atrium::bench {

namespace json = boost::json;

namespace {

/// Whether this program was compiled in a way that makes its numbers worth reading.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool optimised = true;
#else
constexpr bool        optimised = false;
#endif

#ifdef __clang__
constexpr char const* compiler = "clang " __clang_version__;
#else
constexpr char const* compiler  = "g++ " __VERSION__;
#endif

std::string processor()
{
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("model name"))
            return line.substr(std::min(line.find(": "), line.size() - 2) + 2);
    return "unknown processor";
}

std::string kernel()
{
    utsname name{};
    return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown kernel";
}

/// The load of the last minute: above nothing else running, the numbers are noisy.
double load()
{
    double average = 0;
    std::ifstream("/proc/loadavg") >> average;
    return average;
}

/// Three significant digits, without exponents.
std::string text(double value)
{
    auto const digits = value == 0 ? 1 : static_cast<int>(std::floor(std::log10(std::abs(value)))) + 1;
    char       buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.*f", std::clamp(3 - digits, 0, 4), value);
    return buffer;
}

std::string range(double low, double high)
{
    return text(low) + ".." + text(high);
}

json::object to_json(distribution const& d)
{
    return {{"median", d.median},
            {"p10", d.p10},
            {"p90", d.p90},
            {"min", d.lowest},
            {"max", d.highest},
            {"repetitions", d.repetitions},
            {"rounds", json::value_from(d.rounds)}};
}

json::array pinned_to(int wanted)
{
    json::array list{cores().first};
    if (wanted > 1)
        list.push_back(cores().second);
    return list;
}

json::object to_json(measured const& m)
{
    json::object object = to_json(m.values);
    object["name"]      = m.what->name;
    object["unit"]      = m.what->unit;
    object["better"]    = m.what->good == better::lower ? "lower" : "higher";
    object["pinned_to"] = pinned_to(m.what->cores);
    if (m.baseline != nullptr)
    {
        json::object baseline = to_json(*m.baseline_values);
        baseline["name"]      = m.baseline->name;
        baseline["unit"]      = m.baseline->unit;
        object["baseline"]    = std::move(baseline);
        object["ratio"] =
            json::object{{"median", m.ratio->median}, {"min", m.ratio->lowest}, {"max", m.ratio->highest}};
    }
    return object;
}

} // namespace

void print_setting(measure_options const& options)
{
    std::printf("atrium %s, %s, %s%s\n", ATRIUM_VERSION, compiler, optimised ? "optimised" : "NOT OPTIMISED",
                optimised ? "" : ": these numbers say nothing");
    std::printf("%s, %u cores, %s, load %.2f\n", processor().c_str(), std::thread::hardware_concurrency(),
                kernel().c_str(), load());
    std::printf("pinned to core %d; a peer on a second core: ", cores().first);
    std::printf(cores().second < 0 ? "none allowed\n" : "core %d\n", cores().second);
    std::printf("%d rounds, %.2f s a figure; median of the rounds, 10th..90th percentile of all batches;\n"
                "ratio: times the baseline's cost (1 equal, less is better), median and range over the rounds\n\n",
                options.rounds, std::chrono::duration<double>(options.budget).count());
}

void print_table_head()
{
    std::printf("%-52s %8s %17s %-5s %11s %7s %13s  %s\n", "figure", "median", "p10..p90", "unit", "repetitions",
                "ratio", "range", "baseline (median)");
}

void print(measured const& m)
{
    std::printf("%-52s %8s %17s %-5s %11llu", m.what->name.c_str(), text(m.values.median).c_str(),
                range(m.values.p10, m.values.p90).c_str(), m.what->unit.c_str(),
                static_cast<unsigned long long>(m.values.repetitions));
    if (m.baseline != nullptr)
        std::printf(" %7s %13s  %s (%s %s)", text(m.ratio->median).c_str(),
                    range(m.ratio->lowest, m.ratio->highest).c_str(), m.baseline->name.c_str(),
                    text(m.baseline_values->median).c_str(), m.baseline->unit.c_str());
    std::printf("\n");
    std::fflush(stdout);
}

void print(missing const& m)
{
    std::printf("%-52s %s: %s\n", m.what->name.c_str(), m.failed ? "FAILED" : "skipped", m.why.c_str());
    std::fflush(stdout);
}

void print_list(std::vector<figure const*> const& figures)
{
    for (auto const* f : figures)
        std::printf("%-52s %-5s %s%s%s\n", f->name.c_str(), f->unit.c_str(), f->about.c_str(),
                    f->baseline.empty() ? "" : "; against ", f->baseline.c_str());
}

void write_json(std::string const& path, measure_options const& options, std::vector<measured> const& results,
                std::vector<missing> const& not_measured)
{
    json::array figures;
    for (auto const& m : results)
        figures.push_back(to_json(m));
    json::array missing_figures;
    for (auto const& m : not_measured)
        missing_figures.push_back({{"name", m.what->name}, {"failed", m.failed}, {"why", m.why}});
    json::object const all{
        {"program", "atrium_bench"},
        {"version", ATRIUM_VERSION},
        {"compiler", compiler},
        {"optimised", optimised},
        {"boost", BOOST_LIB_VERSION},
        {"processor", processor()},
        {"processor_cores", std::thread::hardware_concurrency()},
        {"kernel", kernel()},
        {"load", load()},
        {"pinned_to", pinned_to(cores().second < 0 ? 1 : 2)},
        {"rounds", options.rounds},
        {"seconds", std::chrono::duration<double>(options.budget).count()},
        {"ratio_means", "times the baseline's cost: 1 is equal, less is better"},
        {"figures", std::move(figures)},
        {"missing", std::move(missing_figures)},
    };
    std::ofstream file(path);
    file << json::serialize(all) << '\n';
    if (!file.flush())
        throw std::runtime_error("cannot write " + path);
}

} // namespace atrium::bench
