#include "os/error.hpp"

#include <cerrno>

namespace atrium::os {

error_code error_from(int number) noexcept
{
    switch (number)
    {
    case ENOENT:
        return errc::not_found;
    case EEXIST:
        return errc::already_exists;
    case EACCES:
    case EPERM:
        return errc::permission_denied;
    case ENOSPC:
    case ENOMEM:
    case EDQUOT:
    case EFBIG:
        return errc::out_of_memory;
    case EBADF:
        return errc::descriptor_lost;
    case ELOOP: // a symbolic link where a segment is expected
    case EISDIR:
    case ENXIO:
    case ENODEV:
        return errc::not_a_segment;
    default:
        return {number, boost::system::system_category()};
    }
}

error_code last_error() noexcept
{
    return error_from(errno);
}

} // namespace atrium::os
