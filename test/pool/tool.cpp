// What the command atrium shows of pools and counted objects.
#include "segment/tool_program.hpp"

#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/pool.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <vector>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

// Refers to two elements until it is told to end.
ATRIUM_TEST_ROLE(referrer)
{
    segment const       in(open_only, arguments.at(0));
    pool<std::uint64_t> numbers(open_only, in, "numbers");
    auto const          one = numbers.make(1u).value();
    auto const          two = numbers.make(2u).value();
    say("ready");
    static_cast<void>(hear());
    return 0;
}

namespace {

boost::json::value pool_in(boost::json::value const& document, std::string_view name)
{
    for (auto const& one : document.at("pools").as_array())
    {
        if (one.at("name").as_string() == name)
            return one;
    }
    return nullptr;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_tool, leaves_nothing)

BOOST_AUTO_TEST_CASE(show_tells_pools_and_who_refers_to_what)
{
    auto const                              name = unique_name("pools");
    segment const                           in(create_only, name);
    pool<std::uint64_t>                     numbers(create_only, in, "numbers", {.capacity = 10});
    array_pool<std::uint16_t> const         images(create_only, in, "images", 640, {.capacity = 4, .keep = true});
    named<segment_ptr<std::uint64_t>> const last(create_only, in, "last");
    child                                   other("referrer", {name});
    other.wait_for_line("ready", 10s);
    auto const mine = numbers.make(3u).value();
    *last           = mine;
    auto const heap = make_shared<std::uint64_t>(in, 4u).value();

    auto const run = run_tool({"show", name, "--json"});
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 0);
        auto const document = run.json();
        BOOST_TEST(document.at("pools").as_array().size() == 2u);
        auto const found = pool_in(document, "numbers");
        BOOST_REQUIRE(found.is_object());
        BOOST_TEST(text(found.at("type")) == "unsigned long");
        BOOST_TEST(text(found.at("state")) == "live");
        for (auto const& [key, value] : {std::pair{"length", 1},
                                         {"capacity", 10},
                                         {"outstanding", 3},
                                         {"available", 7},
                                         {"pending", 0},
                                         {"low_water", 7},
                                         {"holders", 2}})
            BOOST_TEST(found.at(key).to_number<int>() == value, key);
        BOOST_TEST(found.at("bytes").to_number<int>() > 240);
        BOOST_TEST(!found.at("kept").as_bool());
        auto const& references = found.at("references");
        BOOST_TEST(references.at("in_segment").to_number<int>() == 1);
        auto const& participants = references.at("participants").as_array();
        BOOST_REQUIRE(participants.size() == 2u);
        BOOST_TEST(participants[0].at("count").to_number<int>() == 1);
        BOOST_TEST(participants[1].at("row").to_number<int>() == 1);
        BOOST_TEST(participants[1].at("incarnation").to_number<int>() == 2);
        BOOST_TEST(participants[1].at("count").to_number<int>() == 2);
        BOOST_TEST(pool_in(document, "images").at("length").to_number<int>() == 640);
        BOOST_TEST(pool_in(document, "images").at("kept").as_bool());
        BOOST_TEST(document.at("counted_objects").at("outstanding").to_number<int>() == 1);
        BOOST_TEST(document.at("counted_objects").at("pending").to_number<int>() == 0);
        BOOST_TEST(text(document.at("named_objects").at(0).at("kind")) == "pool");
        BOOST_TEST(text(document.at("named_objects").at(2).at("kind")) == "object");
        BOOST_TEST(document.at("problems").as_array().empty());
    }
    auto const people = run_tool({"show", name});
    BOOST_TEST_CONTEXT(people)
    {
        BOOST_TEST(people.status == 0);
        for (char const* const words : {"Named objects: 1\n", "Counted objects in the heap: 1\n", "Pools: 2\n",
                                        "3 of 10", "live, kept", "unsigned short[640]", "0/1: 1, 1/2: 2, segment: 1\n"})
            BOOST_TEST(people.says(words), words);
    }
    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(show_has_no_pools_for_a_flat_segment)
{
    auto const    name = unique_name("flat");
    segment const in(create_only, name, {.flat = true});
    auto const    document = run_tool({"show", name, "--json"}).json();
    BOOST_TEST(document.at("pools").is_null());
    BOOST_TEST(document.at("counted_objects").is_null());
    BOOST_TEST(!run_tool({"show", name}).says("Pools"));
}

BOOST_AUTO_TEST_CASE(a_damaged_pool_is_a_problem_that_hides_nothing_else)
{
    auto const          name = unique_name("damaged");
    segment const       in(create_only, name);
    pool<std::uint64_t> numbers(create_only, in, "numbers", {.capacity = 10});
    auto const          one = numbers.make(1u).value();
    // The word of the first element lies right behind the table's header, in which the offset of the words is 128.
    auto const word = [&] {
        auto* const base = in.attached()->base();
        for (std::uint64_t at = in.attached()->data_offset(); at < in.attached()->committed(); at += 16)
        {
            auto* const words = reinterpret_cast<std::uint64_t*>(base + at);
            if (words[0] == 10 && words[1] == 128)
                return words;
        }
        throw std::runtime_error("the pool was not found");
    }();
    std::uint64_t const capacity = std::exchange(word[0], std::uint64_t{1} << 40);
    auto const          run      = run_tool({"show", name, "--json"});
    word[0]                      = capacity;
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 1);
        BOOST_TEST(run.json().at("problems").as_array().size() == 1u);
        BOOST_TEST(run.json().at("named_objects").as_array().size() == 1u);
    }
    BOOST_TEST(run_tool({"show", name}).status == 0);
}

BOOST_AUTO_TEST_SUITE_END()
