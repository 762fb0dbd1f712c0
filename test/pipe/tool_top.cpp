// The command `atrium top`, as scripts read it.
#include "pipe/tool_fixture.hpp"

#include "support/eventually.hpp"
#include "tool/rates.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <csignal>
#include <functional>
#include <optional>
#include <sstream>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

std::vector<std::string> lines_of(std::string const& text)
{
    std::istringstream       from(text);
    std::vector<std::string> all;
    for (std::string line; std::getline(from, line);)
        all.push_back(line);
    return all;
}

// The program, running until it is told to end.
child start_top(std::vector<std::string> more)
{
    more.insert(more.begin(), {"top", "--json", "--interval", "0.02", "--domain", default_domain()});
    return child("tool", more);
}

// Reads refreshes until one is as it should be.
void wait_for(child& top, std::function<bool(boost::json::value const&)> const& is_it)
{
    deadline const until = 30s;
    for (;;)
    {
        auto const line = top.line(until);
        if (!line)
            return fail("no such refresh came");
        if (is_it(boost::json::parse(*line)))
            return;
    }
}

bool has_segment(boost::json::value const& refresh, std::string const& name)
{
    return entry(refresh, name).is_object();
}

// All pipes of a refresh.
std::vector<boost::json::value> pipes_in(boost::json::value const& refresh)
{
    std::vector<boost::json::value> all;
    for (auto const& one : refresh.at("segments").as_array())
    {
        for (auto const& router : one.at("routers").as_array())
            all.insert(all.end(), router.at("pipes").as_array().begin(), router.at("pipes").as_array().end());
    }
    return all;
}

constexpr std::array rate_keys = {"sent_rate", "received_rate", "dropped_rate"};

void stop(child& top, int signal)
{
    BOOST_TEST(::kill(top.pid(), signal) == 0);
    BOOST_TEST(top.wait(30s) == exited(0));
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_tool_top, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_rate_is_told_only_where_it_can_be_true)
{
    using tool::rate_of;
    BOOST_TEST(rate_of(10, 30, 1, 2s).value() == 10.0);
    BOOST_TEST(rate_of(10, 10, 1, 2s).value() == 0.0);
    BOOST_TEST(rate_of(10, 9, 1, 2s).value() == 0.0); // read between two counters
    BOOST_TEST(!rate_of(10, 8, 1, 2s).has_value());   // a sender has ended
    BOOST_TEST(!rate_of(10, 30, 1, 0s).has_value());
    BOOST_TEST(!rate_of(10, 30, 1, -1s).has_value());
    BOOST_TEST(!rate_of(10, ~std::uint64_t{0}, 1, 1s).has_value());
    BOOST_TEST(!tool::sum(std::nullopt, std::nullopt).has_value());
    BOOST_TEST(tool::sum(1.0, std::nullopt).value() == 1.0);
    BOOST_TEST(tool::sum(1.0, 2.0).value() == 3.0);
}

BOOST_AUTO_TEST_CASE(a_line_is_written_for_each_pipe_and_refresh)
{
    scene      s;
    child      sender = s.start_sender(false);
    auto const run    = run_tool({"top", s.in.name(), "--count", "2", "--interval", "0.01"});
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        BOOST_TEST(run.err.empty());
        BOOST_TEST(!run.says("\x1b"));
        auto const lines = lines_of(run.out);
        BOOST_REQUIRE(lines.size() == 4u);
        for (std::string const& line : lines)
        {
            BOOST_TEST(line.starts_with("20"));
            BOOST_TEST((line.find("Z " + default_domain() + "/" + s.in.name() + " frames:") != std::string::npos));
            BOOST_TEST((line.find(" state=open alive=2 dead=0 holders=1 senders=1 depth=4 ") != std::string::npos));
        }
        BOOST_TEST((lines[0].find(" frames:workers ") != std::string::npos));
        BOOST_TEST((lines[0].find(" sent=5 received=0 dropped=1 refused=0 sent/s=- ") != std::string::npos));
        BOOST_TEST((lines[2].find(" sent/s=0 received/s=0 dropped/s=0") != std::string::npos));
        BOOST_TEST((lines[3].find(" frames:1 ") != std::string::npos));
        BOOST_TEST((lines[3].find(" sent=4 received=0 dropped=0 refused=1 ") != std::string::npos));
    }
    end(sender);
}

BOOST_AUTO_TEST_CASE(json_has_a_document_for_each_refresh_with_what_show_has)
{
    scene      s;
    child      sender = s.start_sender(false);
    auto const run    = run_here({"top", s.in.name(), "--count", "3", "--interval", "0.01", "--json"});
    auto const shown  = run_here({"show", s.in.name(), "--json"}).json();
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        auto const lines = lines_of(run.out);
        BOOST_REQUIRE(lines.size() == 3u);
        for (std::string const& line : lines)
        {
            auto const refresh = boost::json::parse(line);
            BOOST_TEST(text(refresh.at("time")).ends_with('Z'));
            BOOST_TEST(refresh.at("problems").as_array().empty());
            auto const segment = entry(refresh, s.in.name());
            BOOST_REQUIRE(segment.is_object());
            BOOST_TEST(segment.at("alive").to_number<int>() == 2);
            BOOST_TEST(segment.at("dead").to_number<int>() == 0);
            auto router = segment.at("routers").at(0);
            for (auto& pipe : router.at("pipes").as_array())
            {
                for (char const* const key : rate_keys)
                {
                    BOOST_TEST(pipe.at(key).is_null() == (line == lines[0]));
                    pipe.as_object().erase(key);
                }
                pipe.as_object()["oldest"] = 0; // grows
            }
            auto as_shown = shown.at("routers").at(0);
            for (auto& pipe : as_shown.at("pipes").as_array())
                pipe.as_object()["oldest"] = 0;
            BOOST_TEST(router == as_shown);
        }
    }
    end(sender);
}

BOOST_AUTO_TEST_CASE(rates_are_what_goes_through)
{
    scene s;
    child sender = s.start_sender(true);
    child top    = start_top({s.in.name()});
    wait_for(top, [](boost::json::value const& refresh) {
        auto const pipes = pipes_in(refresh);
        return pipes.size() == 2 && pipes[0].at("sent_rate").is_number() &&
               pipes[0].at("sent_rate").to_number<double>() > 0 &&
               pipes[0].at("dropped_rate").to_number<double>() > 0 && // nobody receives
               pipes[1].at("refused").to_number<int>() > 1;
    });
    stop(top, SIGINT);
    end(sender);
}

BOOST_AUTO_TEST_CASE(without_a_name_all_segments_of_the_domain_are_told)
{
    scene         one, two;
    segment const empty(create_only, unique_name("empty"));
    segment const flat(create_only, unique_name("flat"), {.flat = true});
    auto const    run = run_here({"top", "--count", "1", "--json"});
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        BOOST_TEST(run.json().at("segments").as_array().size() == 3u);
        BOOST_TEST(has_segment(run.json(), one.in.name()));
        BOOST_TEST(has_segment(run.json(), two.in.name()));
        BOOST_TEST(entry(run.json(), empty.name()).at("routers").as_array().empty());
    }
    auto const two_of_them = run_tool({"top", one.in.name(), two.in.name(), "--count", "1", "--json"});
    BOOST_TEST(two_of_them.json().at("segments").as_array().size() == 2u);
    BOOST_TEST(run_here({"top", empty.name(), "--count", "1"}).out.empty());
}

BOOST_AUTO_TEST_CASE(segments_may_vanish_and_come_again)
{
    std::optional<scene> s(std::in_place);
    std::string const    name    = s->in.name();
    auto const           is_here = [&](boost::json::value const& refresh) { return has_segment(refresh, name); };
    auto const           is_gone = [&](boost::json::value const& refresh) { return !has_segment(refresh, name); };
    child                named   = start_top({name});
    child                any     = start_top({});
    for (child* top : {&named, &any})
        wait_for(*top, is_here);
    s.reset();
    for (child* top : {&named, &any})
        wait_for(*top, is_gone);
    {
        segment const again(create_only, name);
        for (child* top : {&named, &any})
            wait_for(*top, is_here);
    }
    stop(named, SIGINT);
    stop(any, SIGTERM);
}

BOOST_AUTO_TEST_CASE(pipes_that_take_the_place_of_others_have_no_absurd_rates)
{
    scene s;
    child sender = s.start_sender(true);
    child top    = start_top({s.in.name()});
    for (int n = 0; n < 40; ++n)
    {
        wait_for(top, [&](boost::json::value const& refresh) {
            for (auto const& pipe : pipes_in(refresh))
            {
                for (char const* const key : rate_keys)
                {
                    if (!pipe.at(key).is_null())
                        BOOST_TEST((pipe.at(key).to_number<double>() >= 0 && pipe.at(key).to_number<double>() <= 1e10));
                }
            }
            return true;
        });
        auto const dropped = std::move(s.workers);
        s.workers          = s.frames.subscribe({.capacity = 3, .when_full = overflow::drop_oldest});
    }
    stop(top, SIGINT);
    end(sender);
}

BOOST_AUTO_TEST_CASE(misuse_and_what_is_not_there_are_told)
{
    for (std::vector<std::string> const& more : {std::vector<std::string>{"--interval", "0"},
                                                 {"--interval", "-1"},
                                                 {"--interval", "nan"},
                                                 {"--interval", "soon"},
                                                 {"--count", "0"},
                                                 {"--count", "-1"},
                                                 {"--count", "many"},
                                                 {"a/b"}})
    {
        std::vector<std::string> line{"top"};
        line.insert(line.end(), more.begin(), more.end());
        auto const run = run_here(line);
        BOOST_TEST_CONTEXT(run)
        {
            BOOST_TEST(run.status == 2);
            BOOST_TEST(run.out.empty());
            BOOST_TEST(run.complains("atrium"));
        }
    }
    scene         s;
    segment const flat(create_only, unique_name("flat"), {.flat = true});
    auto const    lost = run_here({"top", s.in.name(), unique_name("nowhere"), "--json"});
    BOOST_TEST(lost.status == 3);
    BOOST_TEST(text(lost.json().at("error").at("code")) == "not_found");
    auto const no_heap = run_here({"top", flat.name(), "--json"});
    BOOST_TEST(no_heap.status == 4);
    BOOST_TEST(text(no_heap.json().at("error").at("code")) == "flat_segment");
    auto const full = run_tool({"top", s.in.name()}, " >/dev/full");
    BOOST_TEST(full.status == 4);
    BOOST_TEST(full.complains("cannot write to standard output"));
}

BOOST_AUTO_TEST_CASE(killed_it_leaves_nothing)
{
    scene s;
    child top = start_top({s.in.name()});
    wait_for(top, [&](boost::json::value const& refresh) { return has_segment(refresh, s.in.name()); });
    BOOST_TEST(top.kill() == killed(SIGKILL));
    BOOST_TEST(s.in.participants().size() == 1u);
    BOOST_TEST(run_tool({"show", s.in.name()}).status == 0); // nobody has died
}

BOOST_AUTO_TEST_SUITE_END()
