/// \file
/// The survivor of processes that use counted objects, and what must be so when they are gone.
#pragma once

#include "memory/recovery_roles.hpp"
#include "memory/reference_roles.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace atrium::test {

/// Plays a role to its end, whatever that is.
inline exit_status run(std::string const& role, arguments const& given, child_options const& options = {})
{
    child victim(role, given, options);
    return victim.wait(60s);
}

inline void met_enough(crash_report const& report, std::uint64_t points)
{
    BOOST_TEST(report.points >= points);
    BOOST_TEST(report.failures == 0u);
}

/// Few places of everything.
inline segment_options reference_segment()
{
    return {.size           = 128u << 10,
            .maximum_size   = 4u << 20,
            .participants   = 8,
            .lanes          = 16,
            .named_objects  = 14,
            .detection_time = 5ms};
}

/// A survivor who knows all types but one, what was there before the victim came, and what must be so after it is gone.
struct reference_scene
{
    static constexpr std::size_t places = 6;

    explicit reference_scene(segment_options const& options = reference_segment())
        : s(create_only, unique_name("references"), options)
    {
        here = &s;
        static_cast<void>(detail::counted_type<holder_of_item>());
        // What is got once and kept.
        bare->one     = make_shared<node>(s, 1u).value();
        bare->element = items.make(1u).value();
        lay_out();
        blocks = blocks_of_objects(s);
    }
    reference_scene(reference_scene const&)            = delete;
    reference_scene& operator=(reference_scene const&) = delete;
    ~reference_scene() { here = nullptr; }

    [[nodiscard]] arguments name() const { return {s.name()}; }

    /// What lies on the guarded board.
    void lay_out()
    {
        auto held = safe->lock_for_repair(10s).value();
        if (held.is_torn())
            held.rebuild();
        held->items.clear();
        held->nodes.clear();
        for (std::uint64_t value : {11u, 12u})
            held->nodes.emplace_back(make_shared<node>(s, value).value());
        held->nodes.shrink_to_fit();
        held->items.shrink_to_fit();
    }

    /// The survivor refers to what the victim will change the counts of.
    void hold()
    {
        held_nodes_.push_back(bare->one.share().value());
        if (bare->element != nullptr)
            held_items_.push_back(bare->element.share().value());
        auto const on_board = safe->lock(10s).value();
        for (auto const& one : on_board->nodes)
            held_nodes_.push_back(one.share().value());
    }

    /// Before anybody has asked for a recovery, all can be used.
    void others_go_on()
    {
        auto const before = std::chrono::steady_clock::now();
        change_counts_of(held_nodes_);
        change_counts_of(held_items_);
        if (auto const element = items.make(9u))
            BOOST_TEST((*element)->is_whole());
        {
            auto const           made = make_shared<node>(s, 9u).value();
            weak_ptr<node> const weak(made);
            BOOST_TEST(weak.lock().has_value());
        }
        lay_out();
        BOOST_TEST((std::chrono::steady_clock::now() - before < 20s), "nobody is held up");
    }

    /// Everything as it was before; `cut_off` objects at most were between claim and constructor's end, or between the
    /// last drop and the destructor's end, when somebody died.
    void is_as_before(std::uint64_t cut_off, reference_expectation const& expected = {})
    {
        BOOST_TEST(s.recover(10s).has_value());
        // Who opens a name, or makes something, destroys what was left to it.
        named<life_counts> const usable(open_only, s, "counts");
        static_cast<void>(make_shared<plain>(s).value());
        BOOST_TEST(reference_problems(s, expected) == "");
        pointers_are_sound(bare->one, bare->other, bare->element, bare->spare, bare->trivial);
        lay_out();
        bare->other   = nullptr;
        bare->spare   = nullptr;
        bare->unknown = nullptr;
        bare->trivial = nullptr;
        if (bare->one == nullptr || bare->one->value != 1)
            bare->one = make_shared<node>(s, 1u).value();
        if (bare->element == nullptr || bare->element->value != 1)
        {
            bare->element = nullptr;
            bare->element = items.make(1u).value();
        }
        BOOST_TEST(reference_problems(s, expected) == "");
        BOOST_TEST(heap(s).check(10s) == "");
        if (expected.pending == 0)
            BOOST_TEST(blocks_of_objects(s) == blocks);
        lives_are_paired(cut_off + expected.pending);
        all_places_are_found();
    }

    /// Each refers to an object that lives, or to none.
    template <class... Pointers> void pointers_are_sound(Pointers const&... pointers)
    {
        auto const is_sound = [](auto const& pointer) {
            BOOST_TEST((pointer != nullptr) == pointer.share().has_value());
        };
        (is_sound(pointers), ...);
    }

    void lives_are_paired(std::uint64_t cut_off) const
    {
        auto const made  = all->constructed.load();
        auto const began = all->destruction_began.load();
        auto const ended = all->destruction_ended.load();
        BOOST_TEST(ended <= began);
        BOOST_TEST(began + alive <= made);
        BOOST_TEST(made <= ended + alive + cut_off);
    }

    /// Making until there is no more gives exactly what is said to be available.
    void all_places_are_found()
    {
        std::vector<shared_ptr<item>> all_items;
        std::size_t const             available = items.statistics().available;
        while (auto made = items.make(0u))
            all_items.push_back(std::move(*made));
        BOOST_TEST(all_items.size() == available);
        BOOST_TEST(available == places - 1);
    }

    /// How many places of the first chunks this process keeps, for those who want to use up the rest.
    [[nodiscard]] std::string kept_records() const
    {
        return kept([](detail::lane_state const& lane) { return lane.records.count; });
    }
    [[nodiscard]] std::string kept_cells() const
    {
        return kept([](detail::lane_state const& lane) { return lane.cells.count; });
    }

    segment           s;
    counted           all{s};
    named<safe_board> safe{create_only, s, "board"};
    named<board>      bare{create_only, s, "bare"};
    pool<item>        items{create_only, s, "items", {.capacity = places}};
    pool<plain>       plains{create_only, s, "plains", {.capacity = 2}};
    array_pool<plain> runs{create_only, s, "runs", 3, {.capacity = 2}};
    array_pool<item>  triples{create_only, s, "triples", 3, {.capacity = 2}};
    std::uint64_t     blocks = 0;
    std::uint64_t     alive  = 4; // on the boards

private:
    // Over what the victim has left in the words.
    template <class T> static void change_counts_of(std::vector<shared_ptr<T>>& held)
    {
        for (auto const& one : held)
            BOOST_TEST(weak_ptr<T>(one).lock().has_value());
        held.clear();
    }

    std::vector<shared_ptr<node>> held_nodes_;
    std::vector<shared_ptr<item>> held_items_;

    template <class Count> std::string kept(Count count) const
    {
        std::size_t sum = 0;
        for (detail::lane_state const& lane : detail::memory_of(*s.attached()).value()->lanes)
            sum += count(lane);
        return std::to_string(sum);
    }
};

/// Somebody who comes afterwards finds everything usable; asked after some of the runs, since it takes as long as one.
inline void newcomer_can_join(reference_scene& now, std::uint64_t run_number)
{
    if (run_number % 16 == 1)
        BOOST_TEST(run("newcomer", now.name()) == exited(0));
}

/// What the survivor does beside the victim: in half of the runs it changes counts that the victim was changing, before
/// anybody has recovered; in a quarter it only goes on, and in the last one recovers at once. Which run is which changes
/// with the seed.
inline std::uint64_t kind_of_run(std::uint64_t run_number)
{
    static std::uint64_t const first = seed();
    return (first + run_number) % 4;
}
inline void prepare_others(reference_scene& now, std::uint64_t run_number)
{
    if (kind_of_run(run_number) < 2)
        now.hold();
}
inline void others_go_on(reference_scene& now, std::uint64_t run_number)
{
    if (kind_of_run(run_number) < 3)
        now.others_go_on();
}

/// Elements whose pools nobody has open.
inline void leave_elements(reference_scene& now, arguments&)
{
    pool<item>  lasting(create_only, now.s, "lasting", {.capacity = 2});
    pool<plain> trivial(create_only, now.s, "trivial", {.capacity = 2});
    now.bare->spare   = lasting.make(5u, true).value();
    now.bare->trivial = trivial.make().value();
}

} // namespace atrium::test
