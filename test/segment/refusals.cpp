/// Refusals that somebody meets only if another process is killed, or somebody meddles, at the right moment.
#include <atrium/segment/segment.hpp>

#include "segment/crash_roles.hpp"
#include "support/crash_driver.hpp"
#include "support/descriptor.hpp"
#include "support/leak_check.hpp"
#include "support/namespaces.hpp" // not run by root, it may become another user all the same

#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

// As another user, who may use the segment but not remove its name: what opening comes to.
ATRIUM_TEST_ROLE(guest)
{
    constexpr uid_t somebody_else = 65534;
    require(::setgid(somebody_else) == 0 && ::setuid(somebody_else) == 0, "became somebody else");
    segment_options const as_guest{.any_owner = true};
    say(opening(open_only, arguments.at(0), as_guest).message());
    say(opening(open_or_create, arguments.at(0), as_guest).message());
    return 0;
}

// What opening comes to.
ATRIUM_TEST_ROLE(opener)
{
    arm();
    say(opening(open_only, arguments.at(0)).message());
    return 0;
}

// Recovers when told to, and stays.
ATRIUM_TEST_ROLE(recoverer_that_stays)
{
    segment s(open_only, arguments.at(0));
    say("attached");
    static_cast<void>(hear());
    arm();
    require(s.recover(20s).value().dead.size() == 1u);
    disarm();
    say("recovered");
    static_cast<void>(hear());
    return 0;
}

// What creating comes to.
ATRIUM_TEST_ROLE(creator)
{
    arm();
    say(opening(create_only, arguments.at(0), few_places()).message());
    return 0;
}

namespace {

// The file of a process that creates a segment, opened once more; it has no name yet.
descriptor unnamed_file_of(pid_t process)
{
    namespace fs = std::filesystem;
    for (auto const& entry : fs::directory_iterator("/proc/" + std::to_string(process) + "/fd"))
    {
        std::error_code gone;
        auto const      target = fs::read_symlink(entry.path(), gone).string();
        if (!gone && target.starts_with("/dev/shm/#"))
            return descriptor(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    }
    return descriptor();
}

segment with_places(std::string const& name, std::uint32_t participants)
{
    auto places         = few_places();
    places.participants = participants;
    return segment(create_only, name, places);
}

bool lock(descriptor const& file, std::uint64_t byte)
{
    struct flock range = {};
    range.l_type       = F_WRLCK;
    range.l_whence     = SEEK_SET;
    range.l_start      = static_cast<off_t>(byte);
    range.l_len        = 1;
    return ::fcntl(file.get(), F_OFD_SETLK, &range) == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_refusals, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_segment_that_is_removed_half_way_is_retired_to_those_who_may_not_remove_it)
{
    auto const name    = unique_name("retired");
    auto       places  = few_places();
    places.permissions = 0666;
    segment const user(create_only, name, places);
    auto const    as_guest = [&](error_code expected) {
        child guest("guest", {name});
        for (int n = 0; n < 2; ++n)
            BOOST_TEST((guest.line(20s) == expected.message()));
        BOOST_TEST(guest.wait(20s) == exited(0));
    };
    as_guest({});

    child remover("remover", {name, "force"}, {.crash_at_name = "segment.remove.retired"});
    BOOST_TEST(remover.wait(20s) == killed(SIGKILL));
    BOOST_TEST(is_there(name));
    BOOST_TEST(user.status() == segment_status::retired);
    as_guest(errc::segment_retired);
    BOOST_TEST(is_there(name));
    BOOST_TEST(user.participants().size() == 1u);

    segment const fresh(open_or_create, name, places); // the owner may, and so does
    BOOST_TEST(fresh.created());
    as_guest({});
}

BOOST_AUTO_TEST_CASE(an_opener_that_finds_no_place_just_before_one_is_recovered_gets_it)
{
    auto const report = for_every_stop_point([](child_options const& options) {
        auto const name     = unique_name("place");
        segment    survivor = with_places(name, 2);
        leave_a_dead_one(name);
        child opener("opener", {name}, options);
        if (opener.wait_stopped(20s))
        {
            auto const recovered = survivor.recover(100ms);
            BOOST_TEST((recovered || recovered.error() == errc::recovery_busy)); // by the opener itself
            opener.resume();
        }
        BOOST_TEST((opener.line(20s) == error_code().message()));
        auto const status = opener.wait(20s);
        BOOST_TEST(survivor.participants().size() == 1u);
        return status;
    });
    BOOST_TEST(report.names.contains("segment.join.no_free_row"));
    BOOST_TEST(report.failures == 0u);
}

BOOST_AUTO_TEST_CASE(an_opener_that_finds_the_last_place_guarded_waits_for_it_also_if_the_recovery_ends_just_then)
{
    auto const    name = unique_name("place");
    segment const user = with_places(name, 3);
    child         recoverer("recoverer_that_stays", {name}, {.stop_at_name = "segment.recover.rolled_back"});
    recoverer.wait_for_line("attached", 20s);
    leave_a_dead_one(name);
    recoverer.send_line("go");
    BOOST_REQUIRE(recoverer.wait_stopped(20s)); // guards the row of the dead one

    child opener("opener", {name}, {.stop_at_name = "segment.join.no_row"});
    BOOST_REQUIRE(opener.wait_stopped(20s));
    recoverer.resume();
    recoverer.wait_for_line("recovered", 20s);
    opener.resume();
    BOOST_TEST((opener.line(20s) == error_code().message()));
    BOOST_TEST(opener.wait(20s) == exited(0));
    recoverer.close_input();
    BOOST_TEST(recoverer.wait(20s) == exited(0));
    BOOST_TEST(user.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_creator_whose_unnamed_file_is_locked_by_somebody_else_says_so_and_leaves_nothing)
{
    for (std::uint64_t const byte : {detail::life_cycle_byte, detail::first_participant_byte})
    {
        auto const name = unique_name("meddled");
        child      creator("creator", {name}, {.stop_at_name = "segment.create.committed"});
        BOOST_REQUIRE(creator.wait_stopped(20s));
        auto const file = unnamed_file_of(creator.pid());
        BOOST_REQUIRE(static_cast<bool>(file));
        BOOST_TEST(lock(file, byte));
        creator.resume();
        BOOST_TEST((creator.line(20s) == make_error_code(errc::system_failure).message()));
        BOOST_TEST(creator.wait(20s) == exited(0));
        BOOST_TEST(!is_there(name));
    }
}

BOOST_AUTO_TEST_SUITE_END()
