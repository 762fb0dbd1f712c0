/// \file
/// The insides of an attachment, shared by the files of this part.
#pragma once

#include "os/fork.hpp"
#include "os/mapping.hpp"
#include "segment/layout.hpp"

#include <atrium/segment/attachment.hpp>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace atrium {

struct attachment::implementation
{
    std::string              file_name;
    std::shared_ptr<os::file> file; ///< shared with the life-cycle lock while that is held
    os::mapping              mapping;
    os::file_status          identity_of_file; ///< device and inode: the stored descriptor is compared before use
    detail::segment_identity identity;         ///< checked copy
    std::uint64_t            generation = 0;   ///< the process in which it was made
    bool                     published  = false; ///< has, or had, a name: it must be left
    participant_id           former;           ///< the dead user whose row was taken over; nobody otherwise

    /// Excludes this process's threads from each other where byte locks are taken: the kernel would let both have one.
    std::timed_mutex locks;
    std::mutex       growth; ///< excludes this process's growers of a flat segment

    std::mutex                                 callbacks_mutex;
    std::map<std::uint64_t, recovery_callback> callbacks;
    std::uint64_t                              next_callback = 1;

    std::array<std::shared_ptr<void>, detail::max_areas> local_states; ///< by part_id

    [[nodiscard]] detail::segment_header&  header() const noexcept;
    [[nodiscard]] detail::participant_row& row(std::uint32_t index) const noexcept;
    [[nodiscard]] detail::lane_row&        lane(std::uint32_t index) const noexcept;
    [[nodiscard]] bool has(detail::segment_flag flag) const noexcept { return (identity.flags & flag) != 0; }

    /// Success while the stored descriptor is still ours. \par Errors  `descriptor_lost`
    [[nodiscard]] error_code check_descriptor() const noexcept;

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
