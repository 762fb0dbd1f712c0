// A pool that makes a larger one when it is used up; other processes follow by themselves.
#include <atrium/pool/growing_pool.hpp>
#include <atrium/segment/segment.hpp>

#include <iostream>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

struct job
{
    int number;
};

using job_pool = atrium::growing_pool<job>;

int follow() // the second process
{
    atrium::segment segment(atrium::open_only, "growing-pool");
    job_pool        jobs(atrium::open_only, segment, "jobs");
    auto const      made = jobs.make(7);
    std::cout << "the second process makes job " << (*made)->number << " in generation " << jobs.generation()
              << std::endl;
    return 0;
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return follow();

    atrium::segment segment(atrium::create_only, "growing-pool");
    job_pool        jobs(atrium::create_only, segment, "jobs", {.capacity = 4, .factor = 2, .generations = 4});

    std::vector<atrium::shared_ptr<job>> waiting;
    std::uint32_t                        generation = 0;
    while (auto made = jobs.make(static_cast<int>(waiting.size())))
    {
        waiting.push_back(*made);
        if (jobs.generation() == generation)
            continue;
        generation = jobs.generation();
        std::cout << "job " << waiting.size() << " is in generation " << generation << ", of "
                  << jobs.statistics().capacity << '\n';
    }
    std::cout << "after " << waiting.size() << " jobs the last one is exhausted" << std::endl;

    waiting.resize(20); // what was made in the first two generations stays where it is, and these stay for it
    pid_t second    = 0;
    char  role[]    = "follow";
    char* started[] = {argv[0], role, nullptr};
    int   status    = 0;
    if (posix_spawn(&second, "/proc/self/exe", nullptr, nullptr, started, environ) != 0 ||
        waitpid(second, &status, 0) != second)
        return 1;
    std::cout << "still there: jobs " << waiting.front()->number << " to " << waiting.back()->number << '\n';
    return status;
}
