/// The hot path makes no system call: it is run under a filter that kills on any but write and exit_group.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/heap.hpp>
#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/memory/weak_ptr.hpp>
#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/growing_pool.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/sync/doorbell.hpp>

#include "support/child.hpp"
#include "support/leak_check.hpp"
#include "support/system_calls.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <csignal>
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

struct leaf
{
    explicit leaf(std::uint64_t given = 0) : values{given} {}
    std::array<std::uint64_t, 8> values;
};

struct branch
{
    static constexpr bool is_shareable = true;

    segment_ptr<leaf>   of_heap;
    segment_ptr<leaf>   of_pool;
    segment_ptr<leaf[]> of_runs;
};

namespace {

// Counted references of every kind, each in use in several places.
class leaves
{
public:
    explicit leaves(segment const& in)
        : s_(in),
          pool_(create_only, in, "pool", {.capacity = 64}),
          runs_(create_only, in, "runs", 4, {.capacity = 64}),
          growing_(create_only, in, "growing", {.capacity = 64}),
          branch_(create_only, in, "branch"),
          weak_heap_(heap_ = atrium::make_shared<leaf>(in).value()),
          weak_element_(element_ = pool_.make().value())
    {}

    bool use_once(std::uint64_t n)
    {
        return make_and_drop(n) && copy_and_lock() && link(branch_->of_heap, heap_) &&
               link(branch_->of_pool, element_) && link_fresh_ones(n);
    }

private:
    template <class Made> static bool is_made(Made const& made, std::uint64_t n)
    {
        return made && (*made)->values[0] == n;
    }

    // Each beside another that is there.
    bool make_and_drop(std::uint64_t n)
    {
        auto const in_heap = atrium::make_shared<leaf>(s_, n);
        auto const in_pool = pool_.make(n);
        auto const run     = runs_.make(n);
        auto const grown   = growing_.make(n);
        return is_made(in_heap, n) && is_made(atrium::make_shared<leaf>(s_, n), n) && is_made(in_pool, n) &&
               is_made(pool_.make(n), n) && run && (*run)[3].values[0] == n && runs_.make(n) && is_made(grown, n) &&
               is_made(growing_.make(n), n);
    }

    bool copy_and_lock()
    {
        auto const copy    = heap_;
        auto const another = element_;
        auto const moved   = shared_ptr<leaf>(copy);
        auto const locked  = weak_heap_.lock();
        auto const again   = weak_element_.lock();
        return moved == heap_ && another == element_ && locked && *locked == heap_ && again && *again == element_;
    }

    template <class T> static bool link(segment_ptr<T>& at, shared_ptr<T> const& to)
    {
        at                 = to;
        auto const  shared = at.share();
        segment_ptr copied = at;
        at                 = nullptr;
        at                 = std::move(copied);
        return shared && *shared == to && at.share().has_value();
    }

    // The segment has the last reference to what was there before.
    bool link_fresh_ones(std::uint64_t n)
    {
        return link(branch_->of_heap, atrium::make_shared<leaf>(s_, n).value()) &&
               link(branch_->of_pool, pool_.make(n).value()) && link(branch_->of_pool, growing_.make(n).value()) &&
               link(branch_->of_runs, runs_.make(n).value());
    }

    segment const&     s_;
    pool<leaf>         pool_;
    array_pool<leaf>   runs_;
    growing_pool<leaf> growing_;
    named<branch>      branch_;
    shared_ptr<leaf>   heap_;
    shared_ptr<leaf>   element_;
    weak_ptr<leaf>     weak_heap_;
    weak_ptr<leaf>     weak_element_;
};

// Everything a program does again and again, when nobody else is in its way.
ATRIUM_TEST_ROLE(busy_one)
{
    segment                           s(create_only, arguments.at(0));
    heap                              memory(s);
    named<door>                       d(create_only, s, "door");
    named<guarded<vector<int>>> const numbers(create_only, s, "numbers");
    leaves                            references(s);
    numbers->lock(1s).value()->reserve(1000);
    // What happens once happens now.
    bool       good         = memory.deallocate(memory.allocate(64, 1s).value()) && references.use_once(1);
    bool const told_to_call = arguments.at(1) == "and calls";
    forbid_system_calls();

    for (int n = 0; n < 1000; ++n)
    {
        auto const block = memory.allocate(64, 1s);
        good             = good && block && memory.deallocate(*block);
        auto const seen  = d->bell.look();
        d->bell.ring();
        good = good && d->bell.wait(seen, 1s);
        good = good && d->mutex.lock(1s);
        numbers->lock(1s).value()->push_back(n);
        good = good && references.use_once(static_cast<std::uint64_t>(n));
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
