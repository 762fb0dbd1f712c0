/// References of processes: counted once for each that was got, shared by copies, gone with the last handle or process.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <barrier>
#include <functional>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>

using namespace atrium;
using namespace atrium::test;

namespace {

struct left_part
{
    std::uint64_t left = 1;
};
struct right_part
{
    std::uint64_t right = 2;
};

} // namespace

namespace atrium::test {

// A type in the unnamed namespace would have no name that two programs agree on.
struct both_parts : left_part, right_part
{
    static constexpr bool is_shareable = true;

    both_parts(both_parts const&)            = delete;
    both_parts& operator=(both_parts const&) = delete;
    both_parts() { counts->constructed.fetch_add(1); }
    ~both_parts() { counts->destruction_ended.fetch_add(1); }

    std::uint64_t own = 3;
};

} // namespace atrium::test

namespace {

// Gets as many references to the root's object as it is told, with a copy of each.
ATRIUM_TEST_ROLE(sharer)
{
    segment const                 s(open_only, arguments.at(0));
    counted const                 all(s);
    named<root> const             found(open_only, s, "root");
    std::vector<shared_ptr<node>> handles;
    for (auto left = std::stoul(arguments.at(1)); left != 0; --left)
    {
        handles.push_back(found->object.share().value());
        handles.push_back(handles.back());
    }
    be_ready_until_told();
    return 0;
}

// Everything that a process has at its end refers to one object, and one object each.
ATRIUM_TEST_ROLE(static_holder)
{
    static segment const                 s(open_only, arguments.at(0));
    static counted const                 all(s);
    static std::vector<shared_ptr<node>> handles;
    static pool<node>                    places(open_or_create, s, "static");
    thread_local shared_ptr<node>        of_thread(make_shared<node>(s).value());
    static weak_ptr<node> const          weak(of_thread);
    handles              = {of_thread, make_shared<node>(s).value(), places.make().value()};
    handles.back()->next = handles.front();
    be_ready_until_told();
    return weak.lock().value() == of_thread ? 0 : 1;
}

// Nothing but a handle in static storage keeps the segment.
ATRIUM_TEST_ROLE(static_keeper)
{
    static shared_ptr<node> kept;
    segment const           s(create_only, arguments.at(0), small_segment());
    kept = pool<node>(create_only, s, "pool").make(4u).value();
    be_ready_until_told();
    return kept->value == 4 ? 0 : 1;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("shared_ptr") {}
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_shared_ptr, one_segment)

BOOST_AUTO_TEST_CASE(copies_of_a_handle_share_one_reference)
{
    {
        auto                                first = make_shared<node>(s, 7u).value();
        std::vector<shared_ptr<node>> const copies(10, first);
        BOOST_TEST(first.use_count() == 1u);
        census_is(s, 1, 1);
        BOOST_TEST((copies.back() == first));
        BOOST_TEST(copies.back()->value == 7u);
        first.reset();
        BOOST_TEST((first == nullptr));
        BOOST_TEST(first.use_count() == 0u);
        BOOST_TEST(copies.front().use_count() == 1u);
        BOOST_TEST(all->destruction_ended.load() == 0u);
    }
    BOOST_TEST(all->destruction_ended.load() == 1u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(moving_takes_the_reference_along)
{
    {
        auto             first = make_shared<node>(s, 1u).value();
        shared_ptr<node> moved(std::move(first));
        BOOST_TEST(first.get() == nullptr);
        BOOST_TEST(!first);
        shared_ptr<node> second = make_shared<node>(s, 2u).value();
        std::swap(moved, second);
        BOOST_TEST(moved->value == 2u);
        BOOST_TEST(second->value == 1u);
        moved = std::move(second);
        BOOST_TEST(all->destruction_ended.load() == 1u);
        shared_ptr<node> const& itself(moved);
        moved = itself;
        BOOST_TEST(moved->value == 1u);
        BOOST_TEST(moved.use_count() == 1u);
        first = moved;
        moved = nullptr;
        BOOST_TEST((*first).value == 1u);
        census_is(s, 1, 1);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(handles_are_compared_and_hashed_by_what_they_point_at)
{
    auto const                           one   = make_shared<node>(s).value();
    auto const                           other = make_shared<node>(s).value();
    std::unordered_set<shared_ptr<node>> set{one, other, one};
    BOOST_TEST(set.size() == 2u);
    BOOST_TEST((one != other));
    BOOST_TEST((one == shared_ptr<node const>(one)));
    BOOST_TEST((shared_ptr<node>() == nullptr));
    BOOST_TEST(std::hash<shared_ptr<node>>()(one) == std::hash<node*>()(one.get()));
}

BOOST_AUTO_TEST_CASE(casts_and_parts_keep_the_whole_object)
{
    {
        auto const              whole = make_shared<both_parts>(s).value();
        shared_ptr<right_part>  right(whole);
        shared_ptr<void const>  nothing(whole);
        shared_ptr<left_part>   left = whole;
        shared_ptr<std::size_t> own(whole, &whole->own);
        BOOST_TEST(right->right == 2u);
        BOOST_TEST(static_cast<void const*>(right.get()) != nothing.get());
        BOOST_TEST((static_pointer_cast<both_parts>(right) == whole));
        BOOST_TEST((static_pointer_cast<both_parts>(std::move(left)) == whole));
        BOOST_TEST((left == nullptr));
        shared_ptr<both_parts const> const constant   = whole;
        const_pointer_cast<both_parts>(constant)->own = 5;
        BOOST_TEST(*own == 5u);
        BOOST_TEST(own.use_count() == 1u);
        census_is(s, 1, 1);
    }
    {
        // The destructor is the whole object's, also by way of a part.
        shared_ptr<right_part> last = make_shared<both_parts>(s).value();
        BOOST_TEST(all->destruction_ended.load() == 1u);
        shared_ptr<std::uint64_t> part(last, &last->right);
        last.reset();
        BOOST_TEST(all->destruction_ended.load() == 1u);
        BOOST_TEST(*part == 2u);
    }
    BOOST_TEST(all->destruction_ended.load() == 2u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(the_count_is_of_references_of_all_processes_not_of_copies)
{
    {
        named<root> found(create_only, s, "root", make_shared<node>(s).value());
        auto const  mine = found->object.share().value();
        BOOST_TEST(mine.use_count() == 2u); // the root's and this process's
        auto const again = found->object.share().value();
        BOOST_TEST(mine.use_count() == 3u);
        child one = ready_child("sharer", {name, "1"});
        BOOST_TEST(mine.use_count() == 4u);
        child other = ready_child("sharer", {name, "5"});
        BOOST_TEST(mine.use_count() == 9u);
        census_is(s, 1, 9);
        let_end(one);
        BOOST_TEST(mine.use_count() == 8u);
        other.kill();
        auto const report = s.recover(10s).value();
        BOOST_TEST(report.references_released == 5u);
        BOOST_TEST(mine.use_count() == 3u);
        found = named<root>(create_only, s, "empty");
        BOOST_TEST(mine.use_count() == 2u);
        census_is(s, 1, 2);
        BOOST_TEST(all->destruction_ended.load() == 0u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(threads_copy_and_drop_one_handle_and_get_references_of_their_own)
{
    {
        named<root> const        found(create_only, s, "root", make_shared<node>(s, 3u).value());
        auto                     first = found->object.share().value();
        std::barrier             start(4);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, mine = first]() mutable {
                start.arrive_and_wait();
                for (int n = 0; n < 2000; ++n)
                {
                    auto const copy  = mine;
                    auto const moved = shared_ptr<node>(copy);
                    auto const own   = found->object.share().value();
                    if (moved->value != 3 || own.use_count() < 3)
                        fail("not the object");
                }
                mine.reset();
            });
        first.reset();
        for (std::thread& t : threads)
            t.join();
        census_is(s, 1, 1);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(what_one_thread_makes_another_drops)
{
    for (int round = 0; round < 20; ++round)
    {
        std::vector<shared_ptr<node>> made;
        std::thread([&] {
            for (int n = 0; n < 100; ++n)
                made.push_back(make_shared<node>(s).value());
        }).join();
        BOOST_TEST(all->destruction_ended.load() == static_cast<unsigned>(round) * 100u);
        std::thread([&] { made.clear(); }).join();
        census_is(s, 0, 0);
    }
    BOOST_TEST(all->constructed.load() == 2000u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(handles_of_a_thread_go_with_it_before_and_after_its_lane)
{
    for (bool const early : {true, false})
    {
        std::thread([&] {
            thread_local shared_ptr<node> before; // destroyed after the thread's lane is given back
            before.reset();
            if (early)
                before = make_shared<node>(s).value();
            else
                static_cast<void>(make_shared<node>(s).value());
            thread_local std::vector<shared_ptr<node>> after; // destroyed while there is a lane
            after.push_back(make_shared<node>(s).value());
            after.push_back(before);
            before       = make_shared<node>(s).value();
            before->next = after.front();
        }).join();
        census_is(s, 0, 0);
    }
    BOOST_TEST(all->destruction_ended.load() == 6u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(handles_in_static_storage_go_at_the_end_of_the_process)
{
    child c = ready_child("static_holder", {name});
    census_is(s, 3, 4);
    let_end(c);
    BOOST_TEST(s.participants().size() == 1u);
    BOOST_TEST(all->destruction_ended.load() == 3u);
    is_as_before();
    std::string const other  = unique_name("static_keeper");
    child             keeper = ready_child("static_keeper", {other});
    BOOST_TEST(is_there(other));
    let_end(keeper);
    BOOST_TEST(!is_there(other));
}

BOOST_AUTO_TEST_CASE(a_handle_keeps_pool_and_segment_when_both_are_gone)
{
    for (bool const from_pool : {true, false})
    {
        std::string const               other = unique_name("outlived");
        std::optional<shared_ptr<node>> handle;
        std::optional<shared_ptr<node>> second;
        {
            segment const made(create_only, other, small_segment());
            pool<node>    places(create_only, made, "pool");
            handle          = from_pool ? places.make(8u).value() : make_shared<node>(made, 8u).value();
            second          = from_pool ? places.make().value() : make_shared<node>(made).value();
            (*handle)->next = *second;
        }
        second.reset();
        BOOST_TEST(is_there(other));
        BOOST_TEST((*handle)->value == 8u);
        second = (*handle)->next.share().value();
        BOOST_TEST(second->use_count() == 2u);
        {
            segment const again(open_only, other);
            census_is(again, 2, 3);
        }
        handle.reset();
        BOOST_TEST(is_there(other));
        BOOST_TEST(second->use_count() == 1u);
        second.reset();
        BOOST_TEST(!is_there(other));
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_forked_child_drops_its_parents_handles_without_a_trace)
{
    {
        std::optional<shared_ptr<node>> handle(make_shared<node>(s, 1u).value());
        pool<node>                      places(create_only, s, "pool");
        std::optional<shared_ptr<node>> element(places.make(2u).value());
        weak_ptr<node> const            weak(*element);
        pid_t const                     pid = ::fork();
        if (pid == 0)
        {
            auto const copy  = *handle;
            auto const moved = std::move(*element);
            bool const right = make_shared<node>(s).error() == errc::forked && places.make().error() == errc::forked &&
                               weak.lock().error() == errc::forked && weak.expired() && copy.use_count() == 0 &&
                               places.capacity() == 64 && places.statistics().outstanding == 0 &&
                               code_of([&] { pool<node> const again(open_only, s, "pool"); }) == errc::forked &&
                               code_of([&] { segment_ptr<node> const p(copy); }) == errc::forked;
            handle.reset();
            ::_exit(right ? 0 : 1);
        }
        int status = 0;
        BOOST_TEST(::waitpid(pid, &status, 0) == pid);
        BOOST_TEST(status == 0);
        BOOST_TEST(handle->use_count() == 1u);
        BOOST_TEST((*element)->value == 2u);
        BOOST_TEST(places.statistics().outstanding == 1u);
        census_is(s, 2, 2);
    }
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
