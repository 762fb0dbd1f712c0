// Waiting on a doorbell: until a deadline, until it is rung, until the one who should ring is dead.
#include <atrium/memory/named.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <csignal>
#include <iostream>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

struct door
{
    static constexpr bool is_shareable = true; // no pointers, nothing virtual

    atrium::doorbell              bell;
    atrium::atomic<std::uint64_t> visitor{0}; // a participant, as a word
};

void tell(char const* what, atrium::result<> const& rung)
{
    std::cout << what << ": " << (rung ? "it was rung" : rung.error().message()) << '\n';
}

int ring_once() // the second process: rings, and stays at the door until it is killed
{
    atrium::segment     segment(atrium::open_only, "doorbell");
    atrium::named<door> house(atrium::open_only, segment, "house");
    house->visitor.store(segment.self().word(), std::memory_order_relaxed);
    house->bell.ring();
    return static_cast<int>(sleep(60));
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return ring_once();

    atrium::segment     segment(atrium::create_only, "doorbell");
    atrium::named<door> house(atrium::create_only, segment, "house");
    auto                seen = house->bell.look();
    tell("nobody there", house->bell.wait(seen, 10ms));

    pid_t visitor   = 0;
    char  role[]    = "ring_once";
    char* started[] = {argv[0], role, nullptr};
    if (posix_spawn(&visitor, "/proc/self/exe", nullptr, nullptr, started, environ) != 0)
        return 1;
    tell("a visitor   ", house->bell.wait(seen, 20s));

    auto const peer = atrium::participant_id::from_word(house->visitor.load(std::memory_order_relaxed));
    seen            = house->bell.look();
    kill(visitor, SIGKILL);
    tell("it is killed", house->bell.wait(seen, 20s, {.peer = peer}));
    return waitpid(visitor, nullptr, 0) == visitor ? 0 : 1;
}
