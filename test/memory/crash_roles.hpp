/// \file
/// What the victims of the memory part's crash tests do; each counts its crash points from arm() on.
#pragma once

#include "memory/memory_fixture.hpp"
#include "support/crash_driver.hpp"

#include <utility>

namespace atrium::test {

/// Constructed halfway in a role, until it is killed.
struct stuck
{
    using allocator_type = allocator<std::byte>;
    stuck(std::allocator_arg_t, allocator_type const& a) : texts(a)
    {
        texts.emplace_back("a text that is too long to lie in the string itself");
        if (in_role())
        {
            say("ready");
            static_cast<void>(hear());
        }
    }
    vector<string> texts;
};

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::stuck> = true;

namespace atrium::test {

// Makes an object and drops it again.
ATRIUM_TEST_ROLE(maker)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    arm();
    {
        named<noted> const object(open_or_create, s, "object", 0u, std::size_t{1});
        require(object->texts.size() == 1);
    }
    disarm();
    return 0;
}

// Opens what others have, twice, and drops it again.
ATRIUM_TEST_ROLE(opener)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    arm();
    {
        named<noted> const one(open_only, s, "object");
        named<noted> const other(open_only, s, "object");
        named<noted> const copy(one);
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(keep_setter)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    arm();
    {
        named<noted> object(open_or_create, s, "object", 0u, std::size_t{0});
        require(object.set_keep(true, 30s).has_value());
    }
    {
        named<noted> object(open_only, s, "object");
        require(object.set_keep(false, 30s).has_value());
    }
    disarm();
    return 0;
}

// Blocks of many sizes, of which one makes the segment grow.
ATRIUM_TEST_ROLE(block_user)
{
    segment const s(open_only, arguments.at(0));
    heap          h(s);
    arm();
    void* const small   = h.allocate(0, 30s).value();
    void* const aligned = h.allocate(100, 30s, 1024).value();
    void* const large   = h.allocate(300'000, 30s).value();
    require(h.deallocate(aligned).has_value());
    void* const again = h.allocate(100, 30s).value();
    for (void* const block : {small, large, again})
        require(h.deallocate(block).has_value());
    require(h.statistics(30s).has_value());
    void* const after = h.allocate(200'000, 30s).value();
    require(h.deallocate(after).has_value());
    disarm();
    return 0;
}

// Leaves with blocks and an object in its hands.
ATRIUM_TEST_ROLE(leaver)
{
    std::optional<segment> s(std::in_place, open_only, arguments.at(0));
    heap                   h(*s);
    require(h.allocate(1000, 30s).has_value() && h.allocate(10, 30s).has_value());
    void* const    given_back = h.allocate(1000, 30s).value();
    vector<string> own{allocator<string>(*s)};
    own.emplace_back("a text that is too long to lie in the string itself");
    require(h.deallocate(given_back).has_value());
    arm();
    s.reset(); // the container and the handle keep it until the end of the role
    return 0;
}

// To be killed with all that a process can have: an object, one half made, blocks, and one given back.
ATRIUM_TEST_ROLE(owner_of_all)
{
    segment const      s(open_only, arguments.at(0));
    counted const      all(s);
    named<noted> const held(create_only, s, "object", 0u, std::size_t{1});
    heap               h(s);
    require(h.allocate(1000, 30s).has_value() && h.allocate(5000, 30s).has_value());
    require(h.deallocate(h.allocate(64, 30s).value()).has_value());
    named<stuck> const half(create_only, s, "half");
    return 0;
}

// Recovers for whoever died, and knows the types.
ATRIUM_TEST_ROLE(recoverer)
{
    segment       s(open_only, arguments.at(0));
    counted const all(s);
    {
        named<noted> const known(open_or_create, s, "type");
    }
    say("ready");
    static_cast<void>(hear());
    arm();
    static_cast<void>(s.recover(30s));
    disarm();
    return 0;
}

// Knows no type.
ATRIUM_TEST_ROLE(heap_user)
{
    segment const s(open_only, arguments.at(0));
    heap          h(s);
    require(h.deallocate(h.allocate(100, 30s).value()).has_value());
    return 0;
}

// Destroys what is pending, and makes it anew.
ATRIUM_TEST_ROLE(heir)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    be_ready_until_told();
    arm();
    {
        named<noted> const object(open_or_create, s, "object", 0u, std::size_t{1});
    }
    disarm();
    return 0;
}

/// Plays a role to its end, whatever that is.
inline exit_status run(std::string const& role, arguments const& given, child_options const& options)
{
    child victim(role, given, options);
    return victim.wait(60s);
}

/// Leaves everything that a dead process can leave.
inline void leave_all(std::string const& name)
{
    ready_child("owner_of_all", {name}).kill();
}

} // namespace atrium::test
