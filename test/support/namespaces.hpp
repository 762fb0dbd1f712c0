/// \file
/// Children with a /dev/shm and process numbers of their own.
///
/// A program that includes this file and is not run by root gives itself a user namespace in which it may make them
/// and become other users. What is not permitted fails the test, with a message that says what is missing.
#pragma once

#include "support/child.hpp"
#include "support/namespace_entry.hpp"

#include <cstddef>
#include <sstream>
#include <string>

namespace atrium::test {

[[maybe_unused]] static bool const wants_namespaces = want_namespaces();

/// What a child has of its own.
struct own_namespaces
{
    std::size_t shm_size = 0;    ///< Bytes of its own /dev/shm; 0: it sees the test's.
    bool        pids     = true; ///< Process numbers and /proc of its own, as in a container.
};

/// Plays `role` in a child that lives in namespaces of its own, with all children it starts, and checks that it
/// returns 0 by the deadline. The role says with require() and fail() what it finds.
inline void in_namespaces(std::string const& role, arguments const& given, own_namespaces const& own, deadline until)
{
    child      inside(role, given, {.shm_size = own.shm_size, .own_pids = own.pids});
    auto const status = inside.wait(until);
    if (status != exited(0))
    {
        std::ostringstream text;
        text << "role " << role << " in namespaces of its own: " << status;
        fail(text.str());
        inside.kill();
    }
}

} // namespace atrium::test
