/// \file
/// A look at every place of a pool, for tests.
#pragma once

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace atrium::test {

/// Makes as many as there must be room for, all in different places, and not one more; drops them.
inline void every_place_can_be_had(pool<node>& places, std::size_t room)
{
    std::vector<shared_ptr<node>> made;
    std::set<node*>               addresses;
    for (std::size_t n = 0; n < room; ++n)
    {
        auto element = places.make(n);
        BOOST_REQUIRE(element.has_value());
        addresses.insert(element->get());
        made.push_back(std::move(*element));
    }
    BOOST_TEST(addresses.size() == room);
    BOOST_TEST(places.make().error() == errc::exhausted);
    BOOST_TEST(places.statistics().available == 0u);
}

} // namespace atrium::test
