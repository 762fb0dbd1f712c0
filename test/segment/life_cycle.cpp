#include <atrium/segment/segment.hpp>

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"

#include <boost/test/unit_test.hpp>
#include <sys/mman.h>
#include <vector>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

// Opens the segment, and leaves it when told to.
ATRIUM_TEST_ROLE(holder)
{
    segment const s(open_only, arguments.at(0));
    say("attached");
    static_cast<void>(hear());
    return 0;
}

// Creates the segment, and leaves it when told to.
ATRIUM_TEST_ROLE(creator)
{
    segment const s(create_only, arguments.at(0), {.keep = arguments.size() > 1});
    say("attached");
    static_cast<void>(hear());
    return 0;
}

// Leaves as soon as it is asked to.
ATRIUM_TEST_ROLE(polite_holder)
{
    segment const s(open_only, arguments.at(0));
    say("attached");
    require(eventually([&] { return s.status() == segment_status::close_requested; }, 30s), "asked to leave");
    return 0;
}

// Sees what others write, in memory that they add.
ATRIUM_TEST_ROLE(flat_reader)
{
    segment const s(open_only, arguments.at(0));
    say("attached");
    require(hear() == "grown");
    auto const bytes = s.flat_memory().value();
    require(bytes.size() >= 3u << 20, "the growth is seen");
    require(bytes[bytes.size() - 1] == std::byte{42}, "what was written there is seen");
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(segment_life_cycle, leaves_nothing)

BOOST_AUTO_TEST_CASE(the_last_to_leave_removes_the_name)
{
    auto const name = unique_name("life");
    {
        segment const s(create_only, name);
        BOOST_TEST(s.created());
        BOOST_TEST(s.name() == name);
        BOOST_TEST(s.domain() == default_domain());
        BOOST_TEST(s.status() == segment_status::open);
        BOOST_TEST(is_there(name));
    }
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(create_only_refuses_a_name_that_is_taken)
{
    auto const    name = unique_name("taken");
    segment const s(create_only, name);
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    BOOST_TEST(opening(open_only, name) == error_code());
}

BOOST_AUTO_TEST_CASE(open_only_refuses_a_name_that_is_free)
{
    BOOST_TEST(opening(open_only, unique_name("free")) == errc::not_found);
    BOOST_TEST(opening(open_read_only, unique_name("free")) == errc::not_found);
}

BOOST_AUTO_TEST_CASE(open_or_create_says_which_it_did)
{
    auto const    name = unique_name("either");
    segment const made(open_or_create, name);
    segment const opened(open_or_create, name);
    BOOST_TEST(made.created());
    BOOST_TEST(!opened.created());
    BOOST_TEST((made.creation_id() == opened.creation_id()));
}

BOOST_AUTO_TEST_CASE(handles_of_one_process_are_one_participant)
{
    auto const             name = unique_name("shared");
    std::optional<segment> first(std::in_place, create_only, name);
    segment const          second(open_only, name);
    BOOST_TEST(first->self() == second.self());
    BOOST_TEST(first->attached() == second.attached());
    BOOST_TEST(second.participants().size() == 1u);
    first.reset();
    BOOST_TEST(is_there(name));
    BOOST_TEST(count(second, liveness::alive) == 1u);
}

BOOST_AUTO_TEST_CASE(a_moved_handle_goes_on)
{
    auto const    name = unique_name("moved");
    segment       first(create_only, name);
    segment const second(std::move(first));
    BOOST_TEST(second.name() == name);
    BOOST_TEST(count(second, liveness::alive) == 1u);
}

BOOST_AUTO_TEST_CASE(two_segments_are_used_at_once)
{
    auto const    one = unique_name("one");
    auto const    two = unique_name("two");
    segment const first(create_only, one);
    segment const second(create_only, two);
    BOOST_TEST((first.creation_id() != second.creation_id()));
    BOOST_TEST(attachment::containing(first.attached()->base()) == first.attached().get());
    BOOST_TEST(attachment::containing(second.attached()->base()) == second.attached().get());
    BOOST_TEST(attachment::containing(&second) == nullptr);
}

BOOST_AUTO_TEST_CASE(others_are_seen_with_their_pid_and_name)
{
    auto const    name = unique_name("seen");
    segment const s(create_only, name);
    child         other("holder", {name});
    other.wait_for_line("attached", 10s);
    auto const all = s.participants();
    BOOST_REQUIRE(all.size() == 2u);
    for (participant_info const& p : all)
    {
        BOOST_TEST(p.state == liveness::alive);
        BOOST_TEST(p.same_pid_namespace);
        BOOST_TEST(!p.program.empty());
        BOOST_TEST(p.pid == static_cast<std::uint32_t>(p.id == s.self() ? ::getpid() : other.pid()));
    }
    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(s.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(the_name_goes_with_the_last_process_not_with_its_creator)
{
    auto const             name = unique_name("last");
    std::optional<segment> s(std::in_place, create_only, name);
    child                  other("holder", {name});
    other.wait_for_line("attached", 10s);
    s.reset();
    BOOST_TEST(is_there(name));
    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(a_kept_segment_stays_until_it_is_removed)
{
    auto const                   name = unique_name("kept");
    std::array<std::uint64_t, 2> id{};
    {
        segment const s(create_only, name, {.keep = true});
        id = s.creation_id();
    }
    BOOST_TEST(is_there(name));
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    {
        segment const s(open_only, name);
        BOOST_TEST((s.creation_id() == id));
    }
    BOOST_TEST(is_there(name));
    BOOST_TEST(segment::remove(name).has_value());
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(what_the_killed_last_user_left_makes_way_for_a_creator)
{
    auto const name = unique_name("left");
    child      last("creator", {name});
    last.wait_for_line("attached", 10s);
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    last.kill();
    BOOST_TEST(is_there(name));
    segment const s(create_only, name);
    BOOST_TEST(s.created());
    BOOST_TEST(s.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_the_killed_last_user_left_is_recovered_by_an_opener)
{
    auto const name = unique_name("recovered");
    child      last("creator", {name});
    last.wait_for_line("attached", 10s);
    last.kill();
    segment const s(open_or_create, name);
    BOOST_TEST(!s.created());
    BOOST_TEST(s.participants().size() == 1u);
    BOOST_TEST(s.recoveries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_kept_segment_does_not_make_way)
{
    auto const name = unique_name("stays");
    child      last("creator", {name, "keep"});
    last.wait_for_line("attached", 10s);
    last.kill();
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_CASE(remove_refuses_a_segment_in_use)
{
    auto const name = unique_name("used");
    BOOST_TEST(segment::remove(name).error() == errc::not_found);
    segment const s(create_only, name);
    BOOST_TEST(segment::remove(name).error() == errc::segment_in_use);
    BOOST_TEST(s.status() == segment_status::open);
}

BOOST_AUTO_TEST_CASE(a_forced_removal_is_seen_and_the_name_is_free)
{
    auto const    name = unique_name("forced");
    segment const old(create_only, name, {.flat = true});
    child         other("holder", {name});
    other.wait_for_line("attached", 10s);
    BOOST_TEST(segment::remove(name, true).has_value());
    BOOST_TEST(old.status() == segment_status::retired);
    BOOST_TEST(!is_there(name));

    segment const fresh(create_only, name);
    BOOST_TEST((fresh.creation_id() != old.creation_id()));
    BOOST_TEST(fresh.participants().size() == 1u);
    BOOST_TEST(old.participants().size() == 2u);
    old.flat_memory().value()[0] = std::byte{1}; // whoever has it may finish

    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(is_there(name)); // the last of the old one does not take the new one's name
}

BOOST_AUTO_TEST_CASE(request_close_returns_when_all_others_have_left)
{
    auto const name = unique_name("close");
    segment    s(create_only, name);
    child      one("polite_holder", {name});
    child      two("polite_holder", {name});
    one.wait_for_line("attached", 10s);
    two.wait_for_line("attached", 10s);
    BOOST_TEST(s.request_close(20s).has_value());
    BOOST_TEST(s.status() == segment_status::close_requested);
    BOOST_TEST(s.participants().size() == 1u);
    BOOST_TEST(one.wait(10s) == exited(0));
    BOOST_TEST(two.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(request_close_ends_at_its_deadline_when_a_holder_is_stopped)
{
    auto const name = unique_name("stopped");
    segment    s(create_only, name, {.detection_time = 5ms});
    child      other("polite_holder", {name});
    other.wait_for_line("attached", 10s);
    other.stop();
    BOOST_TEST(s.request_close(30ms).error() == errc::timed_out);
    BOOST_TEST(count(s, liveness::alive) == 2u); // stopped, not dead
    other.resume();
    BOOST_TEST(s.request_close(20s).has_value());
    BOOST_TEST(other.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(request_close_does_not_wait_for_the_dead)
{
    auto const name = unique_name("dead");
    segment    s(create_only, name, {.detection_time = 5ms});
    child      other("holder", {name});
    other.wait_for_line("attached", 10s);
    other.kill();
    BOOST_TEST(s.request_close(20s).has_value());
}

BOOST_AUTO_TEST_CASE(a_closing_segment_lets_nobody_new_in)
{
    auto const             name = unique_name("closing");
    std::optional<segment> s(std::in_place, create_only, name, segment_options{.keep = true});
    child                  other("holder", {name});
    other.wait_for_line("attached", 10s);
    BOOST_TEST(s->request_close(0s).error() == errc::timed_out);
    BOOST_TEST(opening_as_another(name) == errc::closing);
    BOOST_TEST(opening(open_only, name) == error_code()); // this process is in already

    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    s.reset();
    // Who was asked has left: the segment that was kept is an open one again.
    segment const again(open_only, name);
    BOOST_TEST(again.status() == segment_status::open);
    BOOST_TEST(segment::remove(name, true).has_value());
}

BOOST_AUTO_TEST_CASE(the_holders_limit_counts_living_processes)
{
    auto const             name = unique_name("limit");
    std::optional<segment> s(std::in_place, create_only, name, segment_options{.holders_limit = 2});
    child                  other("holder", {name});
    other.wait_for_line("attached", 10s);
    BOOST_TEST(opening_as_another(name) == errc::too_many_holders);
    BOOST_TEST(opening(open_only, name) == error_code()); // this process counts once
    other.kill();
    child fourth("holder", {name});
    fourth.wait_for_line("attached", 10s);
    s.reset();
    BOOST_TEST(is_there(name));
    fourth.close_input();
    BOOST_TEST(fourth.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(a_larger_maximum_is_refused_and_a_smaller_one_ignored)
{
    auto const    name = unique_name("maximum");
    segment const s(create_only, name);
    BOOST_TEST(opening(open_only, name, {.maximum_size = std::size_t{2} << 30}) == errc::larger_maximum);
    segment const smaller(open_only, name, {.maximum_size = 1u << 20});
    BOOST_TEST(smaller.maximum_size() == std::size_t{1} << 30); // what the creator chose holds
}

BOOST_AUTO_TEST_CASE(domains_do_not_meet)
{
    auto const        name  = unique_name("domain");
    std::string const other = default_domain() + "x";
    segment const     here(create_only, name);
    segment const     there(create_only, name, {.domain = other});
    BOOST_TEST((here.creation_id() != there.creation_id()));
    BOOST_TEST(there.domain() == other);
    BOOST_TEST(segment::remove(name, false, "nobodys").error() == errc::not_found);
}

BOOST_AUTO_TEST_CASE(permissions_are_exact_whatever_the_umask_is)
{
    auto const    name = unique_name("mode");
    mode_t const  mask = ::umask(0777);
    segment const s(create_only, name, {.permissions = 0640});
    ::umask(mask);
    struct stat file = {};
    BOOST_REQUIRE(::stat(path_of(name).c_str(), &file) == 0);
    BOOST_TEST((file.st_mode & 07777u) == 0640u);
}

BOOST_AUTO_TEST_CASE(a_reader_is_no_participant_and_changes_nothing)
{
    auto const             name = unique_name("reader");
    std::optional<segment> s(std::in_place, create_only, name, segment_options{.flat = true});
    s->flat_memory().value()[7] = std::byte{9};
    segment reader(open_read_only, name);
    BOOST_TEST(!reader.self());
    BOOST_TEST((reader.creation_id() == s->creation_id()));
    BOOST_TEST((reader.flat_memory().value()[7] == std::byte{9}));
    BOOST_TEST(reader.participants().size() == 1u);
    BOOST_TEST(count(reader, liveness::alive) == 1u);
    BOOST_TEST(reader.recover(0s).error() == errc::read_only);
    BOOST_TEST(reader.request_close(0s).error() == errc::read_only);
    BOOST_TEST(reader.grow_flat_memory(1u << 20).error() == errc::read_only);
    BOOST_TEST(reader.attached()->lane().error() == errc::read_only);
    s.reset();
    BOOST_TEST(!is_there(name)); // a reader keeps no name
    BOOST_TEST((reader.flat_memory().value()[7] == std::byte{9}));
    BOOST_TEST(reader.participants().empty());
}

BOOST_AUTO_TEST_CASE(a_reader_does_not_make_its_process_a_participant_of_later_handles)
{
    auto const    name = unique_name("both");
    segment const first(create_only, name);
    segment const reader(open_read_only, name);
    segment const second(open_only, name);
    BOOST_TEST(second.self() == first.self());
    BOOST_TEST(!reader.self());
}

BOOST_AUTO_TEST_CASE(callbacks_hear_of_a_recovery_until_their_handle_is_gone)
{
    auto const                 name = unique_name("callback");
    segment                    s(create_only, name);
    unsigned                   calls = 0;
    std::optional<std::size_t> dead;
    auto                       handle = s.on_recovery([&](recovery_report const& report) {
        ++calls;
        dead = report.dead.size();
        static_cast<void>(s.recover(0s)); // called without a lock: may use the segment
    });
    BOOST_TEST(s.recover(1s).value().dead.empty());
    BOOST_TEST(calls == 0u); // nobody had died

    for (unsigned expected : {1u, 1u})
    {
        child other("holder", {name});
        other.wait_for_line("attached", 10s);
        other.kill();
        BOOST_TEST(s.recover(5s).value().dead.size() == 1u);
        BOOST_TEST(calls == expected);
        handle.reset();
    }
    BOOST_TEST((dead == 1u));
    BOOST_TEST(s.recoveries() == 2u);
}

BOOST_AUTO_TEST_CASE(flat_memory_grows_under_the_eyes_of_others)
{
    auto const name = unique_name("flat");
    segment    s(create_only, name, {.size = 64u << 10, .maximum_size = 8u << 20, .flat = true});
    auto const before = s.flat_memory().value().size();
    BOOST_TEST(before > 0u);
    child other("flat_reader", {name});
    other.wait_for_line("attached", 10s);
    BOOST_TEST(s.grow_flat_memory(3u << 20).has_value());
    auto const bytes        = s.flat_memory().value();
    bytes[bytes.size() - 1] = std::byte{42};
    BOOST_TEST(bytes.size() >= 3u << 20);
    BOOST_TEST(s.grow_flat_memory(1u << 20).has_value()); // never shrinks
    BOOST_TEST(s.flat_memory().value().size() == bytes.size());
    BOOST_TEST(s.grow_flat_memory(8u << 20).error() == errc::too_large);
    BOOST_TEST(s.grow_flat_memory(SIZE_MAX).error() == errc::too_large);
    other.send_line("grown");
    BOOST_TEST(other.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(only_a_flat_segment_has_flat_memory)
{
    auto const name = unique_name("heap");
    segment    s(create_only, name);
    BOOST_TEST(s.flat_memory().error() == errc::invalid_argument);
    BOOST_TEST(s.grow_flat_memory(1).error() == errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(an_opener_waits_for_its_creator)
{
    auto const  name = unique_name("awaited");
    error_code  code;
    std::thread opener([&] { code = opening(open_only, name, {.open_timeout = 20s}); });
    child       creator("creator", {name});
    creator.wait_for_line("attached", 10s);
    opener.join();
    BOOST_TEST(code == error_code());
    creator.close_input();
    BOOST_TEST(creator.wait(10s) == exited(0));
    BOOST_TEST(opening(open_only, name, {.open_timeout = 5ms}) == errc::not_found);
}

BOOST_AUTO_TEST_CASE(an_empty_segment_touches_little_memory)
{
    auto const    name = unique_name("small");
    segment const s(create_only, name);
    struct stat   file = {};
    BOOST_REQUIRE(::stat(path_of(name).c_str(), &file) == 0);
    BOOST_TEST(file.st_blocks * 512 <= 512 << 10);
}

BOOST_AUTO_TEST_CASE(the_smallest_size_is_enough_for_the_tables)
{
    auto const    name = unique_name("zero");
    segment const s(create_only, name, {.size = 0, .maximum_size = 1, .flat = true});
    BOOST_TEST(s.size() == s.maximum_size());
    BOOST_TEST(opening(open_only, name) == error_code());
}

BOOST_AUTO_TEST_CASE(pages_may_be_huge_and_there_from_the_start)
{
    auto const    name = unique_name("pages");
    segment const s(create_only, name, {.size = 4u << 20, .huge_pages = true, .prefault = true});
    // Whether the kernel gives huge pages is its own affair; that all pages are there can be asked.
    std::vector<unsigned char> present(s.attached()->committed() / 4096);
    BOOST_REQUIRE(::mincore(s.attached()->base(), s.attached()->committed(), present.data()) == 0);
    auto const absent = std::count_if(present.begin(), present.end(), [](unsigned char p) { return (p & 1) == 0; });
    BOOST_TEST(static_cast<std::uint64_t>(absent) * 4096 == s.attached()->sparse_size()); // these never come at once
    segment const again(open_only, name, {.prefault = true});
    BOOST_TEST(again.size() == s.size());
}

BOOST_AUTO_TEST_CASE(the_creators_detection_time_holds)
{
    auto const    name = unique_name("detect");
    segment const s(create_only, name, {.detection_time = 7ms});
    segment const again(open_only, name, {.detection_time = 9ms});
    BOOST_TEST((again.attached()->detection_time() == 7ms));
}

BOOST_AUTO_TEST_SUITE_END()
