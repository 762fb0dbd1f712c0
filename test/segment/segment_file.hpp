/// \file
/// What the tests of segments share: the file behind a name, and the codes that constructors throw.
#pragma once

#include "segment/opening.hpp"

#include <atrium/base/error.hpp>
#include <atrium/base/name.hpp>
#include <atrium/segment/segment.hpp>

#include <ostream>
#include <string>
#include <sys/stat.h>
#include <utility>

namespace atrium {

/// For messages of failed checks.
inline std::ostream& operator<<(std::ostream& to, errc code)
{
    return to << make_error_code(code);
}

inline std::ostream& operator<<(std::ostream& to, segment_status status)
{
    return to << static_cast<int>(status);
}

inline std::ostream& operator<<(std::ostream& to, liveness state)
{
    return to << static_cast<int>(state);
}

inline std::ostream& operator<<(std::ostream& to, participant_id id)
{
    return to << id.row() << '/' << id.incarnation();
}

} // namespace atrium

namespace atrium::test {

/// The code that `action` throws; success where it throws nothing.
template <class Action> [[nodiscard]] error_code code_of(Action&& action)
{
    try
    {
        std::forward<Action>(action)();
    }
    catch (system_error const& e)
    {
        return e.code();
    }
    return {};
}

/// The code that opening by this tag comes to.
template <class Tag>
[[nodiscard]] error_code opening(Tag tag, std::string const& name, segment_options const& options = {})
{
    return code_of([&] { segment const opened(tag, name, options); });
}

/// The code that opening comes to for a process that has not opened the segment yet.
[[nodiscard]] inline error_code opening_as_another(std::string const& name, segment_options const& options = {})
{
    detail::unshared_opening const as_another;
    return opening(open_only, name, options);
}

/// Where the segment's file is.
[[nodiscard]] inline std::string path_of(std::string const& name)
{
    return "/dev/shm/atrium." + default_domain() + "." + name;
}

/// True while there is something under the name.
[[nodiscard]] inline bool is_there(std::string const& name)
{
    struct stat s = {};
    return ::lstat(path_of(name).c_str(), &s) == 0;
}

/// How many participants are listed in that state.
[[nodiscard]] inline std::size_t count(segment const& in, liveness state)
{
    std::size_t found = 0;
    for (participant_info const& p : in.participants())
        found += p.state == state ? 1u : 0u;
    return found;
}

} // namespace atrium::test
