/// \file
/// The program `atrium_bench`: measures the figures asked for, each beside its baseline.
#include "measure.hpp"
#include "process.hpp"
#include "report.hpp"

#include <boost/program_options.hpp>
#include <boost/regex.hpp>

#include <exception>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <thread>

namespace {

namespace po = boost::program_options;
using namespace atrium::bench;

struct arguments
{
    bool            list  = false;
    bool            help  = false;
    bool            peers = false;
    std::string     filter{};
    std::string     json{};
    measure_options options{};
};

/// What the command line says; prints the help if it was asked for.
arguments parse(int argc, char** argv)
{
    arguments               parsed;
    double                  seconds = std::chrono::duration<double>(parsed.options.budget).count();
    po::options_description description(
        "atrium_bench measures the machine's limits, and atrium beside them.\n\nOptions");
    auto const number = [](auto& into, char const* shown) { return po::value(&into)->value_name(shown); };
    description.add_options()                                                                         //
        ("help,h", po::bool_switch(&parsed.help), "show this, and end")                               //
        ("list,l", po::bool_switch(&parsed.list), "name the figures, and end")                        //
        ("peers,p", po::bool_switch(&parsed.peers), "also other libraries: see test/bench/peers.cpp") //
        ("filter,f", number(parsed.filter, "REGEX"), "only figures with REGEX found in their name")   //
        ("json,j", number(parsed.json, "FILE"), "also write the results to FILE")                     //
        ("rounds,r", number(parsed.options.rounds, "N")->default_value(parsed.options.rounds),
         "rounds of a figure and of its baseline, in turn") //
        ("seconds,s", number(seconds, "S")->default_value(seconds), "time for all rounds of a figure and its baseline");
    po::variables_map values;
    po::store(po::parse_command_line(argc, argv, description), values);
    po::notify(values);
    if (parsed.options.rounds < 1 || parsed.options.rounds > 10'000)
        throw po::error("--rounds takes 1 to 10000");
    if (!(seconds >= 0 && seconds <= 86'400))
        throw po::error("--seconds takes 0 to 86400");
    parsed.options.budget = std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
    if (parsed.help)
        std::cout << description
                  << "\nThe exit status is 0 if all was measured, 1 if something failed, 2 for bad arguments.\n";
    return parsed;
}

std::vector<figure const*> chosen(arguments const& parsed)
{
    boost::regex const         pattern(parsed.filter);
    std::vector<figure const*> figures;
    for (auto const& f : all_figures())
        if ((parsed.peers || !f.of_peer) && boost::regex_search(f.name, pattern))
            figures.push_back(&f);
    return figures;
}

int run(arguments const& parsed, std::vector<figure const*> const& figures)
{
    if (!parsed.json.empty() && !std::ofstream(parsed.json, std::ios::app))
        throw std::runtime_error("cannot write " + parsed.json);
    // A program that never had a second thread is spared locked instructions and locks by the C++ and the C
    // library. No program worth comparing with is one, so this one has had a thread.
    std::thread([] {}).join();
    pin_to(cores().first);
    watchdog const guard;
    print_setting(parsed.options);
    print_table_head();
    std::vector<measured> results;
    std::vector<missing>  not_measured;
    bool                  failed = false;
    for (auto const* f : figures)
    {
        try
        {
            if (f->cores <= 1 || cores().second >= 0)
            {
                results.push_back(measure(*f, parsed.options));
                print(results.back());
                continue;
            }
            not_measured.push_back({.what = f, .why = "needs two cores"});
        }
        catch (std::exception const& failure)
        {
            not_measured.push_back({.what = f, .why = failure.what(), .failed = true});
            failed = true;
        }
        print(not_measured.back());
    }
    if (!parsed.json.empty())
        write_json(parsed.json, parsed.options, results, not_measured);
    return failed ? 1 : 0;
}

} // namespace

int main(int argc, char** argv)
{
    int status_of_failure = 2;
    try
    {
        auto const parsed = parse(argc, argv);
        if (parsed.help)
            return 0;
        auto const figures = chosen(parsed);
        if (figures.empty())
            throw po::error("no figure's name contains " + parsed.filter);
        status_of_failure = 1;
        if (!parsed.list)
            return run(parsed, figures);
        print_list(figures);
        return 0;
    }
    catch (std::exception const& failure)
    {
        std::cerr << "atrium_bench: " << failure.what() << '\n';
        return status_of_failure;
    }
}
