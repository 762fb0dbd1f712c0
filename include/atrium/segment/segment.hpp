/// \file
/// Named shared memory that survives the death of any of its users.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/segment/attachment.hpp>
#include <atrium/segment/participant.hpp>
#include <atrium/segment/recovery.hpp>
#include <atrium/segment/tags.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace atrium {

/// What the creator chooses holds for everybody; the options marked (opener) are each opener's own.
struct segment_options
{
    std::size_t size = 256u << 10; ///< Bytes that have memory from the start, everything included.
    std::size_t maximum_size =
        0; ///< Bytes it may grow to; 0: the larger of `size` and 1 GiB. A later opener may not ask for more.
    std::uint32_t permissions   = 0600; ///< The file's permission bits, whatever the umask is.
    std::uint32_t participants  = 64;   ///< Processes at a time, 1 to 1024.
    std::uint32_t lanes         = 256;  ///< Threads at a time, of all processes together, 1 to 8192.
    std::uint32_t named_objects = 256;  ///< Places in the directory, 1 to 65535; none in a flat segment.
    std::uint32_t holders_limit = 0;    ///< Refuses further processes beyond so many; 0: as many as there are places.
    std::chrono::milliseconds detection_time{
        100}; ///< After how long a wait asks whether its peer lives; at least 1 ms.
    std::chrono::milliseconds open_timeout{
        0}; ///< (opener) How long to wait for a creator. Somebody who is creating, joining or leaving at this moment is
            ///< waited for up to a second all the same.
    bool        flat       = false; ///< Header and raw bytes only, for peers that do not trust each other.
    bool        keep       = false; ///< Keeps the segment after its last user has left.
    bool        huge_pages = false; ///< Asks the kernel for huge pages.
    bool        prefault   = false; ///< (opener) Makes all pages present at once.
    bool        any_owner  = false; ///< (opener) Also opens what belongs to another user.
    std::string domain{}; ///< (opener) Programs of other domains do not meet this one; empty: `default_domain()`.
};

/// Whether users should go on.
enum class segment_status
{
    open = 1,
    close_requested, ///< somebody asked all holders to leave
    retired,         ///< removed by force: the name is gone, who has it may finish
    forked,          ///< this is a forked child, and the handle its parent's
};

/// A handle to a named shared memory. All handles of a process to one segment share one mapping and one row.
/// \par Thread safety  Different handles may be used at the same time; a const handle by several threads.
/// \par Lifetime  Everything made in the segment keeps the mapping; the segment goes with its last user, unless kept.
/// \par If a process dies  Its traces are removed by whoever notices; the segment stays usable. If it was the last
/// one, the name stays until somebody opens it, or `atrium clean` removes it.
class segment
{
public:
    /// Makes a segment. One that nobody alive uses, and that was not to be kept, makes way.
    /// \par Errors  throws `already_exists`, `name_invalid`, `invalid_argument`, `too_large`, `out_of_memory`,
    /// `permission_denied`, `timed_out`
    segment(create_only_t, std::string_view name, segment_options const& options = {});

    /// Opens a segment.
    /// \par Errors  throws `not_found`, `name_invalid`, `permission_denied`, `wrong_owner`, `not_a_segment`, `too_short`,
    /// `version_mismatch`, `platform_mismatch`, `corrupted`, `larger_maximum`, `closing`, `too_many_participants`,
    /// `too_many_holders`, `segment_retired` (removed by force, and its name is not ours to remove), `recovery_busy`
    /// (all rows are taken, some by the dead, for whom another process is recovering past the deadline), `timed_out`
    segment(open_only_t, std::string_view name, segment_options const& options = {});

    /// Opens a segment, or makes it: of many that try at once, one makes it.
    /// \par Errors  throws as the other two, but for `not_found` and `already_exists`
    segment(open_or_create_t, std::string_view name, segment_options const& options = {});

    /// Maps a segment for reading; the process becomes no participant.
    /// \par Errors  throws as opening does, as far as it concerns the file and its header
    segment(open_read_only_t, std::string_view name, segment_options const& options = {});

    segment(segment&&) noexcept            = default;
    segment& operator=(segment&&) noexcept = default;
    ~segment()                             = default;

    /// Removes the name. Without `force` a segment with living participants is refused; with it, they see `retired`
    /// and go on with what they have. What is no segment is removed by force only.
    /// \par Errors  `not_found`, `name_invalid`, `segment_in_use`, `not_a_segment`, `too_short` and the like for what is
    /// no segment any more, `permission_denied`, `timed_out`
    [[nodiscard]] static result<> remove(std::string_view name, bool force = false, std::string_view domain = {});

    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] std::string const& domain() const noexcept { return domain_; }

    /// True when this handle's constructor made the segment.
    [[nodiscard]] bool created() const noexcept { return created_; }

    /// 128 random bits, new for every creation: two processes that read the same have the same segment.
    [[nodiscard]] std::array<std::uint64_t, 2> creation_id() const noexcept;

    [[nodiscard]] segment_status status() const noexcept;

    /// Bytes that have memory, and what they can become; tables of which the most never gets memory do not count.
    [[nodiscard]] std::uint64_t size() const noexcept;
    [[nodiscard]] std::uint64_t maximum_size() const noexcept
    {
        return attachment_->maximum_size() - attachment_->sparse_size();
    }

    /// This process, as others see it; nobody for a read-only handle.
    [[nodiscard]] participant_id self() const noexcept { return attachment_->self(); }

    /// All participants, the dead ones not yet recovered included.
    [[nodiscard]] std::vector<participant_info> participants() const { return attachment_->participants(); }

    /// The raw bytes of a flat segment, as far as they have memory.
    /// \par Errors  `invalid_argument` for a segment that is not flat; `forked`
    [[nodiscard]] result<std::span<std::byte>> flat_memory() const noexcept;

    /// Lets a flat segment grow to `size` raw bytes; others see them without opening it again.
    /// \par Errors  `out_of_memory`, `too_large`, `invalid_argument`, `forked`, `read_only`, `descriptor_lost`
    [[nodiscard]] result<> grow_flat_memory(std::size_t size);

    /// Asks all others to leave and waits until they have; they see `close_requested`, and nobody new is let in.
    /// \par Errors  `timed_out`: some are still there, and stay asked; `forked`, `read_only`, `descriptor_lost`
    [[nodiscard]] result<> request_close(deadline until);

    /// Removes the traces of dead participants now, rather than when somebody's wait notices; and frees what containers
    /// of counted objects lost at earlier deaths, where these objects have ended since (a walk through the heap).
    /// \par Errors  `recovery_busy`: another process is at it past the deadline, or has taken the row of a dead one over
    /// and has still to recover for it (what could be done for others was done, and reported to callbacks); `forked`,
    /// `read_only`, `descriptor_lost`
    [[nodiscard]] result<recovery_report> recover(deadline until)
    {
        return attachment_->recover(until, attachment::recovery_scope::dead_and_lost);
    }

    /// How many recoveries the segment has seen.
    [[nodiscard]] std::uint64_t recoveries() const noexcept;

    /// Calls `callback` after every recovery that this process does, until the handle returned is gone.
    [[nodiscard]] std::shared_ptr<void> on_recovery(recovery_callback callback) const;

    /// For the parts above.
    [[nodiscard]] std::shared_ptr<atrium::attachment> const& attached() const noexcept { return attachment_; }

private:
    std::string                         name_;
    std::string                         domain_;
    bool                                created_ = false;
    std::shared_ptr<atrium::attachment> attachment_;
};

} // namespace atrium
