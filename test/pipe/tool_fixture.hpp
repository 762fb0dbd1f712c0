/// \file
/// A segment with a router and pipes to look at, and another process that sends.
#pragma once

#include "segment/tool_program.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace atrium::test {

using namespace std::chrono_literals;

using number = std::uint64_t;

inline segment_options looked_at()
{
    return {.size = 128u << 10, .maximum_size = 4u << 20, .participants = 16, .lanes = 16, .named_objects = 16};
}

// Sends five numbers, and then, unless it is to send only those, one after the other until it is told to end.
ATRIUM_TEST_ROLE(sender)
{
    constexpr number at_first = 5;
    segment const    in(open_only, arguments.at(0));
    pool<number>     numbers(open_only, in, "numbers");
    router<number>   to(open_only, in, "frames");
    number           next = 0;
    for (; next < at_first; ++next)
        require(to.try_send(numbers.make(next).value()).has_value());
    say("ready");
    if (arguments.size() > 1)
        return hear().has_value() ? 1 : 0;
    for (; !told_to_end(); std::this_thread::sleep_for(1ms))
    {
        if (auto made = numbers.make(next++))
            static_cast<void>(to.try_send(std::move(*made)));
    }
    return 0;
}

/// Runs the program in the place of this process.
inline void exec_tool(arguments given)
{
    given.insert(given.begin(), ATRIUM_TOOL_PROGRAM);
    std::vector<char*> all;
    for (std::string& argument : given)
        all.push_back(argument.data());
    all.push_back(nullptr);
    ::execv(all.front(), all.data());
}

/// A router with two pipes: one drops the oldest of four, the other refuses more than four.
struct scene
{
    segment        in{create_only, unique_name("routers"), looked_at()};
    pool<number>   numbers{create_only, in, "numbers", {.capacity = 100}};
    router<number> frames{create_only, in, "frames", {.pipes = 4, .ordered_senders = 2, .history = 3}};

    atrium::pipe<number> workers =
        frames.subscribe(create_only, "workers", {.capacity = 3, .when_full = overflow::drop_oldest});
    atrium::pipe<number> own = frames.subscribe({.capacity = 4, .when_full = overflow::fail});

    /// Another process, which has sent five numbers. \param goes_on  and sends more
    [[nodiscard]] child start_sender(bool goes_on) const
    {
        child sender("sender", goes_on ? arguments{in.name()} : arguments{in.name(), "once"});
        sender.wait_for_line("ready", 30s);
        return sender;
    }
};

// Becomes the program `atrium` with these arguments, in the place of this process.
ATRIUM_TEST_ROLE(tool)
{
    exec_tool(arguments);
    return 1;
}

inline void end(child& process)
{
    process.close_input();
    BOOST_TEST(process.wait(30s) == exited(0));
}

} // namespace atrium::test
