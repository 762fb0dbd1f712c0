/// \file
/// The segments of this machine, for people and tools.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/recovery.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace atrium {

/// One segment, or what lies under a segment's name.
struct segment_summary
{
    std::string   name;
    std::string   domain;
    std::string   file;                ///< its name in /dev/shm
    error_code    error;               ///< why the rest could not be told: not a segment, no permission, …
    std::uint64_t size            = 0; ///< bytes that have memory, as the file has it
    std::uint64_t touched         = 0; ///< bytes of memory it takes from the machine
    std::uint64_t maximum_size    = 0; ///< bytes
    std::uint32_t alive           = 0; ///< participants
    std::uint32_t dead            = 0; ///< participants not yet recovered
    std::uint32_t places          = 0; ///< for participants
    std::uint32_t holders_limit   = 0; ///< participants let in at a time; 0: as many as there are places
    std::uint32_t owner           = 0; ///< user id
    std::uint32_t permissions     = 0; ///< permission bits
    bool          kept            = false;
    bool          flat            = false;
    bool          close_requested = false;
    bool          retired         = false; ///< removed by force, by one who died before the name was gone
};

/// All segments of a domain, or of all domains where it is empty, sorted. Attaches to none of them.
[[nodiscard]] std::vector<segment_summary> list_segments(std::string_view domain = {});

/// One segment; `domain` as in `segment_options`. Attaches to nothing.
/// \par Errors  `not_found`, `name_invalid`; what is wrong with a file that is there is said in the summary
[[nodiscard]] result<segment_summary> summarize_segment(std::string_view name, std::string_view domain = {});

/// Joins a segment, removes the traces of its dead participants, and leaves it: if nobody else uses it and it is not
/// kept, it goes with that. Where all places were taken, and one of a dead participant had to be taken over to join,
/// the report has the dead, but not what was done for them, and its duration is zero. \param any_owner  also what
/// belongs to another user
/// \par Errors  as opening a segment and as `segment::recover`
[[nodiscard]] result<recovery_report> recover_segment(std::string_view name, std::string_view domain, deadline until,
                                                      bool any_owner = false);

/// Removes a segment that nobody alive uses. \param kept  also one that was to be kept
/// \par Errors  `not_found`, `segment_in_use` (also when it is to be kept), `wrong_owner`, `permission_denied`,
/// `not_a_segment`, `timed_out`
[[nodiscard]] result<> remove_abandoned_segment(std::string_view name, std::string_view domain, bool kept = false);

/// Removes what lies under a segment's name and cannot be used as one: foreign, short, damaged, of another version or
/// platform. What can be used as a segment is never removed, nor what somebody holds as participants do.
/// \par Errors  `not_found`, `segment_in_use`, `permission_denied`, `timed_out`, `name_invalid`
[[nodiscard]] result<> remove_unusable_file(std::string_view name, std::string_view domain);

} // namespace atrium
