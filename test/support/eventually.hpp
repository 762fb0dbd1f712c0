/// \file
/// Waiting for a condition instead of for time.
#pragma once

#include "support/role.hpp"

#include <atrium/base/deadline.hpp>

#include <chrono>
#include <string>
#include <thread>

namespace atrium::test {

/// Asks `condition` every millisecond until it holds; false if it does not by the deadline.
template <class Condition> [[nodiscard]] bool eventually(Condition condition, deadline until)
{
    while (!condition())
    {
        if (until.passed())
            return static_cast<bool>(condition());
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// Fails the test case, or in a role the child, where `held` is false.
inline bool expect(bool held, char const* what, char const* file, int line)
{
    if (!held)
        fail(std::string(file) + ":" + std::to_string(line) + ": " + what);
    return held;
}

} // namespace atrium::test

/// Checks that `condition` holds within a time; for tests and roles. Is true where it does.
#define ATRIUM_EVENTUALLY(condition, ...)                                                                              \
    ::atrium::test::expect(::atrium::test::eventually([&] { return static_cast<bool>(condition); }, __VA_ARGS__),      \
                           "not within " #__VA_ARGS__ ": " #condition, __FILE__, __LINE__)
