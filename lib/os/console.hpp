/// \file
/// Standard input and output of a program that goes on until it is told to end.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>

#include <cstddef>
#include <memory>
#include <string_view>

namespace atrium::os {

/// Lines and columns of a terminal.
struct screen_size
{
    std::size_t rows    = 24;
    std::size_t columns = 80;
};

/// Why a wait has ended.
enum class console_event
{
    timed_out = 1,
    stop,   ///< SIGINT, SIGTERM, or the key q
    redraw, ///< what was on the screen is to be written again: its size has changed, or the program was stopped
};

/// From its begin on, SIGINT and SIGTERM (unless the program was started with them ignored) end waits instead of the
/// program; afterwards nothing, since it is about to end. While it lives, a screen that it has is empty and without a
/// cursor, and keys are not shown; in the end, and while the program is stopped by SIGTSTP, all is as it was before.
/// \par Thread safety  For a program of one thread, which has one of these.
class console
{
public:
    /// \param wants_screen  where standard output is a terminal
    /// \par Errors  throws `system_error`
    explicit console(bool wants_screen);
    console(console const&)            = delete;
    console& operator=(console const&) = delete;
    ~console();

    [[nodiscard]] bool        has_screen() const noexcept;
    [[nodiscard]] screen_size size() const noexcept;

    /// Sleeps until then, or until something happens.
    [[nodiscard]] console_event wait(deadline until) noexcept;

    /// Writes to standard output; never waits for a reader without hearing of signals.
    /// \returns false when it was told to stop before all was written
    /// \par Errors  what the system says
    [[nodiscard]] result<bool> write(std::string_view text) noexcept;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace atrium::os
