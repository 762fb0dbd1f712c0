#include "segment/tool_program.hpp"

#include "os/file.hpp"
#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <atrium/memory/heap.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/segment/detail/layout.hpp>
#include <atrium/segment/list.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <sys/prctl.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t block_size = 64u << 10;

bool has(test::arguments const& given, std::string_view word)
{
    return std::find(given.begin(), given.end(), word) != given.end();
}

} // namespace

// Uses a segment, which it makes where there is none, until it is told to end.
ATRIUM_TEST_ROLE(user)
{
    if (has(arguments, "strange_name"))
        ::prctl(PR_SET_NAME, "\x1b[31m\"\xff\\");
    bool const    flat = has(arguments, "flat");
    segment const s(
        open_or_create, arguments.at(0),
        {.participants = has(arguments, "single") ? 1u : 64u, .flat = flat, .keep = has(arguments, "keep")});
    std::optional<named<std::uint64_t>> counter;
    if (!flat)
    {
        counter.emplace(open_or_create, s, "counter", std::uint64_t{7});
        require(heap(s).allocate(block_size, 5s).has_value(), "a block");
    }
    say("attached");
    static_cast<void>(hear());
    return 0;
}

namespace {

// A user that has attached.
child attached_user(test::arguments const& given)
{
    child user("user", given);
    user.wait_for_line("attached", 10s);
    return user;
}

void leave_behind(test::arguments const& given)
{
    attached_user(given).kill();
}

void end(child& user)
{
    user.close_input();
    BOOST_TEST(user.wait(10s) == exited(0));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_tool, leaves_nothing)

BOOST_AUTO_TEST_CASE(help_and_version_are_given_when_asked_for)
{
    auto const general = run_tool({"--help"});
    BOOST_TEST(general.status == 0);
    for (std::string const command : {"list", "show", "recover", "clean"})
    {
        BOOST_TEST(general.says("\n  " + command));
        auto const own = run_tool({command, "--help"});
        BOOST_TEST_CONTEXT(own)
        {
            BOOST_TEST(own.status == 0);
            BOOST_TEST(own.says("Usage: atrium " + command));
            BOOST_TEST(own.says("--json"));
            BOOST_TEST(own.says("Exit status:"));
            BOOST_TEST(own.err.empty());
        }
    }
    auto const version = run_tool({"--version"});
    BOOST_TEST(version.status == 0);
    BOOST_TEST(version.out.starts_with("atrium "));
}

BOOST_AUTO_TEST_CASE(misuse_is_told_apart_and_does_nothing)
{
    std::vector<std::vector<std::string>> const lines = {{},
                                                         {"lst"},
                                                         {"--json"},
                                                         {"list", "--jso"},
                                                         {"list", "--js"},
                                                         {"list", "extra"},
                                                         {"show"},
                                                         {"show", "a", "b"},
                                                         {"show", "a/b"},
                                                         {"show", ""},
                                                         {"show", std::string(64, 'a')},
                                                         {"show", "x", "--domain", "a.b"},
                                                         {"list", "--domain"},
                                                         {"list", "--domain", ""},
                                                         {"clean", "--domain", "../x"},
                                                         {"clean", "--json=yes"},
                                                         {"recover", "x", "--timeout", "-1"},
                                                         {"recover", "x", "--timeout", "soon"},
                                                         {"recover", "x", "--timeout", "nan"}};
    for (auto const& line : lines)
    {
        auto const run = run_tool(line);
        BOOST_TEST_CONTEXT(run)
        {
            BOOST_TEST(run.status == 2);
            BOOST_TEST(run.out.empty());
            BOOST_TEST(run.complains("atrium"));
        }
    }
}

BOOST_AUTO_TEST_CASE(an_output_that_cannot_be_written_is_a_failure)
{
    auto const run = run_tool({"--help"}, " >/dev/full");
    BOOST_TEST(run.status == 4);
    BOOST_TEST(run.complains("cannot write"));
}

BOOST_AUTO_TEST_CASE(list_has_live_dead_kept_and_flat_segments)
{
    auto const live = unique_name("live"), half = unique_name("half"), dead = unique_name("dead"),
               kept = unique_name("kept"), flat = unique_name("flat");
    child one     = attached_user({live});
    child two     = attached_user({half});
    child of_flat = attached_user({flat, "flat"});
    BOOST_TEST(run_here({"list"}).status == 0);
    leave_behind({half});
    leave_behind({dead});
    {
        segment const s(create_only, kept, {.maximum_size = 3u << 20, .keep = true});
    }

    auto const people = run_here({"list"});
    BOOST_TEST_CONTEXT(people)
    {
        BOOST_TEST(people.status == 1);
        for (auto const& name : {live, half, dead, kept, flat})
            BOOST_TEST(people.says(name));
        BOOST_TEST(people.says("abandoned"));
        BOOST_TEST(people.says("3 MiB"));
        BOOST_TEST(people.err.empty());
    }

    auto const run = run_here({"list", "--json"});
    BOOST_TEST(run.status == 1);
    auto const document = run.json();
    BOOST_TEST(document.at("segments").as_array().size() == 5u);
    struct expectation
    {
        std::string const& name;
        char const*        condition;
        int                alive, dead;
        bool               kept, flat;
    };
    for (auto const& e : {expectation{live, "in_use", 1, 0, false, false},
                          {half, "in_use", 1, 1, false, false},
                          {dead, "abandoned", 0, 1, false, false},
                          {kept, "kept", 0, 0, true, false},
                          {flat, "in_use", 1, 0, false, true}})
    {
        auto const one_of = entry(document, e.name);
        BOOST_TEST_CONTEXT(e.name)
        {
            BOOST_REQUIRE(one_of.is_object());
            BOOST_TEST(text(one_of.at("domain")) == default_domain());
            BOOST_TEST(text(one_of.at("path")) == path_of(e.name));
            BOOST_TEST(text(one_of.at("condition")) == e.condition);
            BOOST_TEST(one_of.at("alive").to_number<int>() == e.alive);
            BOOST_TEST(one_of.at("dead").to_number<int>() == e.dead);
            BOOST_TEST(one_of.at("kept").as_bool() == e.kept);
            BOOST_TEST(one_of.at("flat").as_bool() == e.flat);
            BOOST_TEST(one_of.at("size").to_number<std::uint64_t>() == segment(open_read_only, e.name).size());
            BOOST_TEST(text(one_of.at("permissions")) == "0600");
            BOOST_TEST(one_of.at("error").is_null());
        }
    }
    BOOST_TEST(entry(document, kept).at("maximum_size").to_number<int>() == 3 << 20);
    BOOST_TEST(entry(run_tool({"list", "--json"}).json(), live).is_object()); // of all domains
    end(one);
    end(two);
    end(of_flat);
    BOOST_TEST(run_here({"clean", "--kept"}).status == 0);
    BOOST_TEST(run_here({"list"}).says("There is no segment"));
    BOOST_TEST(run_here({"list", "--json"}).json().at("segments").as_array().empty());
}

BOOST_AUTO_TEST_CASE(show_tells_what_is_in_a_segment_and_changes_nothing)
{
    auto const name = unique_name("shown");
    segment    s(create_only, name);
    child      user = attached_user({name, "strange_name"});
    leave_behind({name});
    auto const used = entry(run_here({"list", "--json"}).json(), name);

    auto const run = run_tool({"show", name, "--json"});
    BOOST_TEST(run.status == 1); // one is dead
    auto const document = run.json();
    BOOST_TEST(text(document.at("segment").at("name")) == name);
    BOOST_TEST(text(document.at("segment").at("status")) == "open");
    BOOST_TEST(document.at("segment").at("detection_time").to_number<std::int64_t>() == 100'000'000);
    BOOST_TEST(text(document.at("segment").at("creation_id")).size() == 32u);
    auto const& participants = document.at("participants").as_array();
    BOOST_REQUIRE(participants.size() == 3u);
    BOOST_TEST(participants[0].at("pid").to_number<int>() == ::getpid());
    BOOST_TEST(participants[1].at("pid").to_number<int>() == user.pid());
    BOOST_TEST(text(participants[1].at("program")) == "\\x1b[31m\"\\xff\\");
    BOOST_TEST(text(participants[2].at("state")) == "dead");
    BOOST_TEST(text(participants[2].at("attached_at")).starts_with("20"));
    BOOST_TEST(document.at("heap").at("used_bytes").to_number<std::uint64_t>() >= 2 * block_size);
    auto const& objects = document.at("named_objects").as_array();
    BOOST_REQUIRE(objects.size() == 1u);
    BOOST_TEST(text(objects[0].at("name")) == "counter");
    BOOST_TEST(text(objects[0].at("state")) == "live");
    BOOST_TEST(objects[0].at("size").to_number<int>() == 8);
    BOOST_TEST(document.at("problems").as_array().empty());

    auto const people = run_tool({"show", name});
    BOOST_TEST_CONTEXT(people)
    {
        BOOST_TEST(people.status == 1);
        for (auto const& word : {name, std::to_string(user.pid()), std::string("counter"), std::string("100 ms"),
                                 std::string("\\x1b[31m"), std::string("dead")})
            BOOST_TEST(people.says(word));
        BOOST_TEST(!people.says("\x1b"));
    }
    BOOST_TEST(s.participants().size() == 3u);
    BOOST_TEST(count(s, liveness::dead) == 1u);
    BOOST_TEST(s.recoveries() == 0u);
    BOOST_TEST(s.recover(5s).value().dead.at(0).incarnation() == 3u); // nobody joined but these
    BOOST_TEST(run_tool({"show", name}).status == 0);
    end(user);
    segment const next(open_only, name);
}

BOOST_AUTO_TEST_CASE(show_has_no_heap_for_a_flat_segment)
{
    auto const    name = unique_name("flat");
    segment const s(create_only, name, {.flat = true});
    auto const    run = run_tool({"show", name, "--json"});
    BOOST_TEST(run.status == 0);
    BOOST_TEST(run.json().at("heap").is_null());
    BOOST_TEST(run.json().at("named_objects").is_null());
    BOOST_TEST(run_tool({"show", name}).says("flat"));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_told_with_where_it_is)
{
    auto const    name  = unique_name("elsewhere");
    auto const    other = default_domain().substr(0, 24) + "-other";
    segment const s(create_only, name, {.domain = other});
    for (std::string const command : {"show", "recover"})
    {
        auto const lost = run_tool({command, unique_name("nowhere"), "--json"});
        BOOST_TEST(lost.status == 3);
        BOOST_TEST(text(lost.json().at("error").at("code")) == "not_found");
        BOOST_TEST(lost.complains("atrium list"));
        auto const run = run_tool({command, name});
        BOOST_TEST(run.status == 3);
        BOOST_TEST(run.out.empty());
        BOOST_TEST(run.complains("--domain " + other));
        BOOST_TEST(run_tool({command, name, "--domain", other}).status == 0);
    }
}

BOOST_AUTO_TEST_CASE(recover_reclaims_what_a_killed_process_had)
{
    auto const    name = unique_name("recovered");
    segment const s(create_only, name);
    heap const    h(s);
    auto const    before = h.statistics(5s).value();
    child         victim = attached_user({name});
    auto const    pid    = victim.pid();
    victim.kill();
    BOOST_TEST(h.statistics(5s).value().used_bytes >= before.used_bytes + block_size);

    auto const run = run_tool({"recover", name, "--json"});
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        auto const document = run.json();
        BOOST_REQUIRE(document.at("dead").as_array().size() == 1u);
        BOOST_TEST(document.at("dead").at(0).at("pid").to_number<int>() == pid);
        BOOST_TEST(document.at("complete").as_bool());
        BOOST_TEST(document.at("bytes_reclaimed").to_number<std::uint64_t>() >= block_size);
        BOOST_TEST(document.at("holds_released").to_number<int>() == 1);
        BOOST_TEST(!document.at("removed").as_bool());
    }
    BOOST_TEST(h.statistics(5s).value().used_bytes == before.used_bytes);
    BOOST_TEST(s.participants().size() == 1u);
    BOOST_TEST(s.recoveries() == 1u);

    leave_behind({name});
    auto const people = run_tool({"recover", name});
    BOOST_TEST(people.status == 0);
    BOOST_TEST(people.says("1 participant"));
    BOOST_TEST(people.says("memory reclaimed"));
    BOOST_TEST(h.statistics(5s).value().used_bytes == before.used_bytes);
    BOOST_TEST(run_tool({"recover", name}).says("Nothing to recover"));
}

BOOST_AUTO_TEST_CASE(recover_joins_a_segment_whose_places_are_all_of_the_dead)
{
    for (bool const kept : {false, true})
    {
        auto const name = unique_name("full");
        leave_behind(kept ? test::arguments{name, "single", "keep"} : test::arguments{name, "single"});
        auto const run = run_tool({"recover", name, "--json"});
        BOOST_TEST_CONTEXT(run)
        {
            BOOST_TEST(run.status == 0);
            BOOST_TEST(run.json().at("dead").as_array().size() == 1u);
            BOOST_TEST(!run.json().at("complete").as_bool());
            BOOST_TEST(run.json().at("removed").as_bool() == !kept);
            BOOST_TEST(is_there(name) == kept);
        }
        if (kept)
            BOOST_TEST(segment::remove(name).has_value());
    }
}

BOOST_AUTO_TEST_CASE(recover_says_that_another_process_is_at_it)
{
    auto const    name = unique_name("busy");
    segment const s(create_only, name);
    leave_behind({name});
    auto file = os::open_existing(summarize_segment(name)->file, true);
    BOOST_REQUIRE(file.has_value());
    BOOST_REQUIRE(os::try_lock(*file, detail::recovery_byte).value());
    auto const busy = run_tool({"recover", name, "--timeout", "0.1", "--json"});
    BOOST_TEST(busy.status == 4);
    BOOST_TEST(text(busy.json().at("error").at("code")) == "recovery_busy");
    BOOST_TEST(busy.complains("stopped"));
    BOOST_REQUIRE(os::try_lock(*file, detail::life_cycle_byte).value());
    BOOST_TEST(text(run_tool({"recover", name, "--json"}).json().at("error").at("code")) == "timed_out");
    BOOST_TEST(run_here({"list"}).status == 1); // who looks waits for nobody
    BOOST_TEST(run_tool({"show", name}).status == 1);
    file->close();
    BOOST_TEST(run_tool({"recover", name}).says("1 participant"));
}

BOOST_AUTO_TEST_CASE(clean_removes_what_nobody_alive_uses)
{
    auto const used = unique_name("used"), asleep = unique_name("asleep"), dead = unique_name("dead"),
               kept = unique_name("kept"), flat = unique_name("flat");
    child user    = attached_user({used});
    child stopped = attached_user({asleep, "keep"});
    stopped.stop();
    leave_behind({used});
    leave_behind({dead});
    leave_behind({flat, "flat"});
    leave_behind({kept, "keep"});

    auto const action = [](boost::json::value const& document, std::string const& name) {
        return text(entry(document, name).at("action"));
    };
    auto const dry = run_here({"clean", "--dry-run", "--json"});
    BOOST_TEST(dry.status == 1);
    BOOST_TEST(dry.json().at("dry_run").as_bool());
    BOOST_TEST(dry.json().at("count").to_number<int>() == 2);
    BOOST_TEST(action(dry.json(), dead) == "would_remove");
    BOOST_TEST(action(dry.json(), kept) == "left");
    BOOST_TEST(run_here({"clean", "-n", "--kept"}).says("Would remove 3 segments"));
    for (auto const& name : {used, asleep, dead, kept, flat})
        BOOST_TEST(is_there(name));

    auto const run = run_here({"clean", "--json"});
    BOOST_TEST(run.status == 0);
    BOOST_TEST(action(run.json(), used) == "left");
    BOOST_TEST(action(run.json(), asleep) == "left");
    BOOST_TEST(action(run.json(), dead) == "removed");
    BOOST_TEST(action(run.json(), flat) == "removed");
    BOOST_TEST(run.json().at("bytes").to_number<std::uint64_t>() > 0u);
    BOOST_TEST(!is_there(dead));
    BOOST_TEST(!is_there(flat));
    BOOST_TEST(is_there(kept));

    auto const people = run_here({"clean", "--kept"});
    BOOST_TEST_CONTEXT(people)
    {
        BOOST_TEST(people.status == 0);
        BOOST_TEST(people.says("Removed 1 segment ("));
        BOOST_TEST(!is_there(kept));
        BOOST_TEST(is_there(used));
        BOOST_TEST(is_there(asleep));
    }
    stopped.resume();
    end(stopped);
    end(user);
    BOOST_TEST(run_here({"clean", "--kept", "--json"}).json().at("count").to_number<int>() == 1); // asleep, kept
    BOOST_TEST(run_here({"clean"}).says("Removed 0 segments"));
}

BOOST_AUTO_TEST_SUITE_END()
