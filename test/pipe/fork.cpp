/// Routers and pipes in a process that forks: the child has none of them, says so, and harms nobody.
#include <atrium/pipe/router.hpp>

#include "pipe/pipe_fixture.hpp"
#include "support/forked.hpp"

#include <optional>

using namespace atrium;
using namespace atrium::test;

BOOST_FIXTURE_TEST_SUITE(pipe_fork, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_forked_child_hands_nothing_over)
{
    segment const                        s(create_only, unique_name("fork"), pipe_segment());
    pool<std::uint64_t>                  all(create_only, s, "all", {.capacity = 16});
    std::optional<router<std::uint64_t>> r(std::in_place, create_only, s, "router", router_options{.history = 2});
    std::optional                        p(r->subscribe({.capacity = 4, .history = 2}));
    std::optional                        sender(r->make_ordered_sender());
    auto const                           one = all.make(1u).value();
    BOOST_TEST(r->send(one, 1s).value().delivered() == 1u);
    BOOST_TEST(sender->send(one, 1s).value().delivered() == 1u);
    auto late = std::optional(r->subscribe({.history = 2})); // with something in its hands
    BOOST_TEST(holds_in_a_child([&] {
        bool const told = r->send(one, 1s).error() == errc::forked && sender->send(one, 1s).error() == errc::forked &&
                          r->try_send(one).error() == errc::forked && p->receive(1s).error() == errc::forked &&
                          p->try_receive().error() == errc::forked &&
                          r->wait_for_receivers(9, 1s).error() == errc::forked && routers(s).error() == errc::forked;
        bool threw = false;
        try
        {
            static_cast<void>(r->subscribe());
        }
        catch (system_error const& e)
        {
            threw = e.code() == errc::forked;
        }
        p->close();
        r->close();
        static_cast<void>(r->info());
        static_cast<void>(p->info());
        auto copy = *p;
        late.reset();
        p.reset();
        sender.reset();
        r.reset();
        return told && threw;
    }));
    BOOST_TEST(!r->info().closed);
    BOOST_TEST(r->info().pipes.size() == 2u);
    BOOST_TEST(*p->receive(1s).value() == 1u);
    BOOST_TEST(*late->receive(1s).value() == 1u);
    BOOST_TEST(r->send(one, 1s).value().delivered() == 2u);
    BOOST_TEST(pipe_problems(s) == "");
}

BOOST_AUTO_TEST_SUITE_END()
