/// \file
/// What runs in which a process is stopped share: the others keep their deadlines.
#pragma once

#include "support/child.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <cstdlib>
#include <future>
#include <string>

namespace atrium::test {

/// Whatever has a deadline of a second or less has answered by then, whoever stands still. Generous: it shows that the
/// deadline counts at all, not how fast a machine is.
inline constexpr std::chrono::seconds answers_within{20};

/// Does on a thread of its own what the others do beside `still`, which is stopped. Where that takes longer than
/// `answers_within`, the check fails, and `still` goes on, so that the others come to an end.
template <class Others> void answers_in_time(child& still, Others others)
{
    auto       done    = std::async(std::launch::async, others);
    bool const in_time = done.wait_for(answers_within) == std::future_status::ready; // by the steady clock
    if (!in_time)
        still.resume();
    done.get();
    BOOST_TEST(in_time, "a deadline passed without an answer while a process was stopped");
}

/// Lets `victim` go on if it is stopped, and returns how it ended.
inline exit_status finish(child& victim, bool stopped)
{
    if (stopped)
        victim.resume();
    return victim.wait(std::chrono::seconds(60));
}

/// While one lives, for_every_stop_point takes one point in `step` on average: for long scenarios. The environment's
/// `ATRIUM_SAMPLE` has precedence, and the long form takes every point.
class sampled
{
public:
    explicit sampled(unsigned step) : set_(std::getenv(variable) == nullptr)
    {
        if (set_)
            ::setenv(variable, std::to_string(step).c_str(), 0);
    }
    sampled(sampled const&)            = delete;
    sampled& operator=(sampled const&) = delete;
    ~sampled()
    {
        if (set_)
            ::unsetenv(variable);
    }

private:
    static constexpr char const* variable = "ATRIUM_SAMPLE";

    bool set_;
};

} // namespace atrium::test
