/// \file
/// The program `atrium`: looks at the segments of this machine, and after them.
#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/failure.hpp"

#include <boost/json/serialize.hpp>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

using namespace atrium::tool;

void tell(failure const& f, command_line const& line)
{
    std::string const who = line.run != nullptr ? std::string("atrium ") + line.run->name : "atrium";
    std::cerr << who << ": " << f.what() << ".\n";
    if (!f.advice().empty())
        std::cerr << f.advice() << '\n';
    if (line.asked.json) // whoever reads the document finds one, whatever happens
        std::cout << boost::json::object{{"error", to_json(f.code(), f.what())}} << '\n';
}

// A full disk behind standard output is a failure, not a success with something missing.
exit_code finish(exit_code status)
{
    if (std::cout.flush())
        return status;
    std::cerr << "atrium: cannot write to standard output.\n";
    return exit_code::failed;
}

exit_code run(std::vector<std::string> const& arguments)
{
    command_line line;
    try
    {
        line = parse(arguments);
        if (line.text.empty())
            return line.run->run(line.asked);
        std::cout << line.text;
        return exit_code::done;
    }
    catch (failure const& f)
    {
        tell(f, line);
        return f.status();
    }
    catch (std::exception const& e)
    {
        tell(failure(exit_code::failed, e.what(), {}, atrium::errc::system_failure), line);
        return exit_code::failed;
    }
}

} // namespace

int main(int argc, char** argv)
{
    return static_cast<int>(finish(run({argv + 1, argv + argc})));
}
