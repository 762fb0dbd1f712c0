// A map that stays when nobody uses it: one process fills it and ends, the next one finds it.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/map.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/segment/segment.hpp>

#include <iostream>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using table = atrium::guarded<atrium::map<atrium::string, int>>;

int count_a_visit() // what each of the processes does
{
    atrium::segment      segment(atrium::open_or_create, "kept-map", {.keep = true});
    atrium::named<table> visits(atrium::open_or_create, segment, "visits", atrium::named_options{.keep = true});
    auto                 access = visits->lock(5s);
    if (!access)
        return 1;
    auto& counts = **access;
    ++counts["visits"];
    ++counts[visits.created() ? "made" : "found"];
    for (auto const& [what, count] : counts)
        std::cout << what << ": " << count << '\n';
    return 0;
}

bool run_myself(char* name)
{
    pid_t child     = 0;
    char  role[]    = "count_a_visit";
    char* started[] = {name, role, nullptr};
    int   status    = 0;
    return posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, started, environ) == 0 &&
           waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return count_a_visit();

    for (int visit = 1; visit <= 2; ++visit) // in between, nobody has the segment
    {
        if (!run_myself(argv[0]))
            return 1;
    }
    auto const removed = atrium::segment::remove("kept-map");
    std::cout << (removed ? "removed" : removed.error().message()) << '\n';
    return removed ? 0 : 1;
}
