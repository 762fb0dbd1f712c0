#include "tool/command.hpp"

#include "tool/failure.hpp"
#include "tool/text.hpp"

#include <atrium/base/name.hpp>
#include <atrium/base/version.hpp>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/value_semantic.hpp>

#include <algorithm>
#include <array>
#include <sstream>

namespace atrium::tool {

namespace po = boost::program_options;

namespace {

constexpr std::array all = {&list_command, &show_command, &top_command, &recover_command, &clean_command};

constexpr char const* exit_codes = "Exit status:\n"
                                   "  0  done\n"
                                   "  1  done, and there is something to look at: a dead participant, a segment that\n"
                                   "     nobody alive uses and that was not to be kept, a file that is no segment\n"
                                   "  2  the command line was not understood\n"
                                   "  3  there is no such segment\n"
                                   "  4  it could not be done; standard error says what failed and why\n";

po::options_description options_of(command const& about)
{
    po::options_description options("Options", 100);
    auto const* domain = about.takes == operands::none ? "only segments of this domain; default: of all domains"
                                                       : "the segment's domain; default: $ATRIUM_DOMAIN, or 'default'";
    if (about.takes == operands::names)
        domain = "the segments' domain; default: with names $ATRIUM_DOMAIN, or 'default', else all domains";
    if (about.add_options != nullptr)
        about.add_options(options.add_options());
    options.add_options()                                                //
        ("domain", po::value<std::string>()->value_name("NAME"), domain) //
        ("json", po::bool_switch(), "print one JSON document")           //
        ("help,h", po::bool_switch(), "show this, and do nothing");
    return options;
}

// The command and what it is given.
std::string shown(command const& about)
{
    char const* const names = about.takes == operands::none   ? ""
                              : about.takes == operands::name ? " NAME"
                                                              : " [NAME...]";
    return std::string(about.name) + names;
}

[[noreturn]] void misused(std::string const& what, std::string const& about)
{
    throw failure(exit_code::usage, what, "`atrium " + about + "--help` shows what there is.");
}

command const& command_named(std::string const& name)
{
    auto const found = std::find_if(all.begin(), all.end(), [&](command const* c) { return c->name == name; });
    if (found == all.end())
        misused("there is no command '" + printable(name) + "'", "");
    return **found;
}

po::variables_map parse_options(command const& about, std::vector<std::string> const& arguments)
{
    po::options_description everything = options_of(about);
    everything.add_options()("names", po::value<std::vector<std::string>>());
    po::positional_options_description positions;
    positions.add("names", -1);
    // Without guessing: what is an abbreviation today may be ambiguous tomorrow.
    int const style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;

    po::variables_map values;
    po::store(po::command_line_parser(arguments).options(everything).positional(positions).style(style).run(), values);
    po::notify(values);
    return values;
}

request request_from(command const& about, po::variables_map values)
{
    request asked;
    asked.json = values["json"].as<bool>();
    if (values.count("domain") != 0)
        asked.domain = values["domain"].as<std::string>();
    if (values.count("domain") != 0 && !check_domain(asked.domain))
        throw bad_domain(asked.domain);
    auto const names =
        values.count("names") != 0 ? values["names"].as<std::vector<std::string>>() : std::vector<std::string>();
    std::string const prefix = std::string(about.name) + ' ';
    if (about.takes == operands::name && names.empty())
        misused(std::string(about.name) + " needs the name of a segment", prefix);
    if (about.takes != operands::names && names.size() > (about.takes == operands::name ? 1u : 0u))
        misused("'" + printable(names.back()) + "' is one argument too many", prefix);
    asked.names = names;
    asked.own   = std::move(values);
    return asked;
}

} // namespace

std::span<command const* const> all_commands() noexcept
{
    return all;
}

std::string help()
{
    std::ostringstream text;
    text << "atrium looks at the shared memory segments of this machine, and after them.\n\n"
            "Usage: atrium COMMAND [OPTION...]\n\nCommands:\n";
    for (command const* c : all)
    {
        std::string const what = shown(*c);
        text << "  " << what << std::string(15 - what.size(), ' ') << c->summary << '\n';
    }
    text << "\nOptions:\n"
            "  --help         show this, or after a command what that command does\n"
            "  --version      show the version\n\n"
         << exit_codes;
    return text.str();
}

std::string help(command const& about)
{
    std::ostringstream text;
    text << "Usage: atrium " << shown(about) << " [OPTION...]\n\n" << about.help << '\n' << options_of(about) << '\n';
    text << "JSON:\n" << about.json << '\n' << exit_codes;
    return text.str();
}

command_line parse(std::vector<std::string> const& arguments)
{
    command_line line;
    if (arguments.empty())
        misused("no command was given", "");
    std::string const& first = arguments.front();
    if (first == "--help" || first == "-h")
        line.text = help();
    else if (first == "--version")
        line.text = "atrium " ATRIUM_VERSION "\n";
    else if (first.starts_with('-'))
        misused("'" + printable(first) + "' is no option, or has to come after a command", "");
    if (!line.text.empty())
        return line;

    command const& wanted = command_named(first);
    try
    {
        auto values = parse_options(wanted, {arguments.begin() + 1, arguments.end()});
        if (values["help"].as<bool>())
            line.text = help(wanted);
        else
            line.asked = request_from(wanted, std::move(values));
    }
    catch (po::error const& e)
    {
        misused(printable(e.what()), std::string(wanted.name) + ' ');
    }
    line.run = &wanted;
    return line;
}

} // namespace atrium::tool
