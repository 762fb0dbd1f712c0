/// \file
/// What is chosen when a pool is made.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace atrium {

/// What the maker of a pool chooses; who opens it takes what it finds.
struct pool_options
{
    std::size_t capacity = 64; ///< Elements at a time.
    bool        padded =
        false; ///< Each element begins a cache line, so that processes that write neighbours do not disturb each other.
    bool                      keep = false;     ///< Stays when nobody has it open any more, and it is empty.
    std::chrono::milliseconds patience{10'000}; ///< How long to wait for others who make or end it.
};

/// What the maker of a growing pool chooses; who opens it takes what it finds, but has a patience of its own.
struct growing_pool_options
{
    std::size_t               capacity    = 64;    ///< Elements of the first generation.
    std::uint32_t             factor      = 2;     ///< By which each generation is larger than the one before.
    std::uint32_t             generations = 16;    ///< How many there may be, the first included.
    bool                      padded      = false; ///< As `pool_options::padded`.
    bool                      keep        = false; ///< What is chosen here, and how far it has grown, stays.
    std::chrono::milliseconds patience{10'000};    ///< How long to wait for others who make or end a generation.
};

/// What a pool holds at the moment. Counted from its elements, so it costs time in proportion to the capacity; each
/// number is true for itself.
struct pool_statistics
{
    std::size_t capacity    = 0; ///< elements it can have
    std::size_t outstanding = 0; ///< elements there are, those under construction or destruction included
    std::size_t available   = 0; ///< `capacity - outstanding`
    std::size_t pending     = 0; ///< of the outstanding: dropped, and left to a process that knows their type
    std::size_t low_water   = 0; ///< there were never fewer available; a bound: lanes note their own part of it each
};

} // namespace atrium
