/// \file
/// What a part that keeps an area in segments tells the segment part, which knows none of them.
#pragma once

#include <atrium/segment/attachment.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace atrium::detail {

/// The participants a recovery is for.
class dead_set
{
public:
    dead_set(attachment const& in, std::vector<participant_id> dead) : in_(in), dead_(std::move(dead)) {}

    [[nodiscard]] std::vector<participant_id> const& dead() const noexcept { return dead_; }

    /// True when the participant is one of the dead, or its row has another user by now: nobody is behind that id.
    [[nodiscard]] bool gone(participant_id id) const noexcept;

private:
    attachment const&           in_;
    std::vector<participant_id> dead_;
};

/// The hooks of a part; all may be null. Recovery hooks may be run again from the start after a recoverer's death.
struct part
{
    part_id id{};
    std::uint64_t (*area_size)(segment_options const&) = nullptr; ///< bytes of the fixed area

    /// Writes the area of a segment that has no name yet.
    error_code (*format)(attachment&, segment_options const&) = nullptr;

    /// Checks the area of a segment that others may be changing; run at every attach.
    error_code (*validate)(attachment const&) = nullptr;

    /// Makes what the part keeps in this process; it goes with the attachment.
    std::shared_ptr<void> (*attach)(attachment&) = nullptr;

    /// Takes back half-done operations.
    error_code (*roll_back)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Closes the open records of dead lanes.
    error_code (*close_records)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Gives back what the dead held.
    error_code (*release)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Runs user code (destructors), without a lock held.
    void (*destroy)(attachment&, recovery_report&) = nullptr;

    /// Gives back what this participant holds, before it leaves. An error leaves it to recovery: the row stays, and is
    /// found dead.
    error_code (*leave)(attachment&) noexcept = nullptr;
};

/// All parts, in the order of their levels; `lib/parts.cpp` knows them.
[[nodiscard]] std::span<part const> all_parts() noexcept;

} // namespace atrium::detail
