/// What predecessors of this library were used for, as their users would try it.
#include <atrium/pipe/router.hpp>

#include "memory/memory_fixture.hpp"
#include "pipe/pipe_fixture.hpp"
#include "support/role.hpp"

#include <optional>
#include <string>
#include <thread>
#include <utility>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr std::uint64_t places = 16;

/// A process that makes what is not there yet.
struct workshop
{
    explicit workshop(std::string const& name) : s(open_or_create, name, pipe_segment()) {}

    segment               s;
    pool<std::uint64_t>   parts{open_or_create, s, "parts", {.capacity = places}};
    router<std::uint64_t> r{open_or_create, s, "router"};
};

// Sends 1 to so many, once there is somebody, and ends.
ATRIUM_TEST_ROLE(producer)
{
    workshop       here(arguments.at(0));
    deadline const until = 60s;
    require(here.r.wait_for_receivers(1, until).has_value());
    for (std::uint64_t n = 1; n <= std::stoul(arguments.at(1)); ++n)
    {
        auto part = here.parts.make(n);
        for (; !part; part = here.parts.make(n))
        {
            require(part.error() == errc::exhausted && !until.passed(), "the consumer has them all");
            std::this_thread::sleep_for(100us);
        }
        require(here.r.send(std::move(*part), until).value().delivered() == 1);
    }
    return 0;
}

// Takes them when it is told to.
ATRIUM_TEST_ROLE(consumer)
{
    workshop here(arguments.at(0));
    auto     p = here.r.subscribe({.capacity = places});
    say("ready");
    static_cast<void>(hear());
    for (std::uint64_t n = 1; n <= std::stoul(arguments.at(1)); ++n)
    {
        auto const part = p.receive(60s);
        require(part && **part == n, "each comes once, in order");
    }
    require(ATRIUM_EVENTUALLY(here.parts.statistics().outstanding == 0, 60s));
    return 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_scenarios, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_imp_1_twice_the_pool_through_a_router_of_processes_started_in_any_order)
{
    for (bool const producer_is_first : {true, false})
    {
        arguments const      given{unique_name("imp"), std::to_string(2 * places)};
        std::optional<child> sends;
        if (producer_is_first)
        {
            sends.emplace("producer", given);
            BOOST_TEST(eventually([&] { return is_there(given[0]); }, 60s));
        }
        child receives = ready_child("consumer", given);
        if (!sends)
            sends.emplace("producer", given);
        receives.close_input();
        BOOST_TEST(sends->wait(60s) == exited(0));
        BOOST_TEST(receives.wait(60s) == exited(0));
        BOOST_TEST(!is_there(given[0]));
    }
}

BOOST_AUTO_TEST_CASE(a_imp_2_the_producer_goes_first_and_all_it_made_can_be_read)
{
    arguments const given{unique_name("imp"), std::to_string(places)};
    child           receives = ready_child("consumer", given);
    BOOST_TEST(child("producer", given).wait(60s) == exited(0));
    BOOST_TEST(is_there(given[0]));
    receives.close_input();
    BOOST_TEST(receives.wait(60s) == exited(0));
    BOOST_TEST(!is_there(given[0]));
}

BOOST_AUTO_TEST_SUITE_END()
