/// \file
/// Processes that are killed with counted objects, that recover for them, and that come when all is over.
#pragma once

#include "memory/reference_objects.hpp"
#include "support/crash_driver.hpp"

#include <csignal>
#include <utility>
#include <vector>

namespace atrium::test {

// Has all that a process can have.
ATRIUM_TEST_ROLE(owner_of_references)
{
    station const           at(arguments.at(0));
    named<board> const      bare(open_only, at.s, "bare");
    named<safe_board> const safe(open_only, at.s, "board");
    pool<item>              items(open_only, at.s, "items");
    pool<item>              own(create_only, at.s, "own", {.capacity = 2});
    auto const              graph   = make_graph(at.s);
    auto const              element = items.make(1u, true).value();
    auto const              mine    = own.make(2u).value();
    segment_ptr<node> const outside(graph);
    bare->other = graph;
    bare->spare = element;
    named<board> const own_board(create_only, at.s, "own_board");
    own_board->nodes.emplace_back(graph);
    own_board->element = element;
    auto held          = safe->lock_for_repair(30s).value();
    held->nodes.emplace_back(graph);
    held->items.emplace_back(mine);
    be_ready_until_told();
    return 0;
}

// Has references, and nothing else.
ATRIUM_TEST_ROLE(owner_without_names)
{
    segment const s(open_only, arguments.at(0));
    auto const    one    = make_shared<plain>(s).value();
    auto const    around = make_shared<holder_of_item>(s).value();
    around->held_too     = one;
    be_ready_until_told();
    return 0;
}

// Recovers for whoever died, and knows the types.
ATRIUM_TEST_ROLE(reference_recoverer)
{
    station    at(arguments.at(0));
    pool<item> items(open_only, at.s, "items");
    segment    s(open_only, arguments.at(0));
    static_cast<void>(make_shared<node>(s, 1u).value());
    say("ready");
    static_cast<void>(hear());
    arm();
    static_cast<void>(s.recover(30s));
    disarm();
    return 0;
}

// Makes a torn value anew, whose references go.
ATRIUM_TEST_ROLE(reference_rebuilder)
{
    station const           at(arguments.at(0));
    named<safe_board> const board(open_only, at.s, "board");
    static_cast<void>(detail::counted_type<item>());
    static_cast<void>(detail::counted_type<node>());
    arm();
    {
        auto held = board->lock_for_repair(30s).value();
        if (held.is_torn())
            held.rebuild();
    }
    disarm();
    return 0;
}

// Uses up the pool in a constructor or a destructor, and dies in it.
ATRIUM_TEST_ROLE(dies_inside)
{
    station const     at(arguments.at(0));
    static pool<item> items(open_only, at.s, "items");
    auto const        use_up = [] {
        std::vector<shared_ptr<item>> all;
        in_constructor = in_destructor = nullptr;
        while (auto made = items.make(1u))
            all.push_back(std::move(*made));
        std::raise(SIGKILL);
    };
    auto one = items.make(1u).value();
    if (arguments.at(1) == "constructor")
    {
        in_constructor = use_up;
        static_cast<void>(items.make(1u));
    }
    in_destructor = use_up;
    one.reset();
    return 1;
}

// Takes all that there is, and waits to be killed.
ATRIUM_TEST_ROLE(hoarder)
{
    station const                 at(arguments.at(0));
    pool<item>                    items(open_only, at.s, "items");
    std::vector<shared_ptr<item>> all;
    while (auto made = items.make(1u))
        all.push_back(std::move(*made));
    be_ready_until_told();
    return 0;
}

// Comes, uses everything, and goes.
ATRIUM_TEST_ROLE(newcomer)
{
    if (arguments.size() > 1)
        arm();
    {
        station const at(arguments.at(0));
        pool<item>    items(open_only, at.s, "items");
        auto const    made    = make_shared<node>(at.s, 1u).value();
        auto const    element = items.make(1u);
        require(element.has_value() || element.error() == errc::exhausted);
        named<board> const bare(open_only, at.s, "bare");
        require(bare->element == nullptr || bare->element.share().has_value());
    }
    disarm();
    return 0;
}

// Has an object with memory that no container knows any more, as one has that is cut off while it grows.
struct losing
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    losing(std::allocator_arg_t, allocator_type const& a) : from(a) {}

    void lose(shared_ptr<node> const& reference)
    {
        allocator<segment_ptr<node>> const typed(from);
        std::construct_at(allocator<segment_ptr<node>>(typed).allocate(1).get(), reference);
    }

    allocator_type from;
};

ATRIUM_TEST_ROLE(loser)
{
    station const at(arguments.at(0));
    auto const    lost = make_shared<losing>(at.s).value();
    lost->lose(make_shared<node>(at.s, 1u).value());
    be_ready_until_told();
    return 0;
}

// Is refused, since somebody else recovers and does not come to an end.
ATRIUM_TEST_ROLE(impatient_newcomer)
{
    require(code_of([&] { segment const s(open_only, arguments.at(0), {.open_timeout = 50ms}); }) ==
            errc::recovery_busy);
    return 0;
}

// Makes what nobody else knows, of which one becomes part of the other.
ATRIUM_TEST_ROLE(stranger_maker)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    arm();
    {
        auto const one = make_shared<stranger>(at.s, 1u).value();
        one->next      = make_shared<stranger>(at.s, 2u).value();
        bare->unknown  = one;
    }
    bare->unknown = nullptr;
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(stranger_leaver)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    bare->unknown = make_shared<stranger>(at.s, 1u).value();
    return 0;
}

// Uses the type, once told: takes what was left pending, though it has looked for such before.
ATRIUM_TEST_ROLE(stranger_user)
{
    station const at(arguments.at(0));
    static_cast<void>(make_shared<plain>(at.s).value());
    say("ready");
    static_cast<void>(hear());
    static_cast<void>(make_shared<plain>(at.s).value());
    static_cast<void>(make_shared<stranger>(at.s, 3u).value());
    return 0;
}

// Two of them have references to each other's objects, and do all they can with them.
ATRIUM_TEST_ROLE(crosser)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    pool<item>         items(open_only, at.s, "items");
    bool const         first  = arguments.at(1) == "first";
    segment_ptr<item>& mine   = first ? bare->element : bare->spare;
    segment_ptr<item>& theirs = first ? bare->spare : bare->element;
    auto               own    = items.make(first ? 1u : 2u).value();
    mine                      = own;
    say("ready");
    static_cast<void>(hear());
    auto           other = theirs.share().value();
    weak_ptr<item> weak(other);
    say("ready");
    static_cast<void>(hear());
    arm();
    mine = other;
    own.reset();
    other.reset();
    if (auto again = weak.lock())
        mine = *again;
    mine = nullptr;
    if (auto again = weak.lock())
        require((*again)->is_whole());
    disarm();
    return 0;
}

} // namespace atrium::test
