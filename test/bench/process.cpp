#include "process.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sched.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace atrium::bench {

namespace {

char watched[128]; // the figure under measurement; read by the signal handler

extern "C" void on_alarm(int)
{
    // Only what a signal handler may call.
    static_cast<void>(!write(STDERR_FILENO, watched, std::strlen(watched)));
    static char const text[] = ": hung, given up\n";
    static_cast<void>(!write(STDERR_FILENO, text, sizeof text - 1));
    _exit(3);
}

/// Whether both are threads of one physical core; the kernel lists them as "0-1" or "0,8".
bool share_a_core(int core, int other)
{
    std::ifstream list("/sys/devices/system/cpu/cpu" + std::to_string(core) + "/topology/thread_siblings_list");
    for (int from = 0; list >> from;)
    {
        int to = from;
        if (list.peek() == '-')
            list.ignore() >> to;
        if (other >= from && other <= to)
            return true;
        if (list.peek() == ',')
            list.ignore();
    }
    return false;
}

placement choose_cores()
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    check(sched_getaffinity(0, sizeof allowed, &allowed), "sched_getaffinity");
    placement chosen;
    for (int core = 0; core != CPU_SETSIZE; ++core)
    {
        if (!CPU_ISSET(core, &allowed))
            continue;
        if (chosen.first < 0)
            chosen.first = core;
        else if (chosen.second < 0 || share_a_core(chosen.first, chosen.second))
            chosen.second = core;
    }
    return chosen;
}

} // namespace

placement const& cores()
{
    static placement const chosen = choose_cores();
    return chosen;
}

void pin_to(int core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    check(sched_setaffinity(0, sizeof one, &one), "sched_setaffinity");
}

watchdog::watchdog()
{
    signal(SIGALRM, on_alarm);
}

watchdog::~watchdog()
{
    alarm(0);
}

void watchdog::feed(std::string const& figure, int seconds)
{
    std::snprintf(watched, sizeof watched, "%s", figure.c_str());
    alarm(static_cast<unsigned>(seconds));
}

child::child(int core, std::function<void()> const& body)
{
    auto const parent = getpid();
    std::fflush(nullptr);
    pid_ = check(fork(), "fork");
    if (pid_ != 0)
        return;
    // Alarms are not inherited; the parent's watchdog kills both, since this process dies with its parent.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(2);
    try
    {
        pin_to(core);
        body();
    }
    catch (std::exception const& failure)
    {
        std::fprintf(stderr, "child of atrium_bench: %s\n", failure.what());
        _exit(1);
    }
    _exit(0);
}

child::~child()
{
    if (pid_ < 0)
        return;
    kill(pid_, SIGKILL);
    reap();
}

void child::wait()
{
    int        status = 0;
    auto const waited = waitpid(pid_, &status, 0);
    pid_              = -1;
    check(waited, "waitpid");
    if (WIFSIGNALED(status))
        throw std::runtime_error("the child was killed by signal " + std::to_string(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0)
        throw std::runtime_error("the child ended with status " + std::to_string(WEXITSTATUS(status)));
}

void child::kill_and_see_death()
{
    check(kill(pid_, SIGKILL), "kill");
    siginfo_t info;
    check(waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), "waitid");
}

void child::reap() noexcept
{
    while (pid_ >= 0 && waitpid(pid_, nullptr, 0) < 0 && errno == EINTR)
        ;
    pid_ = -1;
}

line::line()
{
    int ends[2];
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    ends_[0].fd_ = ends[0];
    ends_[1].fd_ = ends[1];
}

line::~line()
{
    for (auto const& end : ends_)
        close(end.fd_);
}

void line::end::say() const
{
    char const word = '.';
    check(send(fd_, &word, 1, MSG_NOSIGNAL), "send");
}

void line::end::hear() const
{
    char word;
    if (check(recv(fd_, &word, 1, 0), "recv") == 0)
        throw std::runtime_error("the other process hung up");
}

private_pages::private_pages(std::size_t bytes)
    : bytes_(static_cast<char*>(std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096)))
{
    if (!bytes_)
        throw std::bad_alloc();
    std::memset(bytes_.get(), 'a', bytes);
}

shared_pages::shared_pages(std::size_t bytes)
    : address_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)),
      bytes_(bytes)
{
    if (address_ == MAP_FAILED)
        throw std::system_error(errno, std::generic_category(), "mmap");
}

shared_pages::~shared_pages()
{
    munmap(address_, bytes_);
}

} // namespace atrium::bench
