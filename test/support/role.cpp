#include "support/role.hpp"

#include "support/descriptor.hpp"
#include "support/launch.hpp"
#include "support/namespace_entry.hpp"
#include "support/transcript.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <random>
#include <stdexcept>

namespace atrium::test {

namespace {

std::map<std::string, role_function, std::less<>>& roles()
{
    static std::map<std::string, role_function, std::less<>> known;
    return known;
}

bool playing = false;

// Relaxed: read once, after the role has returned and so joined its threads.
std::atomic<bool> failed = false;

// Nobody writes to the lifeline; it becomes readable when the last process that holds its other end, the test, is gone,
// and then the kernel kills this child's process group. PR_SET_PDEATHSIG would kill already when the *thread* that
// started the child ends.
void die_with_the_test()
{
    checked(::fcntl(launch::lifeline, F_SETFD, FD_CLOEXEC), "lifeline");
    checked(::fcntl(launch::lifeline, F_SETOWN, -::getpgrp()), "lifeline owner");
    checked(::fcntl(launch::lifeline, F_SETSIG, SIGKILL), "lifeline signal");
    checked(::fcntl(launch::lifeline, F_SETFL, O_RDONLY | O_ASYNC), "lifeline async");
    pollfd end{launch::lifeline, POLLIN, 0};
    if (::poll(&end, 1, 0) != 0) // it went before the kernel had been told to watch
        ::raise(SIGKILL);
}

int play(role_function role, arguments const& given)
{
    try
    {
        int const code = role(given);
        return failed.load(std::memory_order_relaxed) ? exit_failed : code;
    }
    catch (std::exception const& error)
    {
        std::fprintf(stderr, "the role threw: %s\n", error.what());
        return failed.load(std::memory_order_relaxed) ? exit_failed : exit_thrown;
    }
}

} // namespace

bool register_role(char const* name, role_function role)
{
    return roles().emplace(name, role).second;
}

bool in_role() noexcept
{
    return playing;
}

int run_role(int argc, char** argv)
{
    playing = true;
    if (std::getenv(launch::marker) != nullptr)
    {
        ::unsetenv(launch::marker);
        launch::by_test = true;
        die_with_the_test();
        checked(::fcntl(launch::trace, F_SETFD, FD_CLOEXEC), "trace");
    }
    auto const role = roles().find(std::string_view(argv[2]));
    if (role == roles().end())
    {
        std::fprintf(stderr, "no role \"%s\" in this program\n", argv[2]);
        return exit_no_such_role;
    }
    try
    {
        enter_namespaces();
    }
    catch (std::exception const& error)
    {
        std::fprintf(stderr, "%s\n", error.what());
        return exit_not_permitted;
    }
    return play(role->second, arguments(argv + 3, argv + argc));
}

void say(std::string_view line)
{
    std::string text(line);
    text += '\n';
    for (std::string_view rest = text; !rest.empty();)
    {
        auto const written = ::write(STDOUT_FILENO, rest.data(), rest.size());
        if (written == -1 && errno != EINTR)
            throw_errno("say");
        rest.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

std::optional<std::string> hear(deadline until)
{
    static std::string heard;
    for (;;)
    {
        if (auto const end = heard.find('\n'); end != std::string::npos)
        {
            std::string line = heard.substr(0, end);
            heard.erase(0, end + 1);
            return line;
        }
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (::poll(&input, 1, launch::poll_time(until)) == 0 && until.passed())
            return std::nullopt;
        if (input.revents == 0)
            continue;
        char       bytes[512];
        auto const got = ::read(STDIN_FILENO, bytes, sizeof bytes);
        if (got == 0 || (got == -1 && errno != EINTR))
            return std::nullopt;
        heard.append(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
}

bool told_to_end() noexcept
{
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return ::poll(&input, 1, 0) > 0;
}

void fail(std::string const& what)
{
    if (!playing)
    {
        BOOST_ERROR(what);
        return;
    }
    failed.store(true, std::memory_order_relaxed);
    std::fprintf(stderr, "%s\n", what.c_str());
}

void require(bool held, std::string_view what, char const* file, int line)
{
    if (held)
        return;
    failed.store(true, std::memory_order_relaxed);
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": not met: " + std::string(what));
}

std::uint64_t seed()
{
    char const* const   given  = std::getenv("ATRIUM_SEED");
    std::uint64_t const chosen = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    if (playing)
        std::fprintf(stderr, "ATRIUM_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    else
        transcripts().add("ATRIUM_SEED=" + std::to_string(chosen) + '\n');
    return chosen;
}

bool long_form()
{
    char const* const given = std::getenv("ATRIUM_LONG");
    return given != nullptr && std::string_view(given) == "1";
}

} // namespace atrium::test
