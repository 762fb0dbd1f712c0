/// \file
/// Who hands over while somebody stands still with the heap.
#pragma once

#include "memory/memory_fixture.hpp"
#include "memory/race_roles.hpp"
#include "memory/reference_objects.hpp"
#include "pipe/pipe_fixture.hpp"
#include "segment/stopped_answers.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace atrium::test {

inline constexpr auto soon = 10ms;
inline constexpr auto late = 60s;

inline segment_options with_many_names()
{
    auto options          = pipe_segment();
    options.named_objects = 64;
    return options;
}

struct deadline_scene
{
    deadline_scene() = default;
    ~deadline_scene() { BOOST_TEST(pipe_problems(s) == ""); }
    deadline_scene(deadline_scene const&)            = delete;
    deadline_scene& operator=(deadline_scene const&) = delete;

    result<delivery> send(std::uint64_t n, deadline until) { return r.send(items.make(n).value(), until); }

    segment      s{create_only, unique_name("deadlines"), with_many_names()};
    pool<item>   items{create_only, s, "items", {.capacity = 64}};
    router<item> r{create_only, s, "router", {.pipes = 4, .ordered_senders = 2}};
};

// The calling thread need not ask the heap for some more references to objects.
inline void has_references_left(pool<item>& items)
{
    std::vector<shared_ptr<item>> dropped;
    for (unsigned n = 0; n != 8; ++n)
        dropped.push_back(items.make(n).value());
}

inline constexpr unsigned pools_of_each = 4; // as many as a receiver holds
inline constexpr unsigned routers_there = 6;

inline std::string numbered(char const* what, unsigned n)
{
    return what + std::to_string(n);
}

// Sends, to each router, elements of pools that only it has.
ATRIUM_TEST_ROLE(sender_of_own_elements)
{
    segment const                            s(open_only, arguments.at(0), {.open_timeout = 30s});
    std::vector<std::unique_ptr<pool<item>>> pools;
    auto const routers = arguments.size() == 1 ? routers_there : std::stoul(arguments.at(1));
    for (unsigned n = 0; n != routers * pools_of_each; ++n)
    {
        pools.push_back(std::make_unique<pool<item>>(create_only, s, numbered("own.", n), pool_options{.capacity = 2}));
        router<item> to(open_only, s, numbered("router.", n / pools_of_each));
        require(to.send(pools.back()->make(n).value(), 10s).value().delivered() == 1);
    }
    be_ready_until_told();
    return 0;
}

} // namespace atrium::test
