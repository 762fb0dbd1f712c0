/// \file
/// The moment at which a wait ends.
#pragma once

#include <chrono>

namespace atrium {

/// Waits without end; a peer's death still ends them.
struct no_deadline_t
{
    explicit constexpr no_deadline_t() = default;
};
inline constexpr no_deadline_t no_deadline{};

/// A moment of the steady clock; made of a duration from now, a time point, or `no_deadline`.
/// A wall clock that is set has no influence.
class deadline
{
public:
    using clock = std::chrono::steady_clock;

    constexpr deadline(no_deadline_t) noexcept : time_(clock::time_point::max()) {}
    constexpr deadline(clock::time_point time) noexcept : time_(time) {}

    /// From now; a duration too long for the clock means no deadline, a negative one has passed.
    template <class Rep, class Period> deadline(std::chrono::duration<Rep, Period> from_now) : time_(clock::now())
    {
        using wide = std::chrono::duration<long double>;
        if (wide(from_now) >= wide(clock::time_point::max() - time_))
            time_ = clock::time_point::max();
        else if (from_now > from_now.zero())
            time_ += std::chrono::ceil<clock::duration>(from_now);
    }

    [[nodiscard]] constexpr clock::time_point time() const noexcept { return time_; }
    [[nodiscard]] constexpr bool              is_endless() const noexcept { return time_ == clock::time_point::max(); }
    [[nodiscard]] bool                        passed() const noexcept { return !is_endless() && clock::now() >= time_; }

    /// What is left; zero once it has passed.
    [[nodiscard]] clock::duration remaining() const noexcept
    {
        if (is_endless())
            return clock::duration::max();
        auto const now = clock::now();
        return now >= time_ ? clock::duration::zero() : time_ - now;
    }

    /// The earlier of the two.
    [[nodiscard]] constexpr deadline earlier(deadline other) const noexcept
    {
        return time_ < other.time_ ? *this : other;
    }

private:
    clock::time_point time_;
};

} // namespace atrium
