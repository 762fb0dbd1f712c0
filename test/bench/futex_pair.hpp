/// \file
/// Two processes that sleep on futex words and wake each other in turn: the least that a blocking wait can cost.
#pragma once

#include "figure.hpp"

namespace atrium::bench {

enum class sleep
{
    endless, ///< FUTEX_WAIT without a timeout.
    timed,   ///< FUTEX_WAIT_BITSET with an absolute time on the steady clock, which never comes.
};

/// Round trips in microseconds; the peer is pinned to `core`.
[[nodiscard]] probe futex_ping_pong(sleep how, int core);

} // namespace atrium::bench
