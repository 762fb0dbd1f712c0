#include "support/child.hpp"
#include "support/launch.hpp"
#include "support/namespace_entry.hpp"
#include "support/role.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace atrium::test {

// The init of a pid namespace: its end would end everybody in it, and it cannot kill itself, so it plays no other role.
ATRIUM_TEST_ROLE(atrium_test_init)
{
    ::signal(SIGCHLD, SIG_IGN); // orphans are reaped
    while (hear(no_deadline))
    {}
    return 0;
}

namespace {

bool wanted = false;

void permitted(int answer, char const* what)
{
    if (answer == -1)
        throw std::runtime_error(std::string("not permitted here, needs root or user namespaces: ") + what + ": " +
                                 std::strerror(errno));
}

void write_file(char const* path, std::string const& text)
{
    std::ofstream file(path);
    if (!(file << text << std::flush))
        throw std::runtime_error(std::string("not permitted here: writing ") + path);
}

// Waits for the child that runs the tests, and ends as it ends.
[[noreturn]] void stand_for(pid_t child)
{
    int status = 0;
    while (::waitpid(child, &status, 0) == -1 && errno == EINTR)
    {}
    if (WIFSIGNALED(status))
        ::raise(WTERMSIG(status));
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
}

} // namespace

other_pids::other_pids() : own_(::open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC))
{
    permitted(own_.get(), "/proc/self/ns/pid");
    permitted(::unshare(CLONE_NEWPID), "a pid namespace");
}

other_pids::~other_pids()
{
    if (::setns(own_.get(), CLONE_NEWPID) == -1)
        std::abort(); // every later child would be started in the wrong place
}

void enter_namespaces()
{
    char const* const size = std::getenv(launch::shm_size);
    bool const        proc = std::getenv(launch::own_proc) != nullptr;
    if (size == nullptr && !proc)
        return;
    permitted(::unshare(CLONE_NEWNS), "a mount namespace");
    permitted(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
    if (size != nullptr)
    {
        auto const options = "mode=1777,size=" + std::string(size);
        permitted(::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()), "a tmpfs on /dev/shm");
    }
    if (proc)
        permitted(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "a /proc");
    ::unsetenv(launch::shm_size); // the children of this one are in here already
    ::unsetenv(launch::own_proc);
}

void enter_user_namespace()
{
    auto const user  = ::geteuid();
    auto const group = ::getegid();
    if (!wanted || user == 0)
        return;
    try
    {
        permitted(::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID), "a user namespace");
        write_file("/proc/self/setgroups", "deny");
        write_file("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
        write_file("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
        // A pid namespace takes only children in; the test runs in the first one, which owns what comes below it.
        if (pid_t const child = checked(::fork(), "fork"); child != 0)
            stand_for(child);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        permitted(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "private mounts");
        permitted(::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr), "a /proc");
    }
    catch (std::exception const& error)
    {
        std::fprintf(stderr, "%s\n", error.what()); // the tests that need it fail, the others run
    }
}

bool want_namespaces() noexcept
{
    return wanted = true;
}

} // namespace atrium::test
