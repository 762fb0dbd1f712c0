/// \file
/// What the victims of the crash tests do; each counts its crash points from arm() on.
#pragma once

#include "segment/segment_file.hpp"
#include "support/child.hpp"

#include <atrium/segment/segment.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace atrium::test {

/// Few places, so that a lost one is missed at once.
inline segment_options few_places(bool flat = false)
{
    using namespace std::chrono_literals;
    return {.size           = 64u << 10,
            .maximum_size   = 4u << 20,
            .participants   = 4,
            .lanes          = 4,
            .named_objects  = 4,
            .detection_time = 5ms,
            .flat           = flat};
}

/// How many lanes threads of this process can have at the same time, of `wanted`.
inline std::size_t lanes_to_be_had(segment const& in, std::size_t wanted)
{
    std::latch               all(static_cast<std::ptrdiff_t>(wanted));
    std::atomic<std::size_t> got{0};
    std::vector<std::thread> threads;
    for (std::size_t n = 0; n < wanted; ++n)
        threads.emplace_back([&] {
            got += in.attached()->lane() ? 1u : 0u;
            all.arrive_and_wait();
        });
    for (std::thread& thread : threads)
        thread.join();
    return got;
}

ATRIUM_TEST_ROLE(create_and_leave)
{
    auto places = few_places();
    places.keep = arguments.size() > 1;
    arm();
    segment const s(create_only, arguments.at(0), places);
    return 0;
}

ATRIUM_TEST_ROLE(open_and_leave)
{
    arm();
    segment const s(open_only, arguments.at(0));
    return 0;
}

ATRIUM_TEST_ROLE(open_or_create_and_leave)
{
    arm();
    segment const s(open_or_create, arguments.at(0), few_places());
    return 0;
}

ATRIUM_TEST_ROLE(remover)
{
    arm();
    static_cast<void>(segment::remove(arguments.at(0), arguments.at(1) == "force"));
    return 0;
}

ATRIUM_TEST_ROLE(grower)
{
    segment s(open_only, arguments.at(0));
    arm();
    require(s.grow_flat_memory(std::stoul(arguments.at(1))).has_value());
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(closer)
{
    segment s(open_only, arguments.at(0));
    arm();
    static_cast<void>(s.request_close(std::chrono::milliseconds(1)));
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(lane_user)
{
    segment const s(open_only, arguments.at(0));
    arm();
    require(lanes_to_be_had(s, 3) == 3);
    disarm();
    return 0;
}

// To be killed with lanes in its hands.
ATRIUM_TEST_ROLE(lane_holder)
{
    segment const s(open_only, arguments.at(0));
    require(s.attached()->lane().has_value());
    std::thread other([&] {
        require(s.attached()->lane().has_value());
        say("attached");
        static_cast<void>(hear());
    });
    other.join();
    return 0;
}

ATRIUM_TEST_ROLE(first_user)
{
    segment const s(create_only, arguments.at(0), few_places());
    say("attached");
    static_cast<void>(hear());
    return 0;
}

ATRIUM_TEST_ROLE(recoverer)
{
    segment s(open_only, arguments.at(0));
    say("attached");
    static_cast<void>(hear());
    arm();
    static_cast<void>(s.recover(std::chrono::seconds(5)));
    disarm();
    return 0;
}

/// A child that has attached in this role, and holds what the role holds.
inline child attached_child(std::string const& role, std::string const& name, child_options const& options = {})
{
    child c(role, {name}, options);
    c.wait_for_line("attached", std::chrono::seconds(10));
    return c;
}

/// Leaves a dead participant with two lanes behind.
inline void leave_a_dead_one(std::string const& name)
{
    attached_child("lane_holder", name).kill();
}

} // namespace atrium::test
