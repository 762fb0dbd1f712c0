/// \file
/// What a child of a test is made of: a registered function, and its talk with the test that started it.
#pragma once

#include <atrium/base/deadline.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace atrium::test {

/// What a test hands to a role.
using arguments = std::vector<std::string>;

/// A role's code; what it returns is the child's exit code.
using role_function = int (*)(arguments const&);

/// Exit codes of children that did not get as far as their role's own.
enum exit_code : int
{
    exit_not_permitted = 95, ///< A namespace could not be made.
    exit_no_such_role  = 96,
    exit_failed        = 97, ///< fail() was called, or require() not met.
    exit_thrown        = 98, ///< The role let an exception out.
};

/// Makes `role` known under `name`; for ATRIUM_TEST_ROLE.
bool register_role(char const* name, role_function role);

/// True in a child that plays a role, false in the test itself.
[[nodiscard]] bool in_role() noexcept;

/// Runs the role that the command line (`--role NAME arguments...`) names; for main().
int run_role(int argc, char** argv);

/// Tells the test one line, whole, also from several threads.
void say(std::string_view line);

/// The next line that the test sent; nothing when the deadline passes or the test has closed its end.
/// \par Thread safety  One thread at a time.
[[nodiscard]] std::optional<std::string> hear(deadline until = std::chrono::seconds(60));

/// True once the test has sent a line or closed its end; for roles that work until they are told to end.
[[nodiscard]] bool told_to_end() noexcept;

/// Fails the test case; in a role, makes the child exit with `exit_failed`. Either goes on.
/// \par Thread safety  In a test only from the thread that runs it; in a role from any.
void fail(std::string const& what);

/// Throws where `held` is false: ends the test case, or the child with `exit_failed`.
void require(bool held, std::string_view what = "requirement", char const* file = __builtin_FILE(),
             int line = __builtin_LINE());

/// A number to start random choices from: `ATRIUM_SEED` where it is set, else a new one. Printed if the test fails.
[[nodiscard]] std::uint64_t seed();

/// True where `ATRIUM_LONG=1` asks for the long form of a test.
[[nodiscard]] bool long_form();

} // namespace atrium::test

/// Defines what a child of this name does; `arguments` is in scope, what is returned is the exit code. At namespace
/// scope.
#define ATRIUM_TEST_ROLE(name)                                                                                         \
    static int                         atrium_test_role_##name(::atrium::test::arguments const& arguments);            \
    [[maybe_unused]] static bool const atrium_test_role_known_##name =                                                 \
        ::atrium::test::register_role(#name, &atrium_test_role_##name);                                                \
    static int atrium_test_role_##name([[maybe_unused]] ::atrium::test::arguments const& arguments)
