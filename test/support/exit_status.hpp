/// \file
/// How a child ended, as a value that compares and prints.
#pragma once

#include <csignal>
#include <cstring>
#include <ostream>

namespace atrium::test {

/// Exited with a code, killed by a signal, or still running.
class exit_status
{
public:
    enum class kind
    {
        running,
        exited,
        killed
    };

    constexpr exit_status() noexcept = default;
    constexpr exit_status(kind how, int value) noexcept : how_(how), value_(value) {}

    [[nodiscard]] constexpr bool ended() const noexcept { return how_ != kind::running; }

    friend constexpr bool operator==(exit_status const&, exit_status const&) noexcept = default;

    friend std::ostream& operator<<(std::ostream& to, exit_status const& status)
    {
        switch (status.how_)
        {
        case kind::running:
            return to << "running";
        case kind::exited:
            return to << "exited(" << status.value_ << ')';
        case kind::killed:
            break;
        }
        char const* const name = sigabbrev_np(status.value_);
        to << "killed(";
        return name != nullptr ? to << "SIG" << name << ')' : to << status.value_ << ')';
    }

private:
    kind how_   = kind::running;
    int  value_ = 0;
};

/// Returned from its role, or called exit, with this code.
[[nodiscard]] constexpr exit_status exited(int code) noexcept
{
    return {exit_status::kind::exited, code};
}

/// Ended by this signal.
[[nodiscard]] constexpr exit_status killed(int signal) noexcept
{
    return {exit_status::kind::killed, signal};
}

/// Had not ended by the deadline.
inline constexpr exit_status running{};

} // namespace atrium::test
