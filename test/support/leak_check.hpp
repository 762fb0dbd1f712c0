/// \file
/// Names that meet nobody else's, and the check that nothing is left of them.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace atrium::test {

/// Gives this process, and so all its children, a domain of its own. For main().
void isolate_domain();

/// A name that no other call in this process or any other test gives: `prefix` and a number.
[[nodiscard]] std::string unique_name(std::string_view prefix);

/// The files in /dev/shm that belong to this test's domain.
[[nodiscard]] std::set<std::string> shared_files();

/// A fixture: fails the test case if it leaves a file in /dev/shm or a running child process, and removes them.
struct leaves_nothing
{
    leaves_nothing();
    leaves_nothing(leaves_nothing const&)            = delete;
    leaves_nothing& operator=(leaves_nothing const&) = delete;
    ~leaves_nothing();

private:
    std::set<std::string> before_;
};

} // namespace atrium::test
