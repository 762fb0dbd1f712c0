// The command `atrium top` on a terminal, and where nobody reads what it writes.
#include "pipe/tool_fixture.hpp"

#include "support/eventually.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr std::string_view begins = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view ends   = "\x1b[?25h\x1b[?1049l";

// A terminal, of which the test is the user.
struct terminal
{
    descriptor  user{checked(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), "posix_openpt")};
    std::string name = open();
    descriptor  line{checked(::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC), "terminal")};
    std::string seen;

    [[nodiscard]] std::string open() const
    {
        checked(::grantpt(user.get()), "grantpt");
        checked(::unlockpt(user.get()), "unlockpt");
        winsize const size{.ws_row = 10, .ws_col = 60, .ws_xpixel = 0, .ws_ypixel = 0};
        checked(::ioctl(user.get(), TIOCSWINSZ, &size), "TIOCSWINSZ");
        return ::ptsname(user.get());
    }

    // What has been written to it so far.
    void read()
    {
        pollfd on = {user.get(), POLLIN, 0};
        while (::poll(&on, 1, 0) == 1)
        {
            std::array<char, 4096> part  = {};
            auto const             count = ::read(user.get(), part.data(), part.size());
            if (count <= 0)
                return;
            seen.append(part.data(), static_cast<std::size_t>(count));
        }
    }

    [[nodiscard]] bool shows(std::string_view text)
    {
        read();
        return seen.find(text) != std::string::npos;
    }

    [[nodiscard]] bool ends_with(std::string_view text)
    {
        read();
        return seen.ends_with(text);
    }

    // Keys are shown, and come by the line.
    [[nodiscard]] bool is_as_before() const
    {
        termios now = {};
        return ::tcgetattr(line.get(), &now) == 0 && (now.c_lflag & (ICANON | ECHO)) == (ICANON | ECHO);
    }
};

// Whether the process holds a signal back.
bool blocks(pid_t process, int signal)
{
    std::ifstream status("/proc/" + std::to_string(process) + "/status");
    for (std::string line; std::getline(status, line);)
    {
        if (line.starts_with("SigBlk:"))
            return (std::stoull(line.substr(7), nullptr, 16) >> (signal - 1) & 1) != 0;
    }
    return false;
}

} // namespace

ATRIUM_TEST_ROLE(tool_on_terminal)
{
    int const line = checked(::open(arguments.at(0).c_str(), O_RDWR | O_NOCTTY), "terminal");
    for (int const to : {STDIN_FILENO, STDOUT_FILENO})
        checked(::dup2(line, to), "dup2");
    exec_tool({"top", arguments.at(1), "--interval", "0.05"});
    return 1;
}

// Its standard output is full from the beginning, and is never read.
ATRIUM_TEST_ROLE(tool_without_reader)
{
    std::array<int, 2> ends = {};
    checked(::pipe(ends.data()), "pipe");
    checked(::fcntl(ends[1], F_SETFL, O_NONBLOCK), "O_NONBLOCK");
    while (::write(ends[1], "xxxxxxxx", 8) > 0)
    {}
    checked(::fcntl(ends[1], F_SETFL, 0), "blocking");
    checked(::dup2(ends[1], STDOUT_FILENO), "dup2");
    exec_tool({"top", arguments.at(0)});
    return 1;
}

BOOST_FIXTURE_TEST_SUITE(pipe_tool_screen, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_screen_is_redrawn_and_given_back)
{
    scene    s;
    child    sender = s.start_sender(false);
    terminal on;
    for (int const signal : {SIGINT, SIGTERM, 0}) // 0: the key q
    {
        on.seen.clear();
        child top("tool_on_terminal", {on.name, s.in.name()});
        BOOST_TEST(ATRIUM_EVENTUALLY(on.shows("  frames"), 30s));
        BOOST_TEST(on.seen.starts_with(begins));
        on.seen.clear();
        BOOST_TEST(ATRIUM_EVENTUALLY(on.shows("\x1b[H") && on.shows("    workers"), 30s)); // again
        BOOST_TEST(!on.is_as_before());
        if (signal != 0)
            BOOST_TEST(::kill(top.pid(), signal) == 0);
        else
            BOOST_TEST(::write(on.user.get(), "xq", 2) == 2);
        BOOST_TEST(top.wait(30s) == exited(0));
        BOOST_TEST(on.ends_with(ends));
        BOOST_TEST(on.is_as_before());
    }
    end(sender);
}

BOOST_AUTO_TEST_CASE(stopped_it_gives_the_terminal_back_until_it_goes_on)
{
    scene    s;
    terminal on;
    child    top("tool_on_terminal", {on.name, s.in.name()});
    BOOST_TEST(ATRIUM_EVENTUALLY(on.shows("    workers"), 30s));
    BOOST_TEST(::kill(top.pid(), SIGTSTP) == 0);
    BOOST_TEST(top.wait_stopped(30s));
    BOOST_TEST(on.ends_with(ends));
    BOOST_TEST(on.is_as_before());
    on.seen.clear();
    top.resume();
    BOOST_TEST(ATRIUM_EVENTUALLY(on.shows(begins) && on.shows("    workers"), 30s));
    BOOST_TEST(::kill(top.pid(), SIGINT) == 0);
    BOOST_TEST(top.wait(30s) == exited(0));
    BOOST_TEST(on.is_as_before());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_cut_and_counted)
{
    scene                             s;
    std::vector<atrium::pipe<number>> more;
    router<number> const              other(create_only, s.in, "other");
    router<number>                    wide(create_only, s.in, "wide");
    for (int n = 0; n < 8; ++n)
        more.push_back(wide.subscribe());
    terminal on;
    child    top("tool_on_terminal", {on.name, s.in.name()});
    BOOST_TEST(ATRIUM_EVENTUALLY(on.shows("... and "), 30s));
    BOOST_TEST(on.shows("  wide"));
    BOOST_TEST(::kill(top.pid(), SIGINT) == 0);
    BOOST_TEST(top.wait(30s) == exited(0));
}

BOOST_AUTO_TEST_CASE(it_ends_also_where_nobody_reads)
{
    scene s;
    for (int const signal : {SIGINT, SIGTERM})
    {
        child top("tool_without_reader", {s.in.name()});
        BOOST_TEST(ATRIUM_EVENTUALLY(blocks(top.pid(), signal), 30s));
        BOOST_TEST(::kill(top.pid(), signal) == 0);
        BOOST_TEST(top.wait(30s) == exited(0));
    }
}

BOOST_AUTO_TEST_SUITE_END()
