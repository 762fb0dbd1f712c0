/// \file
/// How fast pipes are, from what they have counted at two moments.
#pragma once

#include <atrium/pipe/routers.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace atrium::tool {

/// References per second; none where it cannot be told.
struct rates
{
    std::optional<double> sent;
    std::optional<double> received;
    std::optional<double> dropped;
};

/// The rate of a counter. A pipe that was read while it went, or that is damaged, has any numbers: what cannot be is not
/// told.
/// \param senders  each of which may have been read at a moment between two of its counters
[[nodiscard]] inline std::optional<double> rate_of(std::uint64_t before, std::uint64_t now, std::uint64_t senders,
                                                   std::chrono::duration<double> passed) noexcept
{
    constexpr double most = 1e10; // per second; more than any machine hands over
    if (!(passed.count() > 0))
        return std::nullopt;
    if (now < before)
        return before - now <= senders ? std::optional(0.0) : std::nullopt;
    double const rate = static_cast<double>(now - before) / passed.count();
    return rate <= most ? std::optional(rate) : std::nullopt;
}

/// Of one pipe, which is the same at both moments.
[[nodiscard]] inline rates rates_between(pipe_info const& before, pipe_info const& now,
                                         std::chrono::duration<double> passed) noexcept
{
    return {rate_of(before.sent, now.sent, 0, passed), rate_of(before.received, now.received, now.senders, passed),
            rate_of(before.dropped, now.dropped, 0, passed)};
}

/// Of several pipes: of those of which it is known.
[[nodiscard]] inline std::optional<double> sum(std::optional<double> a, std::optional<double> b) noexcept
{
    if (!a || !b)
        return a ? a : b;
    return *a + *b;
}
[[nodiscard]] inline rates sum(rates const& a, rates const& b) noexcept
{
    return {sum(a.sent, b.sent), sum(a.received, b.received), sum(a.dropped, b.dropped)};
}

} // namespace atrium::tool
