/// \file
/// Threads that take turns, each up to its deadline.
#pragma once

#include <atrium/base/deadline.hpp>

#include <condition_variable>
#include <mutex>
#include <utility>

namespace atrium::detail {

/// One turn at a time. Not a timed mutex, whose waits the thread sanitizer of g++ 12 does not know.
class turns
{
public:
    /// \returns false where others had it until the deadline
    [[nodiscard]] bool take(deadline until)
    {
        std::unique_lock held(mutex_);
        auto const       is_free = [this] { return !taken_; };
        if (until.is_endless())
            free_.wait(held, is_free);
        else if (!is_free() && !free_.wait_until(held, until.time(), is_free))
            return false;
        taken_ = true;
        return true;
    }

    void give_back() noexcept
    {
        {
            std::lock_guard const held(mutex_);
            taken_ = false;
        }
        free_.notify_one();
    }

private:
    std::mutex              mutex_;
    std::condition_variable free_;
    bool                    taken_ = false;
};

} // namespace atrium::detail
