/// \file
/// What the victims of the guarded value's tests do; each counts its crash points from arm() on.
#pragma once

#include "memory/memory_fixture.hpp"

#include <string>

namespace atrium::test {

inline constexpr char const* long_text = "a text that is too long to lie in the string itself";

/// One container of each kind.
struct collection
{
    using allocator_type = allocator<std::byte>;
    explicit collection(std::allocator_arg_t, allocator_type const& a) : line(a), names(a), numbers(a), chain(a) {}

    vector<string>             line;
    map<string, vector<int>>   names;
    unordered_map<int, string> numbers;
    list<string>               chain;
};

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::collection> = true;

namespace atrium::test {

using safe_collection = guarded<collection>;

/// Changes the container of that kind, allocating and freeing.
inline void change(collection& all, std::string const& how)
{
    if (how == "vector")
        for (int n = 0; n < 3; ++n) // beyond its capacity at least twice
            all.line.emplace_back(long_text);
    else if (how == "map")
        all.names[string(long_text)].push_back(1);
    else if (how == "hash")
        for (int n = 0; n < 2; ++n)
        {
            all.numbers.emplace(n, long_text);
            all.numbers.rehash(all.numbers.bucket_count() * 4);
        }
    else
    {
        all.chain.emplace_back(long_text);
        all.chain.clear();
    }
}

ATRIUM_TEST_ROLE(changer)
{
    segment const                s(open_only, arguments.at(0));
    named<safe_collection> const object(open_only, s, "all");
    arm();
    {
        auto held = object->lock_for_repair(30s).value();
        change(*held, arguments.at(1));
    }
    disarm();
    return 0;
}

// Dies with the value in its hands, and half of it changed.
ATRIUM_TEST_ROLE(tearer)
{
    segment const                s(open_only, arguments.at(0));
    named<safe_collection> const object(open_only, s, "all");
    auto                         held = object->lock_for_repair(30s).value();
    for (char const* how : {"vector", "map", "hash"})
        change(*held, how);
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(rebuilder)
{
    segment const                s(open_only, arguments.at(0));
    named<safe_collection> const object(open_only, s, "all");
    arm();
    {
        auto held = object->lock_for_repair(30s).value();
        if (held.is_torn())
            held.rebuild();
        change(*held, "map");
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(repairer)
{
    segment const                s(open_only, arguments.at(0));
    named<safe_collection> const object(open_only, s, "all");
    arm();
    {
        auto held = object->lock_for_repair(30s).value();
        if (held.is_torn())
            held.mark_repaired();
    }
    disarm();
    return 0;
}

// Destroys the object, whole or torn.
ATRIUM_TEST_ROLE(destroyer)
{
    segment const s(open_only, arguments.at(0));
    {
        named<safe_collection> const object(open_only, s, "all");
        be_ready_until_told();
        arm();
    }
    disarm();
    return 0;
}

/// Leaves the value torn.
inline void tear(std::string const& name)
{
    child c = ready_child("tearer", {name});
    c.kill();
}

} // namespace atrium::test
