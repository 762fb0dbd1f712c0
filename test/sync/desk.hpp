/// \file
/// What the tests of mutex and doorbell share: both in the raw memory of a flat segment.
#pragma once

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"

#include <atrium/sync/doorbell.hpp>
#include <atrium/sync/recoverable_mutex.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <new>
#include <string>

namespace atrium::test {

using namespace std::chrono_literals;

/// Bytes that several processes use.
struct desk
{
    recoverable_mutex     mutex;
    std::uint64_t         guarded = 0; ///< changed under the mutex only
    doorbell              bell;
    doorbell              back;
    atomic<std::uint64_t> said{0};
    atomic<std::uint64_t> answered{0};
    atomic<std::uint64_t> deaths{0}; ///< how often somebody heard `owner_died`
};

inline segment_options flat_segment(std::chrono::milliseconds detection = 5ms)
{
    return {.size           = 32u << 10,
            .maximum_size   = 32u << 10,
            .participants   = 8,
            .lanes          = 8,
            .detection_time = detection,
            .flat           = true};
}

/// The desk of a segment, which somebody has made.
inline desk& desk_in(segment const& in)
{
    return *reinterpret_cast<desk*>(in.flat_memory().value().data());
}

/// A segment with a fresh desk.
struct with_desk
{
    explicit with_desk(segment_options const& options = flat_segment())
        : s(create_only, unique_name("desk"), options), d(*new (s.flat_memory().value().data()) desk)
    {}

    segment s;
    desk&   d;
};

/// A child that has said "ready".
inline child ready_child(std::string const& role, arguments const& given, child_options const& options = {})
{
    child c(role, given, options);
    c.wait_for_line("ready", 30s);
    return c;
}

/// Lets a ready child end, and checks that it ends well.
inline void let_end(child& c)
{
    c.close_input();
    BOOST_TEST(c.wait(30s) == exited(0));
}

// Holds the mutex until it is told to end, or killed.
ATRIUM_TEST_ROLE(owner)
{
    segment const s(open_only, arguments.at(0));
    auto const    held = desk_in(s).mutex.lock(30s).value();
    say("ready");
    static_cast<void>(hear());
    return 0;
}

// Is there.
ATRIUM_TEST_ROLE(bystander)
{
    segment const s(open_only, arguments.at(0));
    say("ready");
    static_cast<void>(hear());
    return 0;
}

} // namespace atrium::test
