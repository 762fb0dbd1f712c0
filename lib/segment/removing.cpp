#include "segment/removing.hpp"

#include "os/process.hpp"
#include "segment/attaching.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

// A pipe, a link or the like that somebody has put under the name.
error_code remove_irregular(std::string const& file_name)
{
    auto const named = os::status_of_name(file_name);
    if (!named)
        return named.error();
    return named->regular ? make_error_code(errc::not_a_segment) : os::remove_name(file_name);
}

// Others' names in /dev/shm cannot be removed; seen before anything is changed.
bool may_remove(locked_file const& opening) noexcept
{
    return os::effective_user() == 0 || os::effective_user() == opening.status.owner;
}

error_code mark_retired(locked_file const& opening)
{
    auto in = map_file(opening.file, opening.status, opening.header.identity, true);
    if (!in)
        return in.error();
    if (error_code const error = check_mapping(**in))
        return error;
    (*in)->header().status.fetch_or(status_retired, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.remove.retired");
    return {};
}

} // namespace

bool is_retired(locked_file const& opening) noexcept
{
    return !opening.header_error && (opening.header.status & status_retired) != 0;
}

error_code remove_locked(std::string const& file_name, locked_file const& opening)
{
    // Whoever removes this file's name holds this lock: between the look and the unlink the name cannot change hands.
    auto const named = os::status_of_name(file_name);
    if (!named || !named->same_file(opening.status))
        return errc::not_found;
    ATRIUM_CRASH_POINT("segment.remove.before_unlink");
    error_code const error = os::remove_name(file_name);
    ATRIUM_CRASH_POINT("segment.remove.after_unlink");
    return error;
}

error_code remove(std::string const& file_name, bool force)
{
    auto opening = open_locked(file_name, patience(0ms));
    if (!opening && opening.error() == errc::not_a_segment && force)
        return remove_irregular(file_name);
    if (!opening)
        return opening.error();
    if (!force && opening->header_error)
        return opening->header_error;
    if (!may_remove(*opening))
        return errc::permission_denied;
    auto const alive = anybody_alive(*opening->file);
    if (!alive)
        return alive.error();
    if (*alive && !force && !is_retired(*opening))
        return errc::segment_in_use;
    if (*alive && !opening->header_error)
    {
        if (error_code const error = mark_retired(*opening))
            return error;
    }
    return remove_locked(file_name, *opening);
}

error_code remove_abandoned(std::string const& file_name, bool kept)
{
    auto opening = open_locked(file_name, patience(0ms));
    if (!opening)
        return opening.error() == errc::not_found ? error_code() : opening.error();
    if (opening->header_error)
        return opening->header_error;
    if (!may_remove(*opening))
        return errc::wrong_owner;
    auto const alive = anybody_alive(*opening->file);
    if (!alive)
        return alive.error();
    bool const spared = !kept && (opening->header.identity.flags & flag_keep) != 0;
    if ((*alive || spared) && !is_retired(*opening))
        return errc::segment_in_use;
    error_code const error = remove_locked(file_name, *opening);
    return error == errc::not_found ? error_code() : error;
}

} // namespace atrium::detail
