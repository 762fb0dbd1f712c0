#include "iceoryx_daemon.hpp"

#include "peer.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <optional>
#include <pwd.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace atrium::bench::peers {

namespace {

/// What this process waits for: the death of a child, or being told to end.
sigset_t expected()
{
    sigset_t signals;
    sigemptyset(&signals);
    for (int const signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP})
        sigaddset(&signals, signal);
    return signals;
}

/// Runs `body` in a new process, which is sent `at_death` when this one dies.
pid_t start(int at_death, std::function<int()> const& body)
{
    auto const parent = getpid();
    std::fflush(nullptr);
    auto const pid = check(fork(), "fork");
    if (pid != 0)
        return pid;
    auto const signals = expected();
    sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    if (prctl(PR_SET_PDEATHSIG, at_death) != 0 || getppid() != parent)
        _exit(1);
    std::exit(body()); // not _exit: destructors of static objects leave the daemon
}

/// Waits until the process has ended, at most that long. Gives its status as `waitpid` does, or nothing.
std::optional<int> wait_for(pid_t pid, std::chrono::seconds most)
{
    auto const signals = expected();
    auto const end     = std::chrono::steady_clock::now() + most;
    for (int status = 0; std::chrono::steady_clock::now() < end;)
    {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        timespec const a_while{.tv_sec = 1, .tv_nsec = 0};
        int const      signal = sigtimedwait(&signals, nullptr, &a_while);
        if (signal > 0 && signal != SIGCHLD)
            break; // told to end
    }
    return std::nullopt;
}

void end_at_once(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
}

class daemon
{
public:
    daemon()
    {
        int ends[2];
        check(pipe(ends), "pipe");
        pid_ = start(SIGTERM, [&]() -> int {
            dup2(ends[1], STDOUT_FILENO);
            dup2(ends[1], STDERR_FILENO);
            close(ends[0]);
            close(ends[1]);
            execlp("iox-roudi", "iox-roudi", "--log-level", "error", nullptr);
            std::perror("iox-roudi");
            _exit(127);
        });
        close(ends[1]);
        output_ = fdopen(ends[0], "r");
        wait_until_ready();
    }
    daemon(daemon const&)            = delete;
    daemon& operator=(daemon const&) = delete;

    ~daemon()
    {
        kill(pid_, SIGTERM);
        auto const status = wait_for(pid_, std::chrono::seconds(5));
        if (!status)
            end_at_once(pid_);
        if (status != 0)
            remove_leftovers();
        std::fclose(output_);
    }

private:
    void wait_until_ready()
    {
        std::string said;
        for (char line[256]; std::fgets(line, sizeof line, output_) != nullptr; said += line)
            if (std::string_view(line).find("ready for clients") != std::string_view::npos)
                return;
        end_at_once(pid_);
        std::fclose(output_);
        throw std::runtime_error("iox-roudi did not start: " + said);
    }

    /// It dies of a process that died before it. All of these were its own: it does not start if another one has them.
    static void remove_leftovers()
    {
        std::vector<std::string> files{"/tmp/roudi", "/tmp/roudi.lock", "/tmp/iox-unique-roudi.lock",
                                       "/dev/shm/iceoryx_mgmt"};
        if (auto const* user = getpwuid(geteuid()))
            files.push_back(std::string("/dev/shm/") + user->pw_name); // named after its group of access rights
        for (char const* who : {"measuring", "other"})
            for (char const* end : {"", ".lock"})
                files.push_back("/tmp/" + own_name(who) + end);
        for (auto const& file : files)
            unlink(file.c_str());
    }

    pid_t      pid_    = -1;
    std::FILE* output_ = nullptr;
};

} // namespace

int beside_iceoryx_daemon(std::function<int()> const& measure)
{
    try
    {
        // Told, not killed, so that it can tell the daemon.
        check(prctl(PR_SET_PDEATHSIG, SIGTERM), "prctl");
        auto const signals = expected();
        check(sigprocmask(SIG_BLOCK, &signals, nullptr), "sigprocmask");
        static_cast<void>(own_name("")); // this process's, for all
        daemon const around;
        auto const   pid = start(SIGKILL, measure);
        // It has a watchdog.
        if (auto const status = wait_for(pid, std::chrono::hours(25)))
            return WIFEXITED(*status) ? WEXITSTATUS(*status) : 1;
        end_at_once(pid);
    }
    catch (std::exception const& failure)
    {
        std::fprintf(stderr, "%s\n", failure.what());
    }
    return 1;
}

} // namespace atrium::bench::peers
