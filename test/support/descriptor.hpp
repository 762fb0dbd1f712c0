/// \file
/// A file descriptor that is closed once.
#pragma once

#include <cerrno>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace atrium::test {

/// Throws what `errno` says.
[[noreturn]] inline void throw_errno(char const* what)
{
    throw std::system_error(errno, std::system_category(), what);
}

/// Passes on a system call's answer; throws where it is -1.
inline int checked(int answer, char const* what)
{
    if (answer == -1)
        throw_errno(what);
    return answer;
}

/// Owns a file descriptor.
class descriptor
{
public:
    descriptor() noexcept = default;
    explicit descriptor(int number) noexcept : number_(number) {}
    descriptor(descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept
    {
        std::swap(number_, other.number_);
        return *this;
    }
    ~descriptor() { reset(); }

    [[nodiscard]] int      get() const noexcept { return number_; }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ != -1; }

    void reset() noexcept
    {
        if (number_ != -1)
            ::close(std::exchange(number_, -1));
    }

private:
    int number_ = -1;
};

} // namespace atrium::test
