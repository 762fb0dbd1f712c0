// What the command atrium shows of routers and pipes.
#include "pipe/tool_fixture.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

// Of the routers or the pipes in a document; null where there is none of that name.
boost::json::value named_one(boost::json::value const& all, std::string_view name)
{
    for (auto const& one : all.as_array())
    {
        if (one.at("name").as_string() == name)
            return one;
    }
    return nullptr;
}

using numbers_by_key = std::vector<std::pair<char const*, int>>;

void has(boost::json::value const& of, numbers_by_key const& expected)
{
    BOOST_REQUIRE(of.is_object());
    for (auto const& [key, value] : expected)
        BOOST_TEST(of.at(key).to_number<int>() == value, key << " is " << of.at(key) << ", not " << value);
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_tool, leaves_nothing)

BOOST_AUTO_TEST_CASE(show_tells_routers_and_their_pipes)
{
    scene s;
    child sender = s.start_sender(false);
    BOOST_TEST(*s.own.receive(10s).value() == 0u);

    auto const run = run_tool({"show", s.in.name(), "--json"});
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        auto const document = run.json();
        BOOST_TEST(document.at("problems").as_array().empty());
        BOOST_TEST(document.at("named_objects").as_array().size() == 1u); // the pool
        BOOST_REQUIRE(document.at("routers").as_array().size() == 1u);
        auto const router = named_one(document.at("routers"), "frames");
        has(router, {{"holders", 2}, {"room", 4}, {"senders", 1}, {"history", 3}});
        BOOST_TEST(text(router.at("type")) == "unsigned long");
        BOOST_TEST(!router.at("closed").as_bool());
        BOOST_TEST(!router.at("damaged").as_bool());
        BOOST_REQUIRE(router.at("pipes").as_array().size() == 2u);
        auto const workers = named_one(router.at("pipes"), "workers");
        has(workers, {{"number", 0},
                      {"capacity", 4},
                      {"holders", 1},
                      {"senders", 1},
                      {"depth", 4},
                      {"sent", 5},
                      {"received", 0},
                      {"dropped", 1},
                      {"refused", 0},
                      {"spins", 0},
                      {"sleeps", 0}});
        BOOST_TEST(text(workers.at("state")) == "open");
        BOOST_TEST(text(workers.at("when_full")) == "drop_oldest");
        BOOST_TEST(workers.at("oldest").to_number<std::int64_t>() >= 0);
        auto const own = named_one(router.at("pipes"), "1");
        has(own, {{"number", 1}, {"depth", 3}, {"sent", 4}, {"received", 1}, {"dropped", 0}, {"refused", 1}});
        BOOST_TEST(text(own.at("when_full")) == "fail");
    }
    auto const people = run_tool({"show", s.in.name()});
    BOOST_TEST_CONTEXT(people)
    {
        BOOST_TEST(people.status == 0);
        for (char const* const words : {"Named objects: none\n", "Routers: 1\n", "2 of 4", "Pipes\n",
                                        "frames  workers  open   drop oldest 4", "unsigned long"})
            BOOST_TEST(people.says(words), words);
    }
    end(sender);
}

BOOST_AUTO_TEST_CASE(show_tells_what_is_closed)
{
    scene s;
    s.own.close();
    BOOST_TEST(run_tool({"show", s.in.name()}).says("shut"));
    s.frames.close();
    auto const router = named_one(run_tool({"show", s.in.name(), "--json"}).json().at("routers"), "frames");
    BOOST_TEST(router.at("closed").as_bool());
    for (auto const& pipe : router.at("pipes").as_array())
        BOOST_TEST(text(pipe.at("state")) == "shut");
    segment const flat(create_only, unique_name("flat"), {.flat = true});
    BOOST_TEST(run_tool({"show", flat.name(), "--json"}).json().at("routers").is_null());
    BOOST_TEST(!run_tool({"show", flat.name()}).says("Routers"));
}

BOOST_AUTO_TEST_SUITE_END()
