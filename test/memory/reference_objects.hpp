/// \file
/// Counted objects that note their lives, for the tests of references.
#pragma once

#include "memory/reference_check.hpp"

#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/memory/weak_ptr.hpp>
#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/growing_pool.hpp>
#include <atrium/pool/pool.hpp>

#include <stdexcept>
#include <utility>

namespace atrium::test {

/// The segment that constructors make further objects in.
inline segment const* here = nullptr;

/// What constructors and destructors of items do besides.
inline void (*in_constructor)() = nullptr;
inline void (*in_destructor)()  = nullptr;

/// How many more constructors end before one throws; below 0: none throws.
inline int constructors_until_throw = -1;

/// Where there is nothing to note it in: this process comes or goes, and recovers for others meanwhile.
inline void note(atomic<std::uint64_t> life_counts::*what)
{
    if (counts != nullptr)
        (counts->*what).fetch_add(1);
}

/// The last member of an object: counts the whole constructor, and the begin of the destructor.
struct noted_life
{
    static constexpr bool is_shareable = true;
    noted_life()
    {
        ATRIUM_CRASH_POINT("test.constructor.inside");
        note(&life_counts::constructed);
        ATRIUM_CRASH_POINT("test.constructor.noted");
    }
    noted_life(noted_life const&)            = delete;
    noted_life& operator=(noted_life const&) = delete;
    ~noted_life()
    {
        note(&life_counts::destruction_began);
        ATRIUM_CRASH_POINT("test.destructor.inside");
    }
};

/// The first member of an object: counts the end of the destructor.
struct noted_end
{
    static constexpr bool is_shareable     = true;
    noted_end()                            = default;
    noted_end(noted_end const&)            = delete;
    noted_end& operator=(noted_end const&) = delete;
    ~noted_end()
    {
        ATRIUM_CRASH_POINT("test.destructor.members_gone");
        note(&life_counts::destruction_ended);
        ATRIUM_CRASH_POINT("test.destructor.noted");
    }
};

inline void throw_where_told()
{
    if (constructors_until_throw >= 0 && constructors_until_throw-- == 0)
        throw std::runtime_error("a constructor that was told to");
}

/// An object of the heap, with memory of its own and references to others.
struct node
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    /// \param depth how many others its constructor makes, one in the other
    explicit node(std::allocator_arg_t, allocator_type const& a, std::uint64_t given = 0, unsigned depth = 0)
        : value(given),
          text("a text that is too long to lie in the string itself", a),
          first(depth != 0 ? make_shared<node>(*here, given + 1, depth - 1).value() : nullptr),
          children(a)
    {
        throw_where_told();
    }

    noted_end                 end;
    std::uint64_t             value;
    string                    text;
    segment_ptr<node>         first;
    vector<segment_ptr<node>> children;
    noted_life                life;
};

/// An element of a pool, with a reference and a checksum.
struct item
{
    static constexpr bool is_shareable = true;

    explicit item(std::uint64_t given = 0, bool linked = false)
        : value(given), check(~given), link(linked ? make_shared<node>(*here, given).value() : nullptr)
    {
        if (in_constructor != nullptr)
            in_constructor();
        throw_where_told();
    }
    ~item()
    {
        if (in_destructor != nullptr)
            in_destructor();
    }

    [[nodiscard]] bool is_whole() const noexcept { return check == ~value; }

    noted_end         end;
    std::uint64_t     value;
    std::uint64_t     check;
    segment_ptr<node> link;
    noted_life        life;
};

/// Without a destructor.
struct plain
{
    std::uint64_t value = 0;
    std::uint64_t check = ~std::uint64_t{0};
};

/// Known only to those who make it.
struct stranger
{
    static constexpr bool is_shareable = true;

    explicit stranger(std::uint64_t given) : value(given) {}

    noted_end             end;
    std::uint64_t         value;
    segment_ptr<stranger> next;
    noted_life            life;
};

/// Where processes leave references for each other.
struct board
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    explicit board(std::allocator_arg_t, allocator_type const& a) : nodes(a), items(a) {}

    vector<segment_ptr<node>> nodes;
    vector<segment_ptr<item>> items;
    segment_ptr<node>         one;
    segment_ptr<node>         other;
    segment_ptr<item>         element;
    segment_ptr<item>         spare;
    segment_ptr<stranger>     unknown;
    segment_ptr<plain>        trivial;
};

/// Refers to elements, and does nothing else.
struct holder_of_item
{
    static constexpr bool is_shareable = true;
    segment_ptr<item>     held;
    segment_ptr<plain>    held_too;
};

/// Has a block of its own with references in it.
struct collector
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    explicit collector(std::allocator_arg_t, allocator_type const& a) : all(a) {}

    vector<segment_ptr<item>> all;
};

struct holder_of_collector
{
    static constexpr bool  is_shareable = true;
    segment_ptr<collector> held;
};

using safe_board = guarded<board>;

/// A root with four others below it, one of which has two references.
inline shared_ptr<node> make_graph(segment const& in)
{
    auto root   = make_shared<node>(in, 1u).value();
    auto left   = make_shared<node>(in, 2u).value();
    auto down   = make_shared<node>(in, 3u).value();
    auto side   = make_shared<node>(in, 4u).value();
    auto last   = make_shared<node>(in, 5u).value();
    left->first = down;
    side->children.emplace_back(down);
    side->children.emplace_back(last);
    root->children.emplace_back(left);
    root->children.emplace_back(side);
    return root;
}

/// What a role needs before anything else.
struct station
{
    explicit station(std::string const& name, segment_options const& options = {.open_timeout = 30s})
        : s(open_only, name, options), all(s)
    {
        here = &s;
    }
    station(station const&)            = delete;
    station& operator=(station const&) = delete;
    ~station() { here = nullptr; }

    segment const s;
    counted const all;
};

} // namespace atrium::test
