/// \file
/// What a lane says of a pool for the low-water mark.
#pragma once

#include <algorithm>
#include <cstdint>

namespace atrium::detail {

/// A lane's word in a pool, written by the lane's user: the most that its users have had more than they gave back, and
/// what the last one had when it ended in order. What is out is never more than the sum over all lanes, also when a lane
/// gets another user while what it had made is still there.
class lane_peak
{
public:
    explicit constexpr lane_peak(std::uint64_t word) noexcept : word_(word) {}

    /// Of a lane in use: who is killed leaves it so.
    [[nodiscard]] static constexpr lane_peak in_use(std::int64_t most) noexcept
    {
        return lane_peak(static_cast<std::uint64_t>(std::clamp<std::int64_t>(most, 0, largest)));
    }

    /// Of a lane whose user has ended with so many more taken than given back.
    [[nodiscard]] static constexpr lane_peak ended(std::int64_t most, std::int64_t left) noexcept
    {
        auto const kept = static_cast<std::uint32_t>(std::clamp<std::int64_t>(left, -largest, largest));
        return lane_peak(in_use(most).word() | ended_bit | std::uint64_t{kept} << 32);
    }

    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }

    /// The most.
    [[nodiscard]] constexpr std::int64_t most() const noexcept { return static_cast<std::int64_t>(word_ & largest); }

    /// What the lane's next user begins with: never less than what earlier ones had.
    [[nodiscard]] constexpr std::int64_t left() const noexcept
    {
        return (word_ & ended_bit) != 0 ? static_cast<std::int32_t>(word_ >> 32) : most();
    }

private:
    static constexpr std::int64_t  largest   = (std::int64_t{1} << 31) - 1;
    static constexpr std::uint64_t ended_bit = std::uint64_t{1} << 31;

    std::uint64_t word_;
};

} // namespace atrium::detail
