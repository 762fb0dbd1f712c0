/// \file
/// What the tests of a segment's memory share: small segments, their numbers, and objects that note their lives.
#pragma once

#include "memory/memory_state.hpp"
#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"

#include <atrium/memory/guarded.hpp>
#include <atrium/memory/heap.hpp>
#include <atrium/memory/list.hpp>
#include <atrium/memory/map.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/named_objects.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/memory/unordered_map.hpp>
#include <atrium/memory/vector.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace atrium {

inline std::ostream& operator<<(std::ostream& to, named_object_state state)
{
    return to << to_string(state);
}

} // namespace atrium

namespace atrium::test {

using namespace std::chrono_literals;

/// Few places, and quick to notice a death.
inline segment_options small_segment()
{
    return {.size           = 128u << 10,
            .maximum_size   = 4u << 20,
            .participants   = 16,
            .lanes          = 16,
            .named_objects  = 12,
            .detection_time = 5ms};
}

/// Exact, since what was given back is merged first.
inline std::uint64_t used_bytes(segment const& in)
{
    return heap(in).statistics(10s).value().used_bytes;
}

/// Nothing wrong in the heap, and in use what was in use before.
inline void heap_is_as_before(segment const& in, std::uint64_t used)
{
    BOOST_TEST(heap(in).check(10s) == "");
    BOOST_TEST(used_bytes(in) == used);
}

/// The object of that name, where there is one.
inline std::optional<named_object_info> info_of(segment const& in, std::string_view name)
{
    for (named_object_info& info : named_objects(in).value())
    {
        if (info.name == name)
            return std::move(info);
    }
    return std::nullopt;
}

/// What happened to all objects of type `noted`, in all processes.
struct life_counts
{
    atomic<std::uint64_t> constructed{0}; ///< constructors ended
    atomic<std::uint64_t> alive{0};       ///< constructed and not yet being destroyed
    atomic<std::uint64_t> most_alive{0};  ///< at any time, where there must be one only
    atomic<std::uint64_t> destruction_began{0};
    atomic<std::uint64_t> destruction_ended{0};
};

/// Where the objects of this process note what happens to them.
inline life_counts* counts = nullptr;

/// Has blocks of its own, notes its life.
struct noted
{
    using allocator_type = allocator<std::byte>;

    explicit noted(std::allocator_arg_t, allocator_type const& a, std::uint64_t given = 0, std::size_t strings = 3)
        : value(given), texts(a)
    {
        for (std::size_t n = 0; n < strings; ++n)
            texts.emplace_back("a text that is too long to lie in the string itself");
        if (counts == nullptr)
            return;
        counts->constructed.fetch_add(1);
        auto const now = counts->alive.fetch_add(1) + 1;
        for (auto most = counts->most_alive.load(); most < now && !counts->most_alive.compare_exchange_weak(most, now);)
        {}
    }
    noted(noted const&)            = delete;
    noted& operator=(noted const&) = delete;
    ~noted()
    {
        if (counts != nullptr)
        {
            counts->alive.fetch_sub(1);
            counts->destruction_began.fetch_add(1);
        }
        ATRIUM_CRASH_POINT("test.destructor.inside");
        texts.clear();
        ATRIUM_CRASH_POINT("test.destructor.cleared");
        if (counts != nullptr)
            counts->destruction_ended.fetch_add(1);
    }

    atomic<std::uint64_t> value;
    vector<string>        texts;
};

/// The counts of a segment, for as long as this lives.
class counted
{
public:
    explicit counted(segment const& in) : all_(open_or_create, in, "counts") { counts = all_.get(); }
    counted(counted const&)            = delete;
    counted& operator=(counted const&) = delete;
    ~counted() { counts = nullptr; }

    life_counts const* operator->() const { return all_.get(); }

private:
    named<life_counts> all_;
};

/// A child that has said "ready".
inline child ready_child(std::string const& role, arguments const& given, child_options const& options = {})
{
    child c(role, given, options);
    c.wait_for_line("ready", 30s);
    return c;
}

/// Lets a ready child end, and checks that it ends well.
inline void let_end(child& c)
{
    c.close_input();
    BOOST_TEST(c.wait(30s) == exited(0));
}

/// In a role: tells the test, and waits until it has heard enough.
inline void be_ready_until_told()
{
    say("ready");
    static_cast<void>(hear());
}

// Stands still with the heap mutex in its hands.
ATRIUM_TEST_ROLE(heap_holder)
{
    segment const s(open_only, arguments.at(0));
    auto const    lock = detail::heap_lock::take(*detail::memory_of(*s.attached()).value(), 60s);
    require(lock.has_value() && std::raise(SIGSTOP) == 0);
    return 0;
}

/// A child that stands still with the heap.
inline child stopped_heap_holder(std::string const& name)
{
    child c("heap_holder", {name});
    require(c.wait_stopped(30s));
    return c;
}

} // namespace atrium::test

template <> inline constexpr bool atrium::is_shareable<atrium::test::life_counts> = true;
template <> inline constexpr bool atrium::is_shareable<atrium::test::noted>       = true;
