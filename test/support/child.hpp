/// \file
/// Children of a test: this program again, in a role, under the test's control.
#pragma once

#include "support/crash_points.hpp"
#include "support/exit_status.hpp"
#include "support/role.hpp"

#include <atrium/base/deadline.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace atrium::test {

/// How a child is started. The first five are crash_orders; they count once the role has called arm().
struct child_options
{
    std::uint64_t            crash_at      = 0;  ///< Killed (SIGKILL) at this crash point, counted over all threads.
    std::string              crash_at_name = {}; ///< Killed at the crash point of this name,
    std::uint64_t            stop_at       = 0;  ///< Stopped (SIGSTOP) at this crash point.
    std::string              stop_at_name  = {}; ///< Stopped at the crash point of this name,
    std::uint64_t            hit           = 1;  ///< when the named one is met for this time.
    std::vector<std::string> environment   = {}; ///< Added to the test's own, "NAME=value" each.
    std::size_t              shm_size      = 0;  ///< Bytes of a /dev/shm of its own; 0: sees the test's. Needs root.
    bool own_pids = false;                   ///< Process numbers and a /proc of its own, as in a container. Needs root.
    std::shared_ptr<crash_trace> trace = {}; ///< Where the points met are noted, with orders that replace the above.
};

/// A running child. Its standard error and what it says are printed if the test case fails.
///
/// It holds nothing open of the test's except its standard input and output, and is killed, with what it forks, when
/// this object or the test process ends. Must have been waited for by then: its end is checked, or the test case fails.
/// \par Thread safety  One thread at a time.
class child
{
public:
    /// Starts this program in `role`, which knows `given` as `arguments`.
    explicit child(std::string role, arguments given = {}, child_options options = {});
    child(child&&) noexcept;
    child& operator=(child&&) noexcept;
    ~child();

    /// How it ended, or `running` at the deadline.
    [[nodiscard]] exit_status wait(deadline until);

    /// Kills it (SIGKILL), and returns when the kernel has released all that it had. Counts as waited for, unless it
    /// had ended otherwise before.
    exit_status kill();

    /// Stops it (SIGSTOP), and returns when no thread of it runs.
    void stop();

    /// Lets it go on.
    void resume();

    /// True once it has stopped, by stop(), stop_at or itself; false where it ends or the deadline passes.
    [[nodiscard]] bool wait_stopped(deadline until);

    /// Its next line; nothing when the deadline passes, or it has ended and there is none.
    [[nodiscard]] std::optional<std::string> line(deadline until);

    /// Skips its lines up to this one.
    /// \par Errors  std::runtime_error when the deadline passes or it ends before
    void wait_for_line(std::string_view text, deadline until);

    /// Sends it a line for hear().
    /// \par Errors  std::system_error where it has ended
    void send_line(std::string_view text);

    /// Closes its input: hear() finds nothing more, told_to_end() is true.
    void close_input() noexcept;

    [[nodiscard]] pid_t pid() const noexcept;

    /// The crash points that it has met; also after its death.
    [[nodiscard]] std::uint64_t points_met() const noexcept;
    [[nodiscard]] std::string   last_point() const;

    /// Whether the kernel has its only thread, behind that crash point.
    [[nodiscard]] bool sleeps_at(std::string_view point) const;

private:
    class state;
    std::unique_ptr<state> state_;
};

} // namespace atrium::test
