#include "os/console.hpp"

#include "os/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

namespace atrium::os {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t      at_once = 4096; // to a pipe with room, which takes so much or says that it has none
constexpr std::string_view begins  = "\x1b[?1049h\x1b[?25l"; // another screen, no cursor
constexpr std::string_view ends    = "\x1b[?25h\x1b[?1049l";

int poll_time(deadline until) noexcept
{
    auto const left = std::min<deadline::clock::duration>(until.remaining(), 1h);
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

void add_unless_ignored(sigset_t& to, int signal) noexcept
{
    struct sigaction how = {};
    if (::sigaction(signal, nullptr, &how) != 0 || how.sa_handler != SIG_IGN)
        ::sigaddset(&to, signal);
}

} // namespace

struct console::state
{
    bool    has_screen = false;
    bool    has_keys   = false;
    bool    is_stopped = false; // told to
    int     signals    = -1;
    termios keys       = {};

    void enter() noexcept;
    void leave() noexcept;
    void stand_still() noexcept;

    [[nodiscard]] console_event hear_signal() noexcept;
    [[nodiscard]] console_event hear_key() noexcept;
    [[nodiscard]] console_event wait(short output, deadline until) noexcept;
};

void console::state::enter() noexcept
{
    if (!has_screen)
        return;
    has_keys = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &keys) == 0;
    if (has_keys)
    {
        termios silent = keys;
        silent.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        silent.c_cc[VMIN]  = 1;
        silent.c_cc[VTIME] = 0;
        ::tcsetattr(STDIN_FILENO, TCSANOW, &silent);
    }
    [[maybe_unused]] auto const written = ::write(STDOUT_FILENO, begins.data(), begins.size());
}

void console::state::leave() noexcept
{
    if (!has_screen)
        return;
    [[maybe_unused]] auto const written = ::write(STDOUT_FILENO, ends.data(), ends.size());
    if (has_keys)
        ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
}

// What SIGTSTP would have done, with the terminal as the shell left it.
void console::state::stand_still() noexcept
{
    leave();
    ::kill(::getpid(), SIGSTOP);
    enter();
}

console_event console::state::hear_signal() noexcept
{
    signalfd_siginfo info = {};
    if (::read(signals, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info)))
        return console_event::timed_out;
    if (info.ssi_signo == SIGWINCH)
        return console_event::redraw;
    if (info.ssi_signo == SIGTSTP)
    {
        stand_still();
        return console_event::redraw;
    }
    is_stopped = true;
    return console_event::stop;
}

console_event console::state::hear_key() noexcept
{
    char       key   = 0;
    auto const count = ::read(STDIN_FILENO, &key, 1);
    has_keys         = has_keys && (count == 1 || (count < 0 && errno == EINTR)); // none after the terminal has gone
    if (count != 1 || (key != 'q' && key != 'Q'))
        return console_event::timed_out;
    is_stopped = true;
    return console_event::stop;
}

// Also ends, as timed out, when standard output can take more, if `output` is POLLOUT.
console_event console::state::wait(short output, deadline until) noexcept
{
    while (!is_stopped)
    {
        std::array<pollfd, 3> on    = {{{signals, POLLIN, 0},
                                        {has_keys ? STDIN_FILENO : -1, POLLIN, 0},
                                        {output != 0 ? STDOUT_FILENO : -1, output, 0}}};
        int const             count = ::poll(on.data(), on.size(), poll_time(until));
        auto                  event = console_event::timed_out;
        if (count > 0 && on[0].revents != 0)
            event = hear_signal();
        else if (count > 0 && on[1].revents != 0)
            event = hear_key();
        if (event != console_event::timed_out || (count > 0 && on[2].revents != 0) || until.passed())
            return event;
    }
    return console_event::stop;
}

console::console(bool wants_screen) : state_(std::make_unique<state>())
{
    state_->has_screen = wants_screen && ::isatty(STDOUT_FILENO) == 1;
    sigset_t heard     = {};
    ::sigemptyset(&heard);
    add_unless_ignored(heard, SIGINT);
    add_unless_ignored(heard, SIGTERM);
    if (state_->has_screen)
    {
        add_unless_ignored(heard, SIGTSTP);
        ::sigaddset(&heard, SIGWINCH);
    }
    state_->signals = ::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
    if (state_->signals < 0)
        throw system_error(last_error(), "signalfd");
    ::pthread_sigmask(SIG_BLOCK, &heard, nullptr);
    state_->enter();
}

console::~console()
{
    state_->leave();
    ::close(state_->signals);
}

bool console::has_screen() const noexcept
{
    return state_->has_screen;
}

screen_size console::size() const noexcept
{
    winsize size = {};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        return {};
    return {size.ws_row, size.ws_col};
}

console_event console::wait(deadline until) noexcept
{
    return state_->wait(0, until);
}

result<bool> console::write(std::string_view text) noexcept
{
    while (!text.empty())
    {
        if (state_->wait(POLLOUT, no_deadline) == console_event::stop)
            return false;
        auto const count = ::write(STDOUT_FILENO, text.data(), std::min(text.size(), at_once));
        if (count < 0 && errno != EINTR && errno != EAGAIN)
            return {boost::system::in_place_error, last_error()};
        text.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return true;
}

} // namespace atrium::os
