/// \file
/// What the tests of counted references share: a census of all objects and cells of a segment, and objects for it.
#pragma once

#include "memory/memory_fixture.hpp"
#include "memory/object_space.hpp"
#include "memory/process_references.hpp"
#include "memory/segment_cells.hpp"

#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/memory/weak_ptr.hpp>

#include <cstdint>
#include <ostream>
#include <vector>

namespace atrium::test {

/// All counted objects of a segment, as their words have it, and all cells.
struct census
{
    std::uint64_t live       = 0;
    std::uint64_t pending    = 0;
    std::uint64_t on_the_way = 0; ///< constructing or dying
    std::uint64_t references = 0; ///< the sum of all counts
    std::uint64_t cells      = 0; ///< that refer to something, of processes and of the segment

    friend bool          operator==(census const&, census const&) = default;
    friend std::ostream& operator<<(std::ostream& to, census const& c)
    {
        return to << c.live << " live, " << c.pending << " pending, " << c.on_the_way << " on the way, " << c.references
                  << " references, " << c.cells << " cells";
    }
};

inline detail::memory_state& memory_in(segment const& s)
{
    return *detail::memory_of(*s.attached()).value();
}

/// True for itself only while nobody changes anything.
inline census census_of(segment const& s)
{
    detail::memory_state& memory = memory_in(s);
    census                all;
    detail::for_each_table(memory, [&](detail::object_table const& table, detail::object_id) {
        for (std::uint64_t index = 0; index < table.capacity(); ++index)
        {
            detail::object_value const now   = detail::look_at(table.word(index)).value;
            detail::object_state const state = now.state();
            all.live += state == detail::object_state::live ? 1 : 0;
            all.pending += state == detail::object_state::pending ? 1 : 0;
            all.on_the_way +=
                state == detail::object_state::constructing || state == detail::object_state::dying ? 1 : 0;
            all.references += now.count();
        }
    });
    for (std::uint32_t row = 0; row < memory.in->participant_count(); ++row)
    {
        auto const count = [&](auto& cell) { all.cells += cell.load() != 0 ? 1 : 0; };
        BOOST_TEST(!detail::for_each_cell(memory, row, count));
    }
    detail::for_each_segment_cell(
        memory, [&](detail::segment_cell& cell, std::uint64_t) { all.cells += cell.object.load() != 0 ? 1 : 0; });
    return all;
}

/// So many objects, none pending or on its way, with so many references, each in a cell.
inline void census_is(segment const& s, std::uint64_t objects, std::uint64_t references)
{
    BOOST_TEST(census_of(s) == (census{objects, 0, 0, references, references}));
}

/// One of a list or graph; notes its life.
struct node
{
    explicit node(std::uint64_t given = 0) noexcept : value(given)
    {
        if (counts != nullptr)
            counts->constructed.fetch_add(1);
    }
    node(node const&)            = delete;
    node& operator=(node const&) = delete;
    ~node()
    {
        if (counts != nullptr)
            counts->destruction_ended.fetch_add(1);
    }

    segment_ptr<node> next;
    segment_ptr<node> other;
    std::uint64_t     value;
};

/// What everybody finds by name.
struct root
{
    explicit root(shared_ptr<node> const& first = nullptr) : object(first) {}

    segment_ptr<node> object;
};

inline char const* const long_text = "a text that is too long to lie in the string itself";

/// Larger than `small_segment`, with the same manners.
inline segment_options roomy_segment(std::size_t maximum = 64u << 20)
{
    segment_options options = small_segment();
    options.maximum_size    = maximum;
    return options;
}

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::node> = true;
template <> inline constexpr bool atrium::is_shareable<atrium::test::root> = true;

namespace atrium::test {

/// Has had `most` references of this process at once, and as many in the segment: the library's own tables are there
/// from then on, and what is in use is exact.
inline void warm_up(segment const& s, std::size_t most = 500)
{
    std::vector<shared_ptr<node>> objects;
    for (std::size_t n = 0; n < most; ++n)
    {
        objects.push_back(make_shared<node>(s).value());
        if (n != 0)
            objects[n]->next = objects[n - 1];
    }
}

/// A segment that was used before, and what is in use in it.
struct counted_segment : leaves_nothing
{
    explicit counted_segment(char const* prefix = "counted", segment_options const& options = roomy_segment())
        : name(unique_name(prefix)), s(create_only, name, options), all((warm_up(s), s)), used(used_bytes(s))
    {}

    /// Nobody refers to anything, every object was destroyed once, and no byte more is in use than before.
    void is_as_before()
    {
        census_is(s, 0, 0);
        BOOST_TEST(all->destruction_ended.load() == all->constructed.load());
        heap_is_as_before(s, used);
    }

    std::string   name;
    segment       s;
    counted       all;
    std::uint64_t used;
};

} // namespace atrium::test
