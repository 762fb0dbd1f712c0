/// \file
/// A segment's file under its life-cycle lock, before there is an attachment.
#pragma once

#include "os/file.hpp"
#include "segment/layout.hpp"

#include <atrium/base/deadline.hpp>

#include <memory>
#include <string>

namespace atrium::detail {

/// Holds the life-cycle byte; lets go when it goes.
class life_cycle_lock
{
public:
    life_cycle_lock() = default;
    life_cycle_lock(life_cycle_lock&& other) noexcept;
    life_cycle_lock& operator=(life_cycle_lock&& other) noexcept;
    ~life_cycle_lock();

    /// Polls until it has the byte: the kernel's own wait knows no deadline.
    /// \par Errors  `timed_out`
    [[nodiscard]] static result<life_cycle_lock> take(std::shared_ptr<os::file const> file, deadline until) noexcept;

    /// Gives the byte back.
    void release() noexcept;

private:
    std::shared_ptr<os::file const> file_;
};

/// An existing file, locked, with its header read and checked.
struct locked_file
{
    std::shared_ptr<os::file> file;
    os::file_status           status;
    life_cycle_lock           lock;
    header_copy               header;       ///< checked, unless there is an error
    error_code                header_error; ///< what is wrong with the header
};

/// Opens, locks, and makes sure that the file still has its name: an opener that was overtaken by the last leaver
/// starts again by name.
[[nodiscard]] result<locked_file> open_locked(std::string const& file_name, deadline until);

/// Reads and checks the header.
/// \par Errors  as `check_header`
[[nodiscard]] result<header_copy> read_header_of(os::file const& file);

/// True when a living participant holds a byte.
[[nodiscard]] result<bool> anybody_alive(os::file const& file) noexcept;

/// How long somebody who is creating, joining or leaving is waited for.
[[nodiscard]] deadline patience(std::chrono::milliseconds open_timeout);

} // namespace atrium::detail
