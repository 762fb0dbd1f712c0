// A vector of strings that two processes fill.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/segment/segment.hpp>

#include <iostream>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using lines = atrium::guarded<atrium::vector<atrium::string>>;

int add_lines() // the second process
{
    atrium::segment      segment(atrium::open_only, "shared-strings");
    atrium::named<lines> poem(atrium::open_only, segment, "poem");
    auto                 access = poem->lock(5s);
    if (!access)
        return 1;
    (*access)->emplace_back("a second process came to see,");
    (*access)->emplace_back("and what they wrote was one for both.");
    return 0;
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return add_lines();

    atrium::segment      segment(atrium::create_only, "shared-strings");
    atrium::named<lines> poem(atrium::create_only, segment, "poem");
    if (auto access = poem->lock(5s))
        (*access)->emplace_back("One process made a vector here,");

    pid_t second    = 0;
    char  role[]    = "add_lines";
    char* started[] = {argv[0], role, nullptr};
    int   status    = 0;
    if (posix_spawn(&second, "/proc/self/exe", nullptr, nullptr, started, environ) != 0 ||
        waitpid(second, &status, 0) != second || status != 0)
        return 1;

    auto access = poem->lock(5s);
    if (!access)
        return 1;
    for (auto const& line : **access)
        std::cout << line << '\n';
    return 0;
}
