/// \file
/// The routers and pipes of a segment, for people and tools.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/pipe/pipe_options.hpp>
#include <atrium/segment/segment.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace atrium {

/// What becomes of a pipe at the moment.
enum class pipe_state
{
    open = 1, ///< senders send
    shut,     ///< closed; receivers take what is left
    closing,  ///< nobody receives from it any more
};

/// One pipe. Looked at without a lock: each number is true for itself.
struct pipe_info
{
    std::uint32_t            number     = 0; ///< its place in the router
    std::uint64_t            generation = 0; ///< tells it from others that have its place before or after it
    std::string              name;           ///< without the router's; a number where it was given none
    pipe_state               state     = pipe_state::open;
    overflow                 when_full = overflow::wait;
    std::size_t              capacity  = 0; ///< of each sender
    std::uint32_t            holders   = 0; ///< processes that receive from it
    std::size_t              senders   = 0; ///< that have sent to it
    std::uint64_t            depth     = 0; ///< references in it
    std::uint64_t            sent      = 0; ///< handed over to it
    std::uint64_t            received  = 0; ///< taken out by receivers
    std::uint64_t            dropped   = 0; ///< of those sent: dropped to make room
    std::uint64_t            refused   = 0; ///< found no room
    std::chrono::nanoseconds oldest{0};     ///< how long the oldest has waited; to a few milliseconds
    std::uint64_t            spins = 0;     ///< waits for something to receive that began to spin
    std::uint64_t sleeps = 0; ///< times that a receiver went to sleep; in a long wait, once per detection time
};

/// One router.
struct router_info
{
    std::string            name;
    std::string            type;            ///< of the objects; readable, may be cut
    std::uint32_t          holders = 0;     ///< processes that have it open, or a pipe of it
    bool                   damaged = false; ///< its bytes contradict themselves: nothing but the above is told
    bool                   closed  = false;
    std::size_t            room    = 0; ///< pipes that it can have
    std::size_t            senders = 0; ///< that may send now: threads that have sent, and ordered senders
    std::size_t            history = 0; ///< references that each sender keeps for late joiners
    std::vector<pipe_info> pipes;
};

/// All routers of a segment, which may be attached for reading only.
/// \par Errors  `flat_segment`, `forked`
[[nodiscard]] result<std::vector<router_info>> routers(segment const& in);

/// Words for states and settings.
[[nodiscard]] std::string_view to_string(pipe_state state) noexcept;
[[nodiscard]] std::string_view to_string(overflow when_full) noexcept;

} // namespace atrium
