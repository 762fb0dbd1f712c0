/// \file
/// Processes that sleep until another does something for them, and those others.
#pragma once

#include "pipe/pipe_roles.hpp"

#include <string>
#include <unistd.h>

namespace atrium::test {

/// A child in `role` that sleeps at a bell by now.
[[nodiscard]] inline child sleeping_child(std::string const& role, arguments const& given)
{
    child c(role, given);
    require(eventually([&] { return c.sleeps_at("doorbell.wait.before_sleep") || c.wait(0s).ended(); }, 60s),
            "a child has gone to sleep");
    return c;
}

// ---- who sleeps ----------------------------------------------------------------------------------------------------

// Waits for something in the pipe of that name, and says that it has come.
ATRIUM_TEST_ROLE(sleeping_receiver)
{
    pipe_station at(arguments.at(0));
    auto         p = at.r.subscribe(open_only, arguments.at(1));
    arm();
    auto const one = p.receive(60s, wait_policy::frugal()).value();
    disarm();
    require(one->is_whole());
    say("received");
    return 0;
}

// Fills a pipe that has room for two, waits for more room, and says what became of it.
ATRIUM_TEST_ROLE(sleeping_sender)
{
    pipe_station at(arguments.at(0));
    for (std::uint64_t n = 1; n != 3; ++n)
        require(at.r.send(at.items.make(n).value(), 10s).value().refused() == 0);
    arm();
    auto const sent = at.r.send(at.items.make(3u).value(), 60s, wait_policy::frugal()).value();
    disarm();
    for (refusal const& r : sent.refusals())
        require(r.why == errc::closed);
    say(sent.refused() == 0 ? "delivered" : "refused");
    return 0;
}

// ---- who does something for them, once it is told ------------------------------------------------------------------

ATRIUM_TEST_ROLE(waking_sender)
{
    pipe_station at(arguments.at(0));
    require(at.r.send(at.items.make(1u).value(), 10s).value().delivered() != 0); // with all that a sender needs
    auto one = at.items.make(2u).value();
    be_ready_until_told();
    arm();
    require(at.r.send(std::move(one), 10s).value().delivered() != 0);
    disarm();
    return 0;
}

// Takes one, which it notes; with all that a receiver needs.
ATRIUM_TEST_ROLE(waking_receiver)
{
    pipe_station at(arguments.at(0));
    auto         p = at.r.subscribe(open_only, arguments.at(1));
    require(p.receive(10s).has_value());
    be_ready_until_told();
    arm();
    at.book->seen[next_of_victims(p)].fetch_add(1);
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(waking_closer)
{
    pipe_station at(arguments.at(0));
    auto         p = at.r.subscribe(open_only, arguments.at(1));
    be_ready_until_told();
    arm();
    p.close();
    disarm();
    return 0;
}

// Gives up a pipe that nobody else has. "abruptly": ends without leaving, which would wait for a heap that is not to be had.
ATRIUM_TEST_ROLE(waking_leaver)
{
    pipe_station at(arguments.at(0));
    auto         p = std::optional(at.r.subscribe({.capacity = 2}));
    be_ready_until_told();
    arm();
    p.reset();
    disarm();
    if (arguments.back() == "abruptly")
        ::_exit(0);
    return 0;
}

} // namespace atrium::test
