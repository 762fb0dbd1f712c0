/// \file
/// Processes that make, share and drop counted objects; each counts its crash points from arm() on.
#pragma once

#include "memory/reference_objects.hpp"
#include "support/crash_driver.hpp"

#include <thread>
#include <utility>
#include <vector>

namespace atrium::test {

// ---- making and dropping -------------------------------------------------------------------------------------------

// With all that a process does for the first time.
ATRIUM_TEST_ROLE(heap_maker)
{
    station const at(arguments.at(0));
    arm();
    {
        auto const one   = make_shared<node>(at.s, 1u).value();
        auto       other = make_shared<node>(at.s, 2u).value();
        auto const copy  = other;
        other.reset();
        require(copy->value == 2 && one->value == 1);
    }
    disarm();
    return 0;
}

// Objects that make others in their constructors, and refer to them.
ATRIUM_TEST_ROLE(nested_maker)
{
    station const at(arguments.at(0));
    pool<item>    items(open_only, at.s, "items");
    arm();
    {
        auto const outer = make_shared<node>(at.s, 1u, 2u).value();
        require(outer->first->first->value == 3);
        auto const linked = items.make(5u, true).value();
        require(linked->link->value == 5);
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(pool_maker)
{
    station const     at(arguments.at(0));
    pool<item>        items(open_only, at.s, "items");
    pool<plain>       plains(open_only, at.s, "plains");
    array_pool<plain> runs(open_only, at.s, "runs", 3);
    arm();
    {
        auto       one   = items.make(1u).value();
        auto const other = items.make(2u).value();
        one.reset();
        auto const trivial = plains.make().value();
        auto const run     = runs.make().value();
        require(other->is_whole() && trivial->check == ~std::uint64_t{0} && run[2].value == 0);
    }
    disarm();
    return 0;
}

// Until there are no more, which is said when it is so.
ATRIUM_TEST_ROLE(pool_exhauster)
{
    station const at(arguments.at(0));
    pool<item>    items(open_only, at.s, "items");
    arm();
    {
        std::vector<shared_ptr<item>> all;
        for (std::size_t n = 0; n < items.capacity(); ++n)
            all.push_back(items.make(n).value());
        require(items.make().error() == errc::exhausted);
        std::swap(all.front(), all.back());
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(thrower)
{
    station const    at(arguments.at(0));
    pool<item>       items(open_only, at.s, "items");
    array_pool<item> triples(open_only, at.s, "triples", 3);
    arm();
    auto const throws = [](int after, auto make) {
        constructors_until_throw = after;
        try
        {
            static_cast<void>(make());
        }
        catch (std::runtime_error const&)
        {
            return true;
        }
        return false;
    };
    require(throws(0, [&] { return make_shared<node>(at.s, 1u); }));
    require(throws(1, [&] { return make_shared<node>(at.s, 1u, 1u); }));
    require(throws(0, [&] { return items.make(1u); }));
    require(throws(2, [&] { return triples.make(1u); }));
    disarm();
    return 0;
}

// ---- sharing -------------------------------------------------------------------------------------------------------

// Takes what others left on the guarded board, and leaves something itself.
ATRIUM_TEST_ROLE(sharer)
{
    station const           at(arguments.at(0));
    named<safe_board> const board(open_only, at.s, "board");
    pool<item>              items(open_only, at.s, "items");
    arm();
    {
        auto             mine = items.make(7u).value();
        shared_ptr<node> theirs;
        {
            auto held = board->lock_for_repair(30s).value();
            theirs    = held->nodes.at(0).share().value();
            held->items.emplace_back(mine);
            held->items.emplace_back(held->items.at(0));
            held->nodes.erase(held->nodes.begin());
        }
        mine.reset();
        require(theirs->value == 11);
    }
    disarm();
    return 0;
}

// References on the board move about in their containers.
ATRIUM_TEST_ROLE(shuffler)
{
    station const           at(arguments.at(0));
    named<safe_board> const board(open_only, at.s, "board");
    auto const              fresh = make_shared<node>(at.s, 21u).value();
    arm();
    {
        auto held = board->lock_for_repair(30s).value();
        held->nodes.insert(held->nodes.begin(), fresh); // moves the others
        held->nodes.emplace_back(fresh);                // into a larger block
        std::swap(held->nodes.front(), held->nodes.back());
        held->nodes.erase(held->nodes.begin());
        held->nodes.pop_back();
    }
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(weak_locker)
{
    station const        at(arguments.at(0));
    named<board> const   bare(open_only, at.s, "bare");
    pool<item>           items(open_only, at.s, "items");
    auto                 taken   = bare->one.share().value();
    auto                 element = items.make(3u).value();
    weak_ptr<node> const other(taken);
    weak_ptr<item> const own(element);
    taken.reset();
    arm();
    {
        auto const again = other.lock().value();
        require(again->value == 1);
        auto const mine = own.lock().value();
        element.reset();
        require(mine->is_whole());
    }
    require(own.expired() && own.lock().error() == errc::expired);
    disarm();
    return 0;
}

// Everything that a pointer in the segment can do, one that refers to the heap and one that refers to a pool.
// Changes two counts, one after the other.
ATRIUM_TEST_ROLE(sharer_of_two)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    pool<item>         items(open_only, at.s, "items");
    arm();
    {
        auto const element = bare->element.share().value();
        auto const one     = bare->one.share().value();
        require(element->value == one->value);
    }
    disarm();
    return 0;
}

template <class T> void assign_in_every_way(segment_ptr<T>& one, segment_ptr<T>& other, shared_ptr<T> const& fresh)
{
    one   = fresh; // in the place of something else
    other = one;
    one   = std::move(other);
    other = std::move(one);
    std::swap(one, other);
    one   = one.share().value();
    other = one;
    one   = nullptr;
    segment_ptr<T> moved(std::move(other));
    other = std::move(moved);
}

ATRIUM_TEST_ROLE(assigner)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    pool<item>         items(open_only, at.s, "items");
    auto const         fresh = make_shared<node>(at.s, 2u).value();
    arm();
    assign_in_every_way(bare->one, bare->other, fresh);
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(element_assigner)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    pool<item>         items(open_only, at.s, "items");
    auto const         fresh = items.make(2u).value();
    arm();
    assign_in_every_way(bare->element, bare->spare, fresh);
    disarm();
    return 0;
}

// Changes a container that nothing guards, within the memory that it has.
ATRIUM_TEST_ROLE(careless_changer)
{
    station const                    at(arguments.at(0));
    named<holder_of_collector> const place(open_only, at.s, "place");
    named<board> const               bare(open_only, at.s, "bare");
    auto const                       shared = place->held.share().value();
    auto const                       one    = bare->element.share().value();
    auto&                            all    = shared->all;
    arm();
    all.emplace_back(one);
    all.insert(all.begin(), {segment_ptr<item>(one), segment_ptr<item>(one)});
    all.erase(all.begin());
    all.pop_back();
    disarm();
    return 0;
}

// ---- the end of objects --------------------------------------------------------------------------------------------

ATRIUM_TEST_ROLE(graph_dropper)
{
    station const at(arguments.at(0));
    auto          root = make_graph(at.s);
    arm();
    root.reset();
    disarm();
    return 0;
}

// The last reference lies in the segment.
ATRIUM_TEST_ROLE(graph_clearer)
{
    station const      at(arguments.at(0));
    named<board> const bare(open_only, at.s, "bare");
    bare->other = make_graph(at.s);
    arm();
    bare->other = nullptr;
    disarm();
    return 0;
}

// Has no pool open, and knows the types of what lies in them.
struct visitor : station
{
    explicit visitor(std::string const& name) : station(name)
    {
        static_cast<void>(detail::counted_type<item>());
        static_cast<void>(detail::counted_type<node>());
    }

    named<board> bare{open_only, s, "bare"};
};

// Drops the last element of a pool that it has not got open.
ATRIUM_TEST_ROLE(last_dropper)
{
    visitor const at(arguments.at(0));
    arm();
    at.bare->spare   = nullptr;
    at.bare->trivial = nullptr;
    disarm();
    return 0;
}

// Drops the last reference to an element of a pool that others have open, and itself has not.
ATRIUM_TEST_ROLE(visiting_dropper)
{
    visitor const at(arguments.at(0));
    arm();
    at.bare->element = nullptr;
    disarm();
    return 0;
}

// The same in a destructor: the element is a part of what is dropped.
ATRIUM_TEST_ROLE(last_dropper_in_a_destructor)
{
    visitor const at(arguments.at(0));
    auto          around = make_shared<holder_of_item>(at.s).value();
    around->held         = std::move(at.bare->spare);
    around->held_too     = std::move(at.bare->trivial);
    arm();
    around.reset();
    disarm();
    return 0;
}

// Shares what lies in a pool that it has not got open, and drops it last.
ATRIUM_TEST_ROLE(last_sharer)
{
    visitor const at(arguments.at(0));
    arm();
    {
        auto const taken = at.bare->spare.share().value();
        at.bare->spare   = nullptr;
        weak_ptr<item> const weak(taken);
        require(taken->is_whole() && weak.lock().has_value());
    }
    at.bare->trivial = nullptr;
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(pool_opener)
{
    station const at(arguments.at(0));
    arm();
    {
        shared_ptr<item> outlives;
        {
            pool<item> own(open_or_create, at.s, "own", {.capacity = 3});
            outlives = own.make(1u).value();
            pool<item> const again(open_only, at.s, "own");
        }
        require(outlives->is_whole());
    }
    {
        pool<plain> const empty(create_only, at.s, "own", {.capacity = 2});
    }
    disarm();
    return 0;
}

// ---- growth --------------------------------------------------------------------------------------------------------

// Needs a second block of cells for its references.
ATRIUM_TEST_ROLE(cells_grower)
{
    station const                 at(arguments.at(0));
    named<board> const            bare(open_only, at.s, "bare");
    std::vector<shared_ptr<node>> many;
    while (many.size() < 128)
        many.push_back(bare->one.share().value());
    arm();
    many.push_back(bare->one.share().value());
    many.push_back(bare->one.share().value());
    many.pop_back();
    disarm();
    return 0;
}

// Needs a second chunk of cells in the segment; the first has as many as it says. Those in front are in its own memory.
ATRIUM_TEST_ROLE(segment_cells_grower)
{
    station const                  at(arguments.at(0));
    named<board> const             bare(open_only, at.s, "bare");
    auto const                     one = bare->one.share().value();
    std::vector<segment_ptr<node>> many;
    auto const                     chunk = detail::cell_chunks_of(*detail::memory_of(*at.s.attached()).value())[0];
    auto const                     kept  = std::stoull(arguments.at(1)); // by others
    many.reserve(chunk.count + 2);
    auto left = -static_cast<std::int64_t>(kept);
    for (std::uint64_t n = 0; n < chunk.count; ++n)
        left += chunk.cells[n].holder.load() == 0 ? 1 : 0;
    for (; left > 0; --left)
        many.emplace_back(one);
    arm();
    bare->other = one;
    many.emplace_back(one);
    many.pop_back();
    disarm();
    return 0;
}

// Needs a second chunk of records of heap objects.
ATRIUM_TEST_ROLE(records_grower)
{
    station const                  at(arguments.at(0));
    std::vector<shared_ptr<plain>> many;
    auto const table = *detail::record_chunk(*detail::memory_of(*at.s.attached()).value(), 0).value();
    auto       left  = -static_cast<std::int64_t>(std::stoull(arguments.at(1))); // kept by others
    for (std::uint64_t n = 0; n < table.capacity(); ++n)
        left += detail::look_at(table.word(n)).value.state() == detail::object_state::free ? 1 : 0;
    for (; left > 0; --left)
        many.push_back(make_shared<plain>(at.s).value());
    arm();
    many.push_back(make_shared<plain>(at.s).value());
    many.push_back(make_shared<plain>(at.s).value());
    many.pop_back();
    disarm();
    return 0;
}

ATRIUM_TEST_ROLE(generations_maker)
{
    station const at(arguments.at(0));
    arm();
    {
        growing_pool<item> grows(open_or_create, at.s, "grows", {.capacity = 1, .generations = 2});
        auto const         first  = grows.make(1u).value();
        auto const         second = grows.make(2u).value();
        auto const         third  = grows.make(3u).value();
        require(grows.make().error() == errc::exhausted && grows.generation() == 1);
    }
    disarm();
    return 0;
}

// ---- lanes, and leaving --------------------------------------------------------------------------------------------

// More threads than there are lanes.
ATRIUM_TEST_ROLE(crowd)
{
    station const at(arguments.at(0));
    pool<item>    items(open_only, at.s, "items");
    auto const    work = [&] {
        auto const           one   = items.make(1u).value();
        auto const           other = make_shared<plain>(at.s).value();
        weak_ptr<item> const weak(one);
        require(weak.lock().has_value());
    };
    arm();
    std::thread second(work);
    work();
    second.join();
    disarm();
    return 0;
}

// Leaves with places that it kept, and with references of all kinds until then.
ATRIUM_TEST_ROLE(reference_leaver)
{
    {
        station const        at(arguments.at(0));
        named<board> const   bare(open_only, at.s, "bare");
        pool<item>           items(open_only, at.s, "items");
        auto const           element = items.make(1u).value();
        auto const           graph   = make_graph(at.s);
        weak_ptr<item> const weak(element);
        bare->element = element;
        bare->other   = graph;
        bare->other   = nullptr;
        std::thread([&] {
            static_cast<void>(items.make(2u).value());
            static_cast<void>(make_shared<node>(at.s, 2u).value());
        }).join();
        arm();
    }
    disarm();
    return 0;
}

} // namespace atrium::test
