#include "process.hpp"

#include <csignal>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace transfer {

process::process(std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), "transfer");
    std::vector<char*> raw;
    raw.reserve(arguments.size() + 1);
    for (std::string& argument : arguments)
        raw.push_back(argument.data());
    raw.push_back(nullptr);
    if (int const error = posix_spawn(&id_, "/proc/self/exe", nullptr, nullptr, raw.data(), environ); error != 0)
        throw std::runtime_error(std::string("cannot start a process: ") + std::strerror(error));
    ended_ = false;
}

process::process(process&& other) noexcept : id_(other.id_), ended_(std::exchange(other.ended_, true)) {}

process& process::operator=(process&& other) noexcept
{
    std::swap(id_, other.id_);
    std::swap(ended_, other.ended_);
    return *this;
}

process::~process()
{
    kill();
}

bool process::has_finished()
{
    int status = 0;
    if (!ended_ && waitpid(id_, &status, WNOHANG) == id_)
    {
        ended_ = true;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            throw std::runtime_error("process " + std::to_string(id_) + " has failed");
    }
    return ended_;
}

bool process::kill()
{
    if (std::exchange(ended_, true))
        return false;
    int status = 0;
    ::kill(id_, SIGKILL);
    return waitpid(id_, &status, 0) == id_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

} // namespace transfer
