#include "support/spawn.hpp"

#include "support/launch.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <spawn.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <system_error>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace atrium::test {

namespace {

void checked_error(int error, char const* what)
{
    if (error != 0)
        throw std::system_error(error, std::system_category(), what);
}

// glibc 2.36 declares pidfd_open() for C only.
int open_process(pid_t pid)
{
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// A copy whose number none of the child's is equal to, so that no dup2 overwrites one that is still needed.
descriptor out_of_the_way(int number)
{
    return descriptor(checked(::fcntl(number, F_DUPFD_CLOEXEC, 10), "spawn: descriptor"));
}

std::pair<descriptor, descriptor> make_pipe()
{
    int ends[2];
    checked(::pipe2(ends, O_CLOEXEC), "spawn: pipe");
    descriptor read(ends[0]);
    descriptor write(ends[1]);
    return {out_of_the_way(read.get()), out_of_the_way(write.get())};
}

// A socket, because sending to a child that has ended must not raise SIGPIPE here.
std::pair<descriptor, descriptor> make_input()
{
    int ends[2];
    checked(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "spawn: socketpair");
    descriptor ours(ends[0]);
    descriptor theirs(ends[1]);
    return {out_of_the_way(ours.get()), out_of_the_way(theirs.get())};
}

class actions
{
public:
    actions() { checked_error(::posix_spawn_file_actions_init(&value_), "spawn: actions"); }
    actions(actions const&)            = delete;
    actions& operator=(actions const&) = delete;
    ~actions() { ::posix_spawn_file_actions_destroy(&value_); }

    void place(int from, int to)
    {
        checked_error(::posix_spawn_file_actions_adddup2(&value_, from, to), "spawn: dup2");
    }
    void close_from(int first)
    {
        checked_error(::posix_spawn_file_actions_addclosefrom_np(&value_, first), "spawn: closefrom");
    }
    [[nodiscard]] posix_spawn_file_actions_t const* get() const noexcept { return &value_; }

private:
    posix_spawn_file_actions_t value_;
};

// A group of its own, no blocked signals, no ignored ones.
class attributes
{
public:
    attributes()
    {
        checked_error(::posix_spawnattr_init(&value_), "spawn: attributes");
        sigset_t set;
        ::sigemptyset(&set);
        ::posix_spawnattr_setsigmask(&value_, &set);
        ::sigfillset(&set);
        ::posix_spawnattr_setsigdefault(&value_, &set);
        ::posix_spawnattr_setpgroup(&value_, 0);
        ::posix_spawnattr_setflags(&value_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    attributes(attributes const&)            = delete;
    attributes& operator=(attributes const&) = delete;
    ~attributes() { ::posix_spawnattr_destroy(&value_); }

    [[nodiscard]] posix_spawnattr_t const* get() const noexcept { return &value_; }

private:
    posix_spawnattr_t value_;
};

std::string_view name_of(std::string_view setting)
{
    return setting.substr(0, setting.find('='));
}

std::vector<std::string> environment_with(std::vector<std::string> const& added)
{
    std::vector<std::string> all = added;
    all.push_back(std::string(launch::marker) + "=1");
    auto const given = all.size();
    for (char** setting = environ; *setting != nullptr; ++setting)
    {
        bool replaced = false;
        for (std::size_t i = 0; i < given && !replaced; ++i)
            replaced = name_of(all[i]) == name_of(*setting);
        if (!replaced)
            all.emplace_back(*setting);
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts)
{
    std::vector<char*> result;
    for (auto& text : texts)
        result.push_back(text.data());
    result.push_back(nullptr);
    return result;
}

} // namespace

spawned spawn(std::string const& role, arguments const& given, std::vector<std::string> const& environment, int trace)
{
    spawned    made;
    descriptor input;
    descriptor output;
    descriptor lifeline;
    std::tie(made.input, input)       = make_input();
    std::tie(made.output, output)     = make_pipe();
    std::tie(lifeline, made.lifeline) = make_pipe();
    descriptor const page             = out_of_the_way(trace);

    actions files;
    files.place(input.get(), STDIN_FILENO);
    files.place(output.get(), STDOUT_FILENO);
    if (!in_role() && std::getenv("ATRIUM_TEST_VERBOSE") == nullptr)
    {
        made.errors = descriptor(checked(::memfd_create("standard error", MFD_CLOEXEC), "spawn: memfd_create"));
        made.errors = out_of_the_way(made.errors.get());
        files.place(made.errors.get(), STDERR_FILENO);
    }
    files.place(lifeline.get(), launch::lifeline);
    files.place(page.get(), launch::trace);
    files.close_from(launch::trace + 1);

    std::vector<std::string> words{"atrium-test", "--role", role};
    words.insert(words.end(), given.begin(), given.end());
    auto             settings = environment_with(environment);
    attributes const how;
    checked_error(::posix_spawn(&made.pid, "/proc/self/exe", files.get(), how.get(), pointers(words).data(),
                                pointers(settings).data()),
                  "spawn");
    made.process = descriptor(checked(open_process(made.pid), "spawn: pidfd_open"));
    return made;
}

} // namespace atrium::test
