/// \file
/// The hook through which a program hears what the library noticed.
#pragma once

#include <string_view>

namespace atrium {

/// How much a log message matters.
enum class severity
{
    info = 1, ///< Something happened that an operator may want to know: a recovery, a growth.
    warning,  ///< Something was refused or found broken, and was dealt with.
};

/// Receives the messages; called on the thread that noticed, never with a lock of the library held.
using log_hook = void (*)(severity, std::string_view message) noexcept;

/// Sets the hook (null: silence, the default); returns the one before. The library itself prints nothing.
/// \par Thread safety  Safe; a message under way may still reach the former hook.
log_hook set_log_hook(log_hook hook) noexcept;

/// Hands a message to the hook, where there is one.
void log(severity level, std::string_view message) noexcept;

} // namespace atrium
