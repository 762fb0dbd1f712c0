/// \file
/// How processes get into namespaces of their own; for test/support itself (tests: namespaces.hpp).
#pragma once

#include "support/descriptor.hpp"

namespace atrium::test {

/// Children that are started while one lives get process numbers of their own; the first becomes their init.
/// \par Thread safety  Concerns the calling thread, which must not start threads meanwhile.
class other_pids
{
public:
    other_pids();
    other_pids(other_pids const&)            = delete;
    other_pids& operator=(other_pids const&) = delete;
    ~other_pids();

private:
    descriptor own_;
};

/// In a child: mounts what its environment asks for. For run_role().
/// \par Errors  std::runtime_error that says what is not permitted
void enter_namespaces();

/// Where this program wants namespaces and is not run by root: starts it again, with main()'s `arguments`, as root of a
/// user namespace that has other users too. For main().
/// \par Errors  std::runtime_error that says what is not permitted
void enter_user_namespace(char const* const* arguments);

/// Says that it wants them, before main().
bool want_namespaces() noexcept;

} // namespace atrium::test
