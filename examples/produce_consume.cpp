// A producer and a consumer, two processes that may be started in either order: whoever comes first waits for the other.
#include <atrium/memory/named.hpp>
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <iostream>
#include <string>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

struct reading
{
    int    number;
    double value;
};

struct place // where they meet
{
    static constexpr bool is_shareable = true;

    atrium::doorbell subscribed; // the consumer has
    atrium::doorbell waiting;    // the first one is
};

constexpr int all = 1000;

int produce()
{
    atrium::segment         segment(atrium::open_or_create, "produce-consume");
    atrium::named<place>    meeting(atrium::open_or_create, segment, "meeting");
    atrium::pool<reading>   readings(atrium::open_or_create, segment, "readings");
    atrium::router<reading> router(atrium::open_or_create, segment, "router");
    for (int n = 0; n != all;)
    {
        auto const seen = meeting->subscribed.look();
        auto const sent = router.send(readings.make(reading{n, n / 8.0}).value(), 5s);
        if (sent && sent->delivered() == 1)
            ++n;
        else if (sent.error() == atrium::errc::no_receivers)
        {
            meeting->waiting.ring();
            meeting->subscribed.wait(seen, 5s).value();
        }
        else
            return 1;
    }
    router.close(); // the consumer gets what is left, and then `closed`
    return 0;
}

int consume()
{
    atrium::segment         segment(atrium::open_or_create, "produce-consume");
    atrium::named<place>    meeting(atrium::open_or_create, segment, "meeting");
    atrium::router<reading> router(atrium::open_or_create, segment, "router");
    auto                    pipe = router.subscribe({.capacity = 16});
    meeting->subscribed.ring();
    meeting->waiting.ring();
    int    count = 0;
    double sum   = 0;
    for (;;)
    {
        auto const next = pipe.receive(5s);
        if (!next)
        {
            std::cout << count << " readings came, their sum is " << sum << ", then: " << next.error().message()
                      << '\n';
            return next.error() == atrium::errc::closed ? 0 : 1;
        }
        if ((*next)->number != count++)
            return 1;
        sum += (*next)->value;
    }
}

pid_t start(char const* name, std::string role)
{
    std::string program   = name;
    pid_t       child     = 0;
    char*       started[] = {program.data(), role.data(), nullptr};
    return posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, started, environ) == 0 ? child : 0;
}

bool has_succeeded(pid_t child)
{
    int status = 0;
    return child != 0 && waitpid(child, &status, 0) == child && status == 0;
}

bool meet(char const* name, char const* first, char const* second)
{
    atrium::segment      segment(atrium::open_or_create, "produce-consume");
    atrium::named<place> meeting(atrium::open_or_create, segment, "meeting");
    auto const           seen  = meeting->waiting.look();
    pid_t const          early = start(name, first);
    if (!meeting->waiting.wait(seen, 5s))
        return false;
    std::cout << first << " is there, and waits; now comes " << second << std::endl;
    pid_t const late = start(name, second);
    return has_succeeded(early) && has_succeeded(late);
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return argv[1] == std::string("produce") ? produce() : consume();
    return meet(argv[0], "produce", "consume") && meet(argv[0], "consume", "produce") ? 0 : 1;
}
