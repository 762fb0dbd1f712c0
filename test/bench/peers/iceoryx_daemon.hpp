/// \file
/// The daemon of iceoryx, for as long as something is measured.
#pragma once

#include <functional>

namespace atrium::bench::peers {

/// Starts `iox-roudi`, then `measure` in a process of its own, and ends both; also when this process is told to end or
/// its parent dies. Gives the exit status: what `measure` gave, or 1 if it died or the daemon did not start. Leaves
/// nothing behind; another daemon that runs already is in the way, and stays.
[[nodiscard]] int beside_iceoryx_daemon(std::function<int()> const& measure);

} // namespace atrium::bench::peers
