#include "support/child.hpp"

#include "support/launch.hpp"
#include "support/namespace_entry.hpp"
#include "support/spawn.hpp"
#include "support/transcript.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace atrium::test {

namespace {

using namespace std::chrono_literals;

// What each thread of a process waits for in the kernel: for the reader of a test that found it hanging.
std::string whereabouts(pid_t pid)
{
    std::string     text;
    std::error_code ignored;
    for (auto const& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", ignored))
    {
        text += "  thread " + thread.path().filename().string() + ':';
        for (char const* what : {"wchan", "syscall"})
        {
            std::string value;
            std::getline(std::ifstream(thread.path() / what) >> std::ws, value);
            text += ' ' + value;
        }
        text += '\n';
    }
    return text;
}

std::string contents(int file)
{
    struct stat about
    {
    };
    if (::fstat(file, &about) == -1)
        return {};
    std::string text(static_cast<std::size_t>(std::min<off_t>(about.st_size, 16384)), '\0');
    auto const  got = ::pread(file, text.data(), text.size(), about.st_size - static_cast<off_t>(text.size()));
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

exit_status status_of(siginfo_t const& info) noexcept
{
    return info.si_code == CLD_EXITED ? exited(info.si_status) : killed(info.si_status);
}

} // namespace

// A child is reaped only when its object ends: until then its number, which is also that of its group, is nobody
// else's.
class child::state
{
public:
    state(std::string role, arguments const& given, child_options options);
    state(state const&)            = delete;
    state& operator=(state const&) = delete;
    ~state();

    exit_status                wait(deadline until);
    bool                       wait_stopped(deadline until);
    std::optional<std::string> line(deadline until);

    void                      send(int signal) { checked(::kill(process_.pid, signal), "child: kill"); }
    [[nodiscard]] std::string name() const { return role_ + " (" + std::to_string(process_.pid) + ")"; }

    // Reads what there is to read.
    void read_output();
    // Notes what it is doing, and how the test found it.
    void note(std::string const& what) { notes_ += what; }

    std::string                  role_;
    std::shared_ptr<crash_trace> trace_;
    std::unique_ptr<child>       init_; // of its pid namespace
    spawned                      process_;
    bool                         waited_for_ = false;

private:
    void                      start(arguments const& given, std::vector<std::string> environment, bool own_pids);
    [[nodiscard]] exit_status status() const;
    void                      end() noexcept;
    void                      write_transcript(exit_status how);

    pid_t const parent_ = ::getpid();
    std::string said_;            // all of it, for the transcript
    std::size_t told_        = 0; // how much of it line() has given
    bool        output_open_ = true;
    std::string notes_;
};

child::state::state(std::string role, arguments const& given, child_options options)
    : role_(std::move(role)), trace_(std::move(options.trace))
{
    if (!trace_)
        trace_ = std::make_shared<crash_trace>(crash_orders{.crash_at      = options.crash_at,
                                                            .crash_at_name = options.crash_at_name,
                                                            .stop_at       = options.stop_at,
                                                            .stop_at_name  = options.stop_at_name,
                                                            .hit           = options.hit});
    auto environment = std::move(options.environment);
    if (options.shm_size != 0)
        environment.push_back(std::string(launch::shm_size) + '=' + std::to_string(options.shm_size));
    start(given, std::move(environment), options.own_pids);
    checked(::fcntl(process_.output.get(), F_SETFL, O_RDONLY | O_NONBLOCK), "child: output");
}

void child::state::start(arguments const& given, std::vector<std::string> environment, bool own_pids)
{
    if (!own_pids)
    {
        process_ = spawn(role_, given, environment, trace_->file());
        return;
    }
    other_pids const inside;
    init_ = std::make_unique<child>("atrium_test_init");
    environment.push_back(std::string(launch::own_proc) + "=1");
    process_ = spawn(role_, given, environment, trace_->file());
}

child::state::~state()
{
    if (parent_ != ::getpid()) // a forked copy of the test: the child is not its own
        return;
    read_output();
    auto const how = status();
    write_transcript(how);
    end();
    if (waited_for_ || std::uncaught_exceptions() != 0)
        return;
    std::ostringstream text;
    text << "child " << name() << " was never waited for: " << how;
    fail(text.str());
}

exit_status child::state::status() const
{
    siginfo_t info{};
    checked(::waitid(P_PID, static_cast<id_t>(process_.pid), &info, WEXITED | WNOHANG | WNOWAIT), "child: waitid");
    return info.si_pid == 0 ? running : status_of(info);
}

// Ends it and whatever it forked. The init of a pid namespace ends last: it waits until the others have been reaped.
void child::state::end() noexcept
{
    ::kill(-process_.pid, SIGKILL);
    while (::waitpid(process_.pid, nullptr, 0) == -1 && errno == EINTR)
    {}
    while (::waitpid(-process_.pid, nullptr, 0) > 0) // what it forked has come to us
    {}
    if (init_)
        init_->kill();
}

void child::state::write_transcript(exit_status how)
{
    std::ostringstream text;
    text << "---- child " << name() << ", ";
    if (how.ended())
        text << how;
    else
        text << "not ended at the end";
    if (auto const points = trace_->points_met(); points != 0)
        text << ", met " << points << " crash points, the last \"" << trace_->last_point() << '"';
    text << '\n' << notes_;
    if (!said_.empty())
        text << "-- said\n" << tail(said_);
    if (auto const errors = process_.errors ? contents(process_.errors.get()) : std::string(); !errors.empty())
        text << "-- standard error\n" << errors;
    if (in_role())
        notes_.clear(); // its standard error is ours
    else
        transcripts().add(text.str());
}

void child::state::read_output()
{
    char bytes[4096];
    while (output_open_)
    {
        auto const got = ::read(process_.output.get(), bytes, sizeof bytes);
        if (got > 0)
            said_.append(bytes, static_cast<std::size_t>(got));
        else if (got == 0)
            output_open_ = false;
        else if (errno != EINTR)
            break;
    }
}

exit_status child::state::wait(deadline until)
{
    bool const only_asked = until.passed();
    for (;;)
    {
        pollfd wanted[] = {{process_.process.get(), POLLIN, 0}, {output_open_ ? process_.output.get() : -1, POLLIN, 0}};
        ::poll(wanted, 2, launch::poll_time(until));
        read_output(); // also so that it is not held up by a full pipe
        if ((wanted[0].revents & POLLIN) != 0)
        {
            waited_for_ = true;
            return status();
        }
        if (until.passed())
        {
            if (!only_asked)
                note("-- still running at the deadline of a wait\n" + whereabouts(process_.pid));
            return running;
        }
    }
}

bool child::state::wait_stopped(deadline until)
{
    for (;; std::this_thread::sleep_for(200us))
    {
        siginfo_t info{};
        checked(::waitid(P_PID, static_cast<id_t>(process_.pid), &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT),
                "child: waitid");
        if (info.si_pid != 0)
            return info.si_code == CLD_STOPPED;
        read_output();
        if (until.passed())
            return false;
    }
}

std::optional<std::string> child::state::line(deadline until)
{
    for (;;)
    {
        read_output();
        if (auto const end = said_.find('\n', told_); end != std::string::npos)
        {
            auto text = said_.substr(told_, end - told_);
            told_     = end + 1;
            return text;
        }
        if (!output_open_ || until.passed())
            return std::nullopt;
        pollfd output{process_.output.get(), POLLIN, 0};
        ::poll(&output, 1, launch::poll_time(until));
    }
}

child::child(std::string role, arguments given, child_options options)
    : state_(std::make_unique<state>(std::move(role), given, std::move(options)))
{}

child::child(child&&) noexcept            = default;
child& child::operator=(child&&) noexcept = default;
child::~child()                           = default;

exit_status child::wait(deadline until)
{
    return state_->wait(until);
}

exit_status child::kill()
{
    state_->send(SIGKILL);
    bool const before   = state_->waited_for_;
    auto const how      = state_->wait(60s);
    state_->waited_for_ = before || how == killed(SIGKILL);
    return how;
}

void child::stop()
{
    state_->send(SIGSTOP);
    require(state_->wait_stopped(60s), "a child could be stopped: " + state_->name());
}

void child::resume()
{
    state_->send(SIGCONT);
}

bool child::wait_stopped(deadline until)
{
    return state_->wait_stopped(until);
}

std::optional<std::string> child::line(deadline until)
{
    return state_->line(until);
}

void child::wait_for_line(std::string_view text, deadline until)
{
    while (auto const line = state_->line(until))
        if (*line == text)
            return;
    state_->note("-- did not say \"" + std::string(text) + "\"\n" + whereabouts(state_->process_.pid));
    state_->waited_for_ = true; // the exception says enough
    throw std::runtime_error("child " + state_->name() + (until.passed() ? " did not say" : " ended before it said") +
                             " \"" + std::string(text) + "\"");
}

void child::send_line(std::string_view text)
{
    std::string const line = std::string(text) + '\n';
    auto const        sent = ::send(state_->process_.input.get(), line.data(), line.size(), MSG_NOSIGNAL);
    checked(sent == -1 ? -1 : 0, "child: send_line");
}

void child::close_input() noexcept
{
    state_->process_.input.reset();
}

pid_t child::pid() const noexcept
{
    return state_->process_.pid;
}

std::uint64_t child::points_met() const noexcept
{
    return state_->trace_->points_met();
}

std::string child::last_point() const
{
    return state_->trace_->last_point();
}

bool child::sleeps_at(std::string_view point) const
{
    if (last_point() != point)
        return false;
    std::string about;
    std::getline(std::ifstream("/proc/" + std::to_string(pid()) + "/stat"), about);
    auto const name_ends = about.rfind(')');
    return name_ends != std::string::npos && about.compare(name_ends, 4, ") S ") == 0;
}

} // namespace atrium::test
