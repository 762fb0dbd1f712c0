/// \file
/// What the children of the running test case said, printed when it fails.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <string_view>

namespace atrium::test {

/// The newest entries of the running test case.
/// \par Thread safety  Safe.
class transcript_list
{
public:
    /// Keeps `entry`; the oldest ones give way.
    void add(std::string entry);

    /// Forgets all; at the start of a test case.
    void clear();

    /// Prints what is kept to standard error.
    void print();

private:
    static constexpr std::size_t most = 12;

    std::mutex              mutex_;
    std::deque<std::string> entries_;
};

/// The list of this process.
[[nodiscard]] transcript_list& transcripts();

/// Clears and prints the list as test cases start and fail; called once, by main().
void watch_test_cases();

/// How many checks of the running test case have failed; 0 where none runs.
[[nodiscard]] unsigned long failures_so_far();

/// The end of `text`, where it is longer than a reader wants to see.
[[nodiscard]] std::string_view tail(std::string_view text, std::size_t most = 16384);

} // namespace atrium::test
