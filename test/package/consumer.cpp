#include <atrium/base/version.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <unistd.h>

// A user's first program: makes a segment, opens it a second time by its name, and leaves.
int main()
try
{
    std::string const     name = "consumer-" + std::to_string(::getpid());
    atrium::segment const made(atrium::create_only, name);
    atrium::segment const opened(atrium::open_only, name);
    if (made.creation_id() != opened.creation_id())
        return EXIT_FAILURE;
    std::cout << "atrium " << ATRIUM_VERSION << ": segment of " << opened.size() << " bytes\n";
}
catch (std::exception const& e)
{
    std::cerr << e.what() << '\n';
    return EXIT_FAILURE;
}
