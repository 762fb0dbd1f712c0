/// \file
/// Doing something in a forked child.
#pragma once

#include <csignal>
#include <exception>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace atrium::test {

/// The test's own handlers would go on with the test; what hangs is killed.
inline void be_a_forked_child()
{
    for (int const fatal : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGALRM})
        std::signal(fatal, SIG_DFL);
    ::alarm(60);
}

/// Runs `in_child` in a forked child; true where it returns true there.
inline bool holds_in_a_child(std::function<bool()> const& in_child)
{
    pid_t const forked = ::fork();
    if (forked == 0)
    {
        be_a_forked_child();
        bool held = false;
        try
        {
            held = in_child();
        }
        catch (std::exception const&)
        {}
        ::_exit(held ? 0 : 1);
    }
    int status = -1;
    return ::waitpid(forked, &status, 0) == forked && status == 0;
}

} // namespace atrium::test
