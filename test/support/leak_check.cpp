#include "support/leak_check.hpp"

#include "support/eventually.hpp"
#include "support/role.hpp"

#include <atrium/base/name.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace atrium::test {

namespace {

namespace fs = std::filesystem;

std::string base36(std::uint64_t number)
{
    std::string digits;
    do
        digits.insert(digits.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36]);
    while ((number /= 36) != 0);
    return digits;
}

// The children of this thread's process that have not been reaped, by the kernel's own list.
std::set<pid_t> children()
{
    std::set<pid_t> found;
    for (auto const& thread : fs::directory_iterator("/proc/self/task"))
    {
        std::ifstream list(thread.path() / "children");
        for (pid_t child = 0; list >> child;)
            found.insert(child);
    }
    return found;
}

// Reaps those that have ended; true where none is left. Children of a child that was killed come to us, and end soon.
bool all_ended()
{
    for (pid_t const child : children())
        ::waitpid(child, nullptr, WNOHANG);
    return children().empty();
}

std::string describe(pid_t child)
{
    std::ifstream file("/proc/" + std::to_string(child) + "/cmdline");
    std::string   text(std::istreambuf_iterator<char>(file), {});
    for (char& c : text)
        c = c == '\0' ? ' ' : c;
    return "process " + std::to_string(child) + ": " + text;
}

} // namespace

void isolate_domain()
{
    std::random_device random;
    auto const         domain = "t" + base36(static_cast<std::uint64_t>(::getpid())) + "x" + base36(random());
    ::setenv("ATRIUM_DOMAIN", domain.c_str(), 1);
}

std::string unique_name(std::string_view prefix)
{
    static std::atomic<std::uint64_t> next{1};
    return std::string(prefix) + "." + base36(static_cast<std::uint64_t>(::getpid())) + "." +
           std::to_string(next.fetch_add(1, std::memory_order_relaxed)); // relaxed: only the number counts
}

std::set<std::string> shared_files()
{
    std::string const     prefix = "atrium." + default_domain() + ".";
    std::set<std::string> found;
    for (auto const& file : fs::directory_iterator("/dev/shm"))
        if (auto name = file.path().filename().string(); name.starts_with(prefix))
            found.insert(std::move(name));
    return found;
}

leaves_nothing::leaves_nothing() : before_(shared_files()) {}

leaves_nothing::~leaves_nothing()
{
    // What another failure has left behind is removed, but not reported as one more.
    bool const report = std::uncaught_exceptions() == 0;
    static_cast<void>(eventually(all_ended, std::chrono::seconds(2)));
    for (pid_t const child : children())
    {
        if (report)
            fail("left behind: " + describe(child));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    for (auto const& file : shared_files())
    {
        if (before_.contains(file))
            continue;
        if (report)
            fail("left behind: /dev/shm/" + file);
        std::error_code ignored;
        fs::remove("/dev/shm/" + file, ignored);
    }
}

} // namespace atrium::test
