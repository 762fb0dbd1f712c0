/// \file
/// What is chosen when a router or a pipe is made.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace atrium {

/// What a sender meets when a pipe has no room for it.
enum class overflow
{
    wait = 1,    ///< It waits until its deadline; pipes with room are served first.
    fail,        ///< This pipe is left out, and the sender told.
    drop_oldest, ///< The oldest reference of this sender in this pipe is dropped, and counted.
};

/// What the maker of a pipe chooses; who opens it takes what it finds, but has a patience of its own.
struct pipe_options
{
    std::size_t   capacity      = 64;             ///< References of each sender, rounded up to a power of two.
    overflow      when_full     = overflow::wait; ///< What a sender meets when there are so many.
    std::size_t   history       = 0; ///< Newest references of each sender to begin with; the router must keep them.
    std::uint32_t holders_limit = 0; ///< Processes that may receive from it; 0: no limit.
    std::chrono::milliseconds patience{10'000}; ///< How long to wait for others who make or close it.
};

/// What the maker of a router chooses; who opens it takes what it finds, but has a patience of its own.
struct router_options
{
    std::size_t pipes           = 64; ///< Receivers at a time, 1 to 65536.
    std::size_t ordered_senders = 16; ///< `ordered_sender`s at a time, 0 to 4096.
    std::size_t history =
        0; ///< Newest references that each sender keeps for late joiners, whoever else got them; they stay until the router goes.
    bool                      keep = false;     ///< Stays when nobody has it open any more.
    std::chrono::milliseconds patience{10'000}; ///< How long to wait for others who make or end it.
};

} // namespace atrium
