#include "support/child.hpp"
#include "support/launch.hpp"
#include "support/namespace_entry.hpp"
#include "support/role.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <unistd.h>
#include <vector>

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

void enter_user_namespace(char const* const* arguments)
{
    if (!wanted)
        return;
    if (::geteuid() == 0)
    {
        if (::getpid() == 1) // what a signal does by default it does not do to an init
        {
            for (int const signal : {SIGINT, SIGTERM})
                ::signal(signal, [](int number) { ::_exit(128 + number); });
        }
        return;
    }
    // A pid namespace takes only children in; the test is the first of them, and owns what comes below it.
    std::string const        program = std::filesystem::read_symlink("/proc/self/exe");
    std::vector<char const*> words{"unshare",      "--map-root-user", "--map-auto",   "--pid",
                                   "--kill-child", "--mount-proc",    program.c_str()};
    while (*++arguments != nullptr)
        words.push_back(*arguments);
    words.push_back(nullptr);
    permitted(::execvp(words.front(), const_cast<char* const*>(words.data())), words.front());
}

bool want_namespaces() noexcept
{
    return wanted = true;
}

} // namespace atrium::test
