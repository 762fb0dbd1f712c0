/// \file
/// Runs the program `atrium` as a user does, and keeps what it said.
#pragma once

#include "support/descriptor.hpp"
#include "support/role.hpp"

#include <atrium/base/name.hpp>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <array>
#include <cstdio>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace atrium::test {

/// What a run came to.
struct tool_run
{
    int         status = -1; ///< exit code; as a shell has it, 128 and more: killed, 124: did not come to an end
    std::string out;
    std::string err;

    [[nodiscard]] bool says(std::string_view text) const { return out.find(text) != std::string::npos; }
    [[nodiscard]] bool complains(std::string_view text) const { return err.find(text) != std::string::npos; }

    /// The document it printed. Throws where that is none.
    [[nodiscard]] boost::json::value json() const { return boost::json::parse(out); }

    friend std::ostream& operator<<(std::ostream& to, tool_run const& run)
    {
        return to << "status " << run.status << "\n" << run.out << "---\n" << run.err;
    }
};

inline std::string read_all(std::FILE* from)
{
    std::string            all;
    std::array<char, 4096> part = {};
    for (std::size_t n = 0; (n = std::fread(part.data(), 1, part.size(), from)) != 0;)
        all.append(part.data(), n);
    return all;
}

/// Runs it with these arguments, none of which has a quote in it. \param redirect  appended to the command
[[nodiscard]] inline tool_run run_tool(std::vector<std::string> const& given, std::string const& redirect = {})
{
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const errors(std::tmpfile(), &std::fclose);
    require(errors != nullptr, "a temporary file");
    std::string command = "timeout -k 5 60 '" ATRIUM_TOOL_PROGRAM "'";
    for (std::string const& argument : given)
        command += " '" + argument + "'";
    command += " 2>/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(::fileno(errors.get()));

    tool_run         run;
    std::FILE* const pipe = ::popen((command + redirect).c_str(), "r");
    require(pipe != nullptr, "a shell");
    run.out         = read_all(pipe);
    int const ended = ::pclose(pipe);
    run.status      = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    run.err         = read_all(errors.get());
    return run;
}

/// The same under the domain of this test only: what others have is none of our business.
[[nodiscard]] inline tool_run run_here(std::vector<std::string> arguments)
{
    arguments.insert(arguments.end(), {"--domain", default_domain()});
    return run_tool(arguments);
}

/// The entry of a segment in the document of list or clean; null where there is none.
[[nodiscard]] inline boost::json::value entry(boost::json::value const& document, std::string const& name)
{
    for (auto const& one : document.at("segments").as_array())
    {
        if (one.at("name").as_string() == name)
            return one;
    }
    return nullptr;
}

[[nodiscard]] inline std::string text(boost::json::value const& of)
{
    return std::string(of.as_string());
}

} // namespace atrium::test
