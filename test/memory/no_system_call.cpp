/// The hot path makes no system call: it is run under a filter that kills on any but write and exit_group.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/heap.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/sync/doorbell.hpp>

#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
#include <cstddef>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

// Not in the unnamed namespace: there clang takes a member that only concepts look at for unused.
struct door
{
    static constexpr bool is_shareable = true;

    doorbell          bell;
    recoverable_mutex mutex;
};

namespace {

void forbid_system_calls()
{
    // Not the strict mode: that forbids the clock, which makes no system call.
    std::array filter = {
        sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
        sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    sock_fprog const program = {static_cast<unsigned short>(filter.size()), filter.data()};
    require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    require(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

// Everything a program does again and again, when nobody else is in its way.
ATRIUM_TEST_ROLE(busy_one)
{
    segment                           s(create_only, arguments.at(0));
    heap                              memory(s);
    named<door>                       d(create_only, s, "door");
    named<guarded<vector<int>>> const numbers(create_only, s, "numbers");
    numbers->lock(1s).value()->reserve(1000);
    static_cast<void>(memory.deallocate(memory.allocate(64, 1s).value())); // what happens once happens now
    bool const told_to_call = arguments.at(1) == "and calls";
    forbid_system_calls();

    bool good = true;
    for (int n = 0; n < 1000; ++n)
    {
        auto const block = memory.allocate(64, 1s);
        good             = good && block && memory.deallocate(*block);
        auto const seen  = d->bell.look();
        d->bell.ring();
        good = good && d->bell.wait(seen, 1s);
        good = good && d->mutex.lock(1s);
        numbers->lock(1s).value()->push_back(n);
    }
    if (told_to_call)
        ::getppid();
    ::_exit(good ? 0 : 1); // leaving does make system calls: those who come after clean up
}

} // namespace

BOOST_AUTO_TEST_SUITE(memory_no_system_call)

BOOST_FIXTURE_TEST_CASE(the_hot_path_makes_none, leaves_nothing)
{
    std::string const name = unique_name("hot");
    child             c("busy_one", {name, ""});
    BOOST_TEST(c.wait(30s) == exited(0));
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_FIXTURE_TEST_CASE(one_that_is_made_is_seen, leaves_nothing)
{
    std::string const name = unique_name("hot");
    child             c("busy_one", {name, "and calls"});
    BOOST_TEST(c.wait(30s) == killed(SIGSYS));
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
