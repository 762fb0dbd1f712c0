/// \file
/// Processes that this program starts.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace transfer {

/// This program again, with other arguments. Killed at the end of the object, if it still runs then.
class process
{
public:
    process() = default; ///< None yet: one that has finished.
    explicit process(std::vector<std::string> arguments);
    process(process&& other) noexcept;
    process& operator=(process&& other) noexcept;
    ~process();

    pid_t id() const { return id_; }

    /// True once it has ended by itself. \par Errors  throws `std::runtime_error` where it did not succeed
    bool has_finished();

    /// Ends it with SIGKILL. \returns whether that is what it died of
    bool kill();

private:
    pid_t id_    = 0;
    bool  ended_ = true;
};

} // namespace transfer
