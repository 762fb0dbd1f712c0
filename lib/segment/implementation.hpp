/// \file
/// The insides of an attachment, shared by the files of this part.
#pragma once

#include "os/fork.hpp"
#include "os/mapping.hpp"
#include "segment/layout.hpp"

#include <atrium/segment/attachment.hpp>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace atrium {

struct attachment::implementation
{
    std::string               file_name;
    std::shared_ptr<os::file> file; ///< shared with the life-cycle lock while that is held
    os::mapping               mapping;
    os::file_status           identity_of_file;   ///< device and inode: the stored descriptor is compared before use
    detail::segment_identity  identity;           ///< checked copy
    std::uint64_t             generation = 0;     ///< the process in which it was made
    bool                      published  = false; ///< has, or had, a name: it must be left

    /// participant_id::word() of the dead user whose row was taken over, until its traces are removed; 0 otherwise.
    std::atomic<std::uint64_t> former{0};

    /// Bytes of a flat segment that are known to be in the file: a peer who is not trusted may write what it likes into
    /// the header, and touching bytes behind the end of the file is SIGBUS.
    mutable std::atomic<std::uint64_t> backed{0};

    /// Excludes this process's threads from each other where byte locks are taken: the kernel would let both have one.
    std::mutex locks;
    std::mutex growth; ///< excludes this process's growers of a flat segment

    std::mutex                                 callbacks_mutex;
    std::map<std::uint64_t, recovery_callback> callbacks;
    std::uint64_t                              next_callback = 1;

    std::array<std::shared_ptr<void>, detail::max_areas> local_states; ///< by part_id

    /// Takes `locks`; what is returned does not own it where the deadline passed.
    [[nodiscard]] std::unique_lock<std::mutex> exclude_threads(deadline until);

    [[nodiscard]] detail::segment_header&  header() const noexcept;
    [[nodiscard]] detail::participant_row& row(std::uint32_t index) const noexcept;
    [[nodiscard]] lane_row&                lane(std::uint32_t index) const noexcept;
    [[nodiscard]] bool has(detail::segment_flag flag) const noexcept { return (identity.flags & flag) != 0; }

    /// Success while the stored descriptor is still ours.
    /// \par Errors  `descriptor_lost`
    [[nodiscard]] error_code check_descriptor() const noexcept;

    /// `size`, as far as the file has it.
    [[nodiscard]] std::uint64_t limit_to_file(std::uint64_t size) const noexcept;

    /// Whether another description holds the participant's byte.
    [[nodiscard]] result<bool> byte_is_held(std::uint32_t row) const noexcept;
};

namespace detail {

[[nodiscard]] constexpr std::uint64_t row_word(std::uint64_t incarnation, row_state state) noexcept
{
    return incarnation * 2 + static_cast<std::uint64_t>(state);
}

[[nodiscard]] constexpr bool is_attached(std::uint64_t word) noexcept
{
    return (word & 1) != 0;
}

[[nodiscard]] constexpr std::uint64_t participant_byte(std::uint32_t row) noexcept
{
    return first_participant_byte + row;
}

} // namespace detail

} // namespace atrium
