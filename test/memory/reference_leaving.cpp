/// What processes leave behind that go in order, or fail on their way: no reference, no place, and nothing half made.
/// What cannot be done beside somebody who stands still holds nobody up.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_objects.hpp"
#include "segment/stopped_answers.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Many pointers, without a block of their own.
struct pointers
{
    static constexpr bool is_shareable = true;

    std::array<segment_ptr<item>, 60> all;
};

/// Nearly all that a small segment has.
struct large
{
    std::array<char, 100'000> bytes = {};
};

} // namespace atrium::test

namespace {

// Never destroys a vector that lies in its memory, and whose block in the segment has references in it.
ATRIUM_TEST_ROLE(loses_a_vector)
{
    segment const         s(open_only, arguments.at(0));
    named<pointers> const theirs(open_only, s, "pointers");
    using lost = vector<segment_ptr<item>>;
    alignas(lost) static std::array<std::byte, sizeof(lost)> place;
    auto* const                                              all = new (place.data()) lost(allocator<std::byte>(s));
    for (int n = 0; n < 16; ++n)
        all->emplace_back(theirs->all[0]);
    return 0;
}

// Its pointers end when the segment is long gone.
ATRIUM_TEST_ROLE(has_pointers_for_ever)
{
    static std::vector<segment_ptr<item>> all;
    segment const                         s(open_only, arguments.at(0));
    named<pointers> const                 theirs(open_only, s, "pointers");
    all.reserve(16);
    for (int n = 0; n < 16; ++n)
        all.emplace_back(theirs->all[0]);
    return 0;
}

// Cannot give back the name, since somebody stands still with the heap; what it has made and dropped its lanes keep.
ATRIUM_TEST_ROLE(leaves_a_name_behind)
{
    segment const s(open_only, arguments.at(0));
    auto          theirs = std::make_unique<named<pointers>>(open_only, s, "pointers");
    {
        std::vector<shared_ptr<plain>>  objects;
        std::vector<segment_ptr<plain>> references;
        for (int n = 0; n < 10; ++n)
        {
            objects.push_back(make_shared<plain>(s).value());
            references.emplace_back(objects.back());
        }
    }
    be_ready_until_told();
    theirs.reset();
    return 0;
}

ATRIUM_TEST_ROLE(bystander)
{
    segment const s(open_only, arguments.at(0));
    be_ready_until_told();
    return 0;
}

struct one_segment : leaves_nothing
{
    one_segment() : s(create_only, unique_name("leaving"), small_segment()) {}

    [[nodiscard]] arguments name() const { return {s.name()}; }

    void is_exact()
    {
        BOOST_TEST(reference_problems(s) == "");
        BOOST_TEST(heap(s).check(10s) == "");
    }

    // Processes of this role come and leave, and what they referred to is referred to no more.
    void nothing_is_left_by(std::string const& role)
    {
        pool<item>            items(create_only, s, "items", {.capacity = 4});
        named<pointers> const ours(create_only, s, "pointers");
        auto const            made = items.make(1u).value();
        ours->all[0]               = made;
        for (int n = 0; n < 20; ++n)
        {
            child c(role, name());
            BOOST_TEST(c.wait(30s) == exited(0));
            BOOST_TEST_REQUIRE(made.use_count() == 2u);
        }
        BOOST_TEST(s.participants().size() == 1u);
        BOOST_TEST(s.recoveries() == 0u);
        is_exact();
    }

    segment s;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_leaving, one_segment)

BOOST_AUTO_TEST_CASE(a_process_that_leaves_loses_no_cell_of_a_block_that_it_never_gave_back)
{
    nothing_is_left_by("loses_a_vector");
}

BOOST_AUTO_TEST_CASE(the_references_in_ordinary_memory_that_outlive_the_segment_go_when_their_process_leaves)
{
    nothing_is_left_by("has_pointers_for_ever");
}

BOOST_AUTO_TEST_CASE(who_cannot_leave_in_order_loses_nothing_that_its_lanes_kept)
{
    named<pointers> const ours(create_only, s, "pointers");
    child                 leaves = ready_child("leaves_a_name_behind", name());
    child                 still  = stopped_heap_holder(s.name());
    let_end(leaves);
    BOOST_TEST(finish(still, true) == exited(0));
    BOOST_TEST(s.recover(10s).value().dead.size() == 1u);
    is_exact();
}

BOOST_AUTO_TEST_CASE(a_recovery_callback_that_throws_leaves_nothing_under_construction)
{
    static_cast<void>(make_shared<plain>(s).value());
    child              dies = ready_child("bystander", name());
    heap               h(s);
    std::vector<void*> blocks;
    while (auto const block = h.allocate(4096, 1s))
        blocks.push_back(*block);
    bool called    = false;
    auto callbacks = s.on_recovery([&](recovery_report const&) {
        called = true;
        throw std::runtime_error("a callback that throws");
    });
    dies.kill();
    try
    {
        BOOST_TEST(!make_shared<large>(s).has_value());
    }
    catch (std::runtime_error const&)
    {}
    BOOST_TEST(called, "there was somebody to recover for before memory is said to be exhausted");
    callbacks.reset();
    BOOST_TEST(s.recover(10s).has_value());
    for (void* const block : blocks)
        BOOST_TEST(h.deallocate(block).has_value());
    is_exact();
}

BOOST_AUTO_TEST_CASE(who_drops_elements_of_a_pool_of_nobody_is_not_held_up_for_each_of_them_by_who_has_the_heap)
{
    named<pointers> const ours(create_only, s, "pointers");
    {
        pool<item> items(create_only, s, "items", {.capacity = 100});
        for (auto& one : ours->all)
            one = items.make(1u).value();
    }
    child still = stopped_heap_holder(s.name());
    answers_in_time(still, [&] {
        for (auto& one : ours->all)
            one = nullptr;
    });
    BOOST_TEST(finish(still, true) == exited(0));
    named<pointers> const again(open_only, s, "pointers"); // ends what could not be ended
    is_exact();
    BOOST_TEST(s.recoveries() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
