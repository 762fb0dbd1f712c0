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
    dead_set(attachment const& in, std::vector<participant_id> dead);

    [[nodiscard]] std::vector<participant_id> const& dead() const noexcept { return dead_; }

    /// True when the participant is one of the dead, or its row has another user by now: nobody is behind that id.
    [[nodiscard]] bool gone(participant_id id) const noexcept;

    /// True when no living thread is behind the lane, and it has not been given back.
    [[nodiscard]] bool lane_is_dead(std::uint32_t lane) const noexcept { return dead_lanes_[lane]; }

private:
    attachment const&           in_;
    std::vector<participant_id> dead_;
    std::vector<bool>           dead_lanes_; ///< fixed from the beginning: all phases are about the same ones
};

/// The hooks of a part; all may be null. Recovery hooks may be run again from the start after a recoverer's death.
struct part
{
    part_id id{};
    std::uint64_t (*area_size)(segment_options const&) = nullptr; ///< bytes of the fixed area

    /// Bytes of an area that gets memory piece by piece (`attachment::commit_sparse`).
    std::uint64_t (*sparse_size)(segment_options const&) = nullptr;

    /// Writes the area of a segment that has no name yet.
    error_code (*format)(attachment&, segment_options const&) = nullptr;

    /// Checks the area of a segment that others may be changing; run at every attach.
    error_code (*validate)(attachment const&) = nullptr;

    /// Makes what the part keeps in this process; it goes with the attachment. Throws `system_error`.
    std::shared_ptr<void> (*attach)(attachment&) = nullptr;

    /// The program has got a handle to the segment; all its copies count as one.
    void (*handle_added)(attachment&) noexcept = nullptr;

    /// The program has dropped one. Whoever keeps `self` keeps the attachment: a part does so while this process still
    /// uses what lies in the segment, and the program has no handle any more.
    void (*handle_dropped)(attachment&, std::shared_ptr<attachment> const& self) noexcept = nullptr;

    /// The calling thread gives its lane back.
    void (*end_lane)(attachment&, std::uint32_t lane) noexcept = nullptr;

    /// Takes back half-done operations.
    error_code (*roll_back)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Closes the open records of dead lanes.
    error_code (*close_records)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Gives back what the dead held.
    error_code (*release)(attachment&, dead_set const&, deadline, recovery_report&) = nullptr;

    /// Whether something may have been lost at earlier deaths that `release` would find by now.
    bool (*may_have_lost)(attachment&) noexcept = nullptr;

    /// Ends a structure of this part that goes by a name in the directory: nobody holds it any more, its blocks are freed
    /// afterwards. Runs user code, without a lock held.
    void (*end_structure)(std::byte* object) noexcept = nullptr;

    /// Runs user code (destructors), without a lock held.
    /// \returns whether it came to an end
    bool (*destroy)(attachment&, deadline, recovery_report&) = nullptr;

    /// What `destroy` of any part has to do that a recovery did not come to: a number, of which only 0 says something. One
    /// part keeps that for all.
    std::uint64_t (*owed_endings)(attachment&) noexcept = nullptr;

    /// All parts have looked since that was so: nothing is owed, unless more is by now.
    void (*endings_done)(attachment&, std::uint64_t owed) noexcept = nullptr;

    /// Gives back what this participant holds, before it leaves. An error leaves it to recovery: the row stays, and is
    /// found dead.
    error_code (*leave)(attachment&) noexcept = nullptr;
};

/// All parts, in the order of their levels; `lib/parts.cpp` knows them.
[[nodiscard]] std::span<part const> all_parts() noexcept;

} // namespace atrium::detail
