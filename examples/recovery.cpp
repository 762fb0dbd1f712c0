// What a killed process had is given back by whoever notices, and a callback hears of it.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/segment.hpp>

#include <csignal>
#include <iostream>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

using value = atrium::guarded<long>;

int die() // the second process: with everything it has
{
    atrium::segment      segment(atrium::open_only, "recovery");
    atrium::pool<long>   numbers(atrium::open_only, segment, "numbers");
    atrium::named<value> total(atrium::open_only, segment, "total");

    std::vector<atrium::shared_ptr<long>> held;
    while (auto number = numbers.make(1L))
        held.push_back(*number);
    auto const access = total->lock(5s).value();
    *access           = 42;
    return kill(getpid(), SIGKILL);
}

void tell(atrium::recovery_report const& report)
{
    std::cout << "recovered for " << report.dead.size() << " process: " << report.references_released << " references, "
              << report.holds_released << " named objects\n";
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return die();

    atrium::segment      segment(atrium::create_only, "recovery");
    atrium::pool<long>   numbers(atrium::create_only, segment, "numbers", {.capacity = 10});
    atrium::named<value> total(atrium::create_only, segment, "total", 0L);
    auto const           told = segment.on_recovery(tell); // for as long as `told` lives

    pid_t second    = 0;
    char  role[]    = "die";
    char* started[] = {argv[0], role, nullptr};
    int   status    = 0;
    if (posix_spawn(&second, "/proc/self/exe", nullptr, nullptr, started, environ) != 0 ||
        waitpid(second, &status, 0) != second)
        return 1;

    std::cout << "in use: " << numbers.statistics().outstanding << " of " << numbers.capacity() << '\n';
    auto const access = total->lock_for_repair(5s).value(); // whoever waits for the dead recovers, without being asked
    std::cout << "in use: " << numbers.statistics().outstanding << " of " << numbers.capacity() << '\n';
    std::cout << "the total is " << (access.is_torn() ? "torn" : "whole") << '\n';
    return status == SIGKILL ? 0 : 1;
}
