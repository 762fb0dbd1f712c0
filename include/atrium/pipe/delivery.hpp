/// \file
/// What became of what was sent.
#pragma once

#include <atrium/base/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace atrium {

/// Why a pipe did not get something.
struct refusal
{
    std::uint32_t pipe;  ///< Its number in the router, as `pipe_info::number`.
    errc          why;   ///< `full`, `timed_out`, `closed`, or what a lack of memory says.
    std::size_t   count; ///< How many references.
};

/// How many pipes got what was sent, and which did not. Of a fixed size: of more refusals than it has room for, they are
/// only counted.
class delivery
{
public:
    static constexpr std::size_t most_refusals = 8;

    delivery() noexcept {} // NOLINT(modernize-use-equals-default): that would write all refusals
    delivery(delivery const& other) noexcept
        : delivered_(other.delivered_), refused_(other.refused_), count_(other.count_)
    {
        std::copy_n(other.refusals_.begin(), count_, refusals_.begin()); // the rest is not written
    }
    delivery& operator=(delivery const& other) noexcept
    {
        delivered_ = other.delivered_;
        refused_   = other.refused_;
        count_     = other.count_;
        std::copy_n(other.refusals_.begin(), count_, refusals_.begin());
        return *this;
    }
    ~delivery() = default;

    /// References handed over: one sent to three pipes that all had room is three.
    [[nodiscard]] std::size_t delivered() const noexcept { return delivered_; }

    /// References not handed over, on the same terms.
    [[nodiscard]] std::size_t refused() const noexcept { return refused_; }

    /// Who did not get something, and why; at most `most_refusals`.
    [[nodiscard]] std::span<refusal const> refusals() const noexcept { return {refusals_.data(), count_}; }

    /// For the library.
    void add_delivered(std::size_t count) noexcept { delivered_ += count; }
    void add_refused(std::uint32_t pipe, errc why, std::size_t count = 1) noexcept
    {
        refused_ += count;
        auto const end = refusals_.begin() + static_cast<std::ptrdiff_t>(count_);
        auto const known =
            std::find_if(refusals_.begin(), end, [&](refusal const& r) { return r.pipe == pipe && r.why == why; });
        if (known != end)
            known->count += count;
        else if (count_ < most_refusals)
            refusals_[count_++] = {pipe, why, count};
    }
    void add(delivery const& other) noexcept
    {
        delivered_ += other.delivered_;
        std::size_t told = 0;
        for (refusal const& r : other.refusals())
        {
            add_refused(r.pipe, r.why, r.count);
            told += r.count;
        }
        refused_ += other.refused_ - told;
    }
    void take_back(std::uint32_t pipe, errc why, std::size_t count) noexcept
    {
        delivered_ -= count;
        add_refused(pipe, why, count);
    }

private:
    std::size_t                        delivered_ = 0;
    std::size_t                        refused_   = 0;
    std::size_t                        count_     = 0; // of refusals_
    std::array<refusal, most_refusals> refusals_;
};

} // namespace atrium
