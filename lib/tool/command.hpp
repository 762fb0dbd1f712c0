/// \file
/// The tool's commands: one file each, one table of all.
#pragma once

#include "tool/exit_code.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>

#include <span>
#include <string>
#include <vector>

namespace atrium::tool {

/// What the user asked a command for.
struct request
{
    std::vector<std::string> names;        ///< of segments, as many as the command takes
    std::string              domain;       ///< empty: not given
    bool                     json = false; ///< one JSON document on standard output, instead of text for people

    boost::program_options::variables_map own; ///< the command's own options
};

/// How many names of segments a command takes.
enum class operands
{
    none = 1,
    name,
    names, ///< as many as are given, also none
};

/// One command.
struct command
{
    char const* name;
    operands    takes;
    char const* summary; ///< one line of the general help
    char const* help;    ///< what its own help says above the options
    char const* json;    ///< what its own help says about the JSON document
    void (*add_options)(boost::program_options::options_description_easy_init options); ///< null: none of its own

    /// Does it, and prints to std::cout. Throws `failure`.
    exit_code (*run)(request const&);
};

extern command const list_command;
extern command const show_command;
extern command const top_command;
extern command const recover_command;
extern command const clean_command;

/// All, in the order of the help.
[[nodiscard]] std::span<command const* const> all_commands() noexcept;

/// The general help, and a command's.
[[nodiscard]] std::string help();
[[nodiscard]] std::string help(command const& about);

/// A command line, understood.
struct command_line
{
    command const* run = nullptr;
    request        asked;
    std::string    text; ///< what was asked for is this text, a help or the version, and nothing is run
};

/// \param arguments  without the program's name
/// Throws `failure` with `exit_code::usage`.
[[nodiscard]] command_line parse(std::vector<std::string> const& arguments);

} // namespace atrium::tool
