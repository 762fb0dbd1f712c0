/// Other processes and the objects that they hold, make or destroy: they are waited for, outlived and cleaned up after.
#include <atrium/memory/named.hpp>

#include "memory/memory_fixture.hpp"

#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Talks with the test while it is being constructed.
struct slow
{
    using allocator_type = allocator<std::byte>;
    slow(std::allocator_arg_t, allocator_type const& a) : texts(a)
    {
        texts.emplace_back("a text that is too long to lie in the string itself");
        if (in_role())
        {
            say("inside");
            static_cast<void>(hear());
        }
        texts.emplace_back("another text that is too long to lie in the string itself");
    }
    vector<string> texts;
};

// Talks with the test while it is being destroyed.
struct slow_to_go
{
    explicit slow_to_go() = default;
    ~slow_to_go()
    {
        if (in_role())
        {
            say("inside");
            static_cast<void>(hear());
        }
    }
};

// Known to no other process.
struct unknown
{
    using allocator_type = allocator<std::byte>;
    unknown(std::allocator_arg_t, allocator_type const& a) : it(std::allocator_arg, a) {}
    noted it;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<slow>       = true;
template <> inline constexpr bool atrium::is_shareable<slow_to_go> = true;
template <> inline constexpr bool atrium::is_shareable<unknown>    = true;

namespace {

// Holds what is named until it is told to end, or killed.
ATRIUM_TEST_ROLE(holder)
{
    segment const      s(open_only, arguments.at(0));
    counted const      all(s);
    named<noted> const object(open_or_create, s, arguments.at(1));
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(slow_constructor)
{
    segment const     s(open_only, arguments.at(0));
    named<slow> const object(create_only, s, "slow");
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(slow_destroyer)
{
    segment const s(open_only, arguments.at(0));
    {
        named<slow_to_go> const object(create_only, s, "slow");
        say("ready");
    }
    return 0;
}

ATRIUM_TEST_ROLE(holder_of_unknown)
{
    segment const        s(open_only, arguments.at(0));
    counted const        all(s);
    named<unknown> const object(open_or_create, s, "unknown");
    be_ready_until_told();
    return 0;
}

// Knows no type but that of the counts.
ATRIUM_TEST_ROLE(ignorant_recoverer)
{
    segment s(open_only, arguments.at(0));
    say("ready");
    static_cast<void>(hear());
    auto const report = s.recover(10s).value();
    if (report.objects_pending != 0)
        require(code_of([&] { named<std::uint64_t> const n(open_or_create, s, "unknown"); }) == errc::type_mismatch);
    say(std::to_string(report.objects_destroyed) + " " + std::to_string(report.objects_pending));
    static_cast<void>(hear());
    return 0;
}

ATRIUM_TEST_ROLE(limited_holder)
{
    segment const s(open_only, arguments.at(0));
    try
    {
        named<std::uint64_t> const object(open_or_create, s, "limited", named_options{.holders_limit = 2});
        be_ready_until_told();
        return 0;
    }
    catch (system_error const& e)
    {
        return e.code() == errc::too_many_holders ? 7 : 8;
    }
}

ATRIUM_TEST_ROLE(fills_the_directory)
{
    segment const                     s(open_only, arguments.at(0));
    std::vector<named<std::uint64_t>> all;
    for (int n = 0; n < 12; ++n)
        all.emplace_back(open_or_create, s, "full" + std::to_string(n));
    be_ready_until_told();
    return 0;
}

struct one_segment : leaves_nothing
{
    std::string   name = unique_name("named");
    segment       s{create_only, name, small_segment()};
    counted       all{s};
    std::uint64_t used = used_bytes(s);
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_named_peers, one_segment)

BOOST_AUTO_TEST_CASE(one_that_a_living_process_constructs_is_waited_for)
{
    child c("slow_constructor", {name});
    c.wait_for_line("inside", 30s);
    named_options const hasty{.patience = 30ms};
    BOOST_TEST(code_of([&] { named<slow> const n(open_only, s, "slow", hasty); }) == errc::under_construction);
    BOOST_TEST(code_of([&] { named<slow> const n(open_or_create, s, "slow", hasty); }) == errc::under_construction);
    c.stop();
    BOOST_TEST(code_of([&] { named<slow> const n(open_or_create, s, "slow", hasty); }) == errc::under_construction);
    BOOST_TEST(count(s, liveness::dead) == 0u);
    BOOST_TEST(info_of(s, "slow")->state == named_object_state::constructing);
    c.resume();
    c.send_line("go on");
    named<slow> const object(open_only, s, "slow");
    BOOST_TEST(object->texts.size() == 2u);
    BOOST_TEST(!object.created());
    c.wait_for_line("ready", 30s);
    let_end(c);
}

BOOST_AUTO_TEST_CASE(one_that_a_dead_process_was_constructing_is_reclaimed)
{
    child c("slow_constructor", {name});
    c.wait_for_line("inside", 30s);
    c.kill();
    {
        named<slow> const object(open_or_create, s, "slow"); // it need not wait for anybody's recovery
        BOOST_TEST(object.created());
        BOOST_TEST(object->texts.size() == 2u);
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(one_whose_constructor_dies_while_another_waits_is_constructed_by_the_other)
{
    child c("slow_constructor", {name});
    c.wait_for_line("inside", 30s);
    std::thread other([&] {
        named<slow> const object(open_or_create, s, "slow");
        if (!object.created())
            fail("opened what nobody had made");
    });
    c.kill();
    other.join();
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(one_that_is_being_destroyed_is_waited_for_and_made_anew)
{
    child c("slow_destroyer", {name});
    c.wait_for_line("inside", 30s);
    BOOST_TEST(info_of(s, "slow")->state == named_object_state::dying);
    BOOST_TEST(code_of([&] {
                   named<slow_to_go> const n(open_or_create, s, "slow", named_options{.patience = 30ms});
               }) == errc::under_construction);
    std::thread other([&] {
        named<slow_to_go> const object(open_or_create, s, "slow");
        if (!object.created())
            fail("opened what was going");
    });
    c.send_line("go on");
    BOOST_TEST(c.wait(30s) == exited(0));
    other.join();
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(the_object_of_a_last_holder_that_dies_is_destroyed_by_who_knows_its_type)
{
    child c = ready_child("holder", {name, "lost"});
    {
        named<noted> const known(open_or_create, s, "another"); // from here on this process knows the type
    }
    auto const before = all->destruction_ended.load();
    c.kill();
    auto const report = s.recover(10s).value();
    BOOST_TEST(report.objects_destroyed == 1u);
    BOOST_TEST(report.objects_pending == 0u);
    BOOST_TEST(report.holds_released == 2u); // the counts' as well
    BOOST_TEST(all->destruction_ended.load() == before + 1);
    BOOST_TEST(!info_of(s, "lost"));
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(an_object_whose_type_the_recoverer_does_not_know_is_destroyed_by_the_next_that_does)
{
    child recoverer = ready_child("ignorant_recoverer", {name});
    child c         = ready_child("holder_of_unknown", {name});
    c.kill();
    recoverer.send_line("go");
    BOOST_TEST(recoverer.line(30s).value() == "0 1");
    BOOST_TEST(info_of(s, "unknown")->state == named_object_state::pending);
    BOOST_TEST(all->destruction_began.load() == 0u);
    let_end(recoverer);
    {
        named<unknown> const made(open_or_create, s, "another"); // uses the type
        BOOST_TEST(all->destruction_ended.load() == 1u);
        BOOST_TEST(!info_of(s, "unknown"));
    }
    BOOST_TEST(all->destruction_ended.load() == 2u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_pending_object_is_not_opened_but_made_anew)
{
    child recoverer = ready_child("ignorant_recoverer", {name});
    child c         = ready_child("holder_of_unknown", {name});
    c.kill();
    recoverer.send_line("go");
    BOOST_TEST(recoverer.line(30s).value() == "0 1");
    let_end(recoverer);
    BOOST_TEST(code_of([&] { named<unknown> const n(open_only, s, "unknown"); }) == errc::not_found);
    BOOST_TEST(all->destruction_ended.load() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(an_object_whose_destructor_was_cut_off_is_reclaimed_without_another)
{
    child c("slow_destroyer", {name});
    c.wait_for_line("inside", 30s);
    c.kill();
    auto const report = s.recover(10s).value();
    BOOST_TEST(report.objects_abandoned == 1u);
    BOOST_TEST(report.objects_destroyed == 0u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(opening_keeps_its_deadline_while_a_stopped_process_has_the_heap)
{
    child c = ready_child("holder", {name, "lost"});
    c.kill();
    child recoverer = ready_child("ignorant_recoverer", {name}); // joining, it has recovered; it does not know the type
    BOOST_TEST(info_of(s, "lost")->state == named_object_state::pending);
    child            stopped = stopped_heap_holder(name);
    std::atomic<int> opened{0};
    std::thread      opener([&] {
        for (; opened < 20; ++opened) // where each waits a second for the pending object, they take too long
            if (code_of([&] { named<noted> const n(open_or_create, s, "x", named_options{.patience = 10ms}); }) !=
                errc::timed_out)
                fail("not timed out");
    });
    BOOST_TEST(eventually([&] { return opened == 20; }, 10s));
    opener.join();
    BOOST_TEST(count(s, liveness::dead) == 0u);
    stopped.resume();
    BOOST_TEST(stopped.wait(30s) == exited(0));
    let_end(recoverer);
}

BOOST_AUTO_TEST_CASE(copying_a_handle_waits_for_nobody)
{
    named<noted> const object(create_only, s, "mine");
    child              stopped = stopped_heap_holder(name);
    std::atomic<bool>  tries{false};
    std::thread        opener([&] {
        tries = true;
        static_cast<void>(code_of([&] { named<noted> const n(open_only, s, "mine", named_options{.patience = 60s}); }));
    });
    BOOST_TEST(eventually([&] { return tries.load(); }, 10s));
    // Whether the opener has come to its wait already cannot be seen; many copies meet it there.
    std::atomic<int> copies{0};
    std::thread      copier([&] {
        for (int n = 0; n < 200; ++n)
        {
            named<noted> const copy(object);
            std::this_thread::sleep_for(std::chrono::microseconds(100));
            ++copies;
        }
    });
    BOOST_TEST(eventually([&] { return copies.load() == 200; }, 20s));
    stopped.resume();
    BOOST_TEST(stopped.wait(30s) == exited(0));
    copier.join();
    opener.join();
}

BOOST_AUTO_TEST_CASE(the_dead_do_not_count_against_the_limit)
{
    child one = ready_child("limited_holder", {name});
    child two = ready_child("limited_holder", {name});
    one.kill();
    named<std::uint64_t> const object(open_only, s, "limited");
    BOOST_TEST(info_of(s, "limited")->holders == 2u);
    let_end(two);
}

BOOST_AUTO_TEST_CASE(a_directory_full_of_what_the_dead_held_has_room)
{
    all.~counted(); // its place is needed too
    child c = ready_child("fills_the_directory", {name});
    BOOST_TEST(code_of([&] { named<std::uint64_t> const n(open_or_create, s, "more"); }) == errc::directory_full);
    c.kill();
    {
        named<std::uint64_t> const n(open_or_create, s, "more");
        BOOST_TEST(n.created());
    }
    new (&all) counted(s);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(no_more_processes_hold_it_than_its_limit)
{
    child one = ready_child("limited_holder", {name});
    child two = ready_child("limited_holder", {name});
    child three("limited_holder", {name});
    BOOST_TEST(three.wait(30s) == exited(7));
    BOOST_TEST(info_of(s, "limited")->holders == 2u);
    let_end(one);
    child four = ready_child("limited_holder", {name});
    let_end(four);
    // The same process holds once, however many handles it has.
    named<std::uint64_t> const first(open_only, s, "limited");
    named<std::uint64_t> const second(open_only, s, "limited");
    BOOST_TEST(info_of(s, "limited")->holders == 2u);
    let_end(two);
}

BOOST_AUTO_TEST_CASE(what_is_kept_stays_when_its_last_holder_dies)
{
    {
        named<noted> object(create_only, s, "kept");
        BOOST_TEST(object.set_keep(true, 5s).has_value());
    }
    child c = ready_child("holder", {name, "kept"});
    c.kill();
    BOOST_TEST(s.recover(10s).has_value());
    BOOST_TEST(info_of(s, "kept").has_value()); // a death is an exit like another
    BOOST_TEST(all->constructed.load() == 1u);
    BOOST_TEST(all->destruction_began.load() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
