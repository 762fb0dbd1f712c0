/// As many processes as a segment has places for: they come, die by the dozen and leave at the same time, and every number
/// stays exact.
#include <atrium/segment/segment.hpp>

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <atrium/memory/heap.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/named_objects.hpp>

#include <boost/test/unit_test.hpp>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t places     = 64; // what a segment has where nobody asks for more or fewer
constexpr std::size_t block_size = 4000;

} // namespace

// One of many: has a lane, a block and a hold of an object that all have, until it is told to leave.
ATRIUM_TEST_ROLE(one_of_many)
{
    segment const s(open_only, arguments.at(0), {.open_timeout = 30s}); // many come at the same time
    require(s.attached()->lane().has_value(), "a lane");
    named<std::uint64_t> const common(open_only, s, "common", {.patience = 30s});
    require(heap(s).allocate(block_size, 30s).has_value(), "a block");
    say("attached");
    static_cast<void>(hear());
    return 0;
}

// One too many.
ATRIUM_TEST_ROLE(refused)
{
    require(opening(open_only, arguments.at(0)) == errc::too_many_participants, "no place for it");
    require(opening(open_or_create, arguments.at(0)) == errc::too_many_participants, "in no way");
    return 0;
}

namespace {

// The test's own place, and those of the children it has started.
class full_house
{
public:
    full_house() { children_.reserve(places); }

    // Starts children until all places are taken; they come at the same time.
    void fill()
    {
        std::size_t const first = children_.size();
        while (children_.size() + 1 < places)
            children_.emplace_back("one_of_many", arguments{name});
        for (std::size_t n = first; n < children_.size(); ++n)
        {
            if (children_[n].line(60s) == "attached")
                continue;
            std::swap(children_[n], children_.back()); // the last one's words are printed
            require(false, "a child attached");
        }
    }

    // Kills so many at once, and returns who they were.
    std::set<std::uint64_t> kill(std::size_t how_many)
    {
        std::set<std::uint64_t>      dying;
        std::set<std::uint32_t>      pids;
        std::vector<child>           victims;
        std::vector<child>::iterator from = children_.end() - static_cast<std::ptrdiff_t>(how_many);
        for (auto victim = from; victim != children_.end(); ++victim)
            pids.insert(static_cast<std::uint32_t>(victim->pid()));
        for (participant_info const& p : own->participants())
        {
            if (pids.contains(p.pid))
                dying.insert(p.id.word());
        }
        for (auto victim = from; victim != children_.end(); ++victim)
            ::kill(victim->pid(), SIGKILL);
        for (auto victim = from; victim != children_.end(); ++victim)
            BOOST_TEST(victim->wait(60s) == killed(SIGKILL));
        children_.erase(from, children_.end());
        return dying;
    }

    // Lets all children leave at the same time.
    void dismiss()
    {
        for (child& c : children_)
            c.close_input();
        for (child& c : children_)
            BOOST_TEST(c.wait(60s) == exited(0));
        children_.clear();
    }

    // Everything there is to count, where so many are alive and so many dead.
    void holds(std::size_t alive, std::size_t dead)
    {
        BOOST_TEST(own->participants().size() == alive + dead);
        BOOST_TEST(count(*own, liveness::alive) == alive);
        BOOST_TEST(count(*own, liveness::dead) == dead);
        BOOST_TEST(named_objects(*own).value().at(0).holders == alive + dead);
        BOOST_TEST(heap(*own).check(10s) == "");
        auto const used = heap(*own).statistics(10s).value();
        BOOST_TEST(used.used_blocks == alone_.used_blocks + alive + dead - 1);
        BOOST_TEST(used.used_bytes - alone_.used_bytes >= (alive + dead - 1) * block_size);
        BOOST_TEST((used.used_bytes - alone_.used_bytes) % (alive + dead - 1) == 0u);
    }

    void is_full()
    {
        holds(places, 0);
        child newcomer("refused", {name});
        BOOST_TEST(newcomer.wait(60s) == exited(0));
        holds(places, 0);
    }

    // The test leaves first, then all others at once: one of them is the last.
    void everybody_leaves()
    {
        common_.reset();
        own.reset();
        BOOST_TEST(is_there(name));
        dismiss();
        BOOST_TEST(!is_there(name));
    }

    std::string const      name = unique_name("many");
    std::optional<segment> own{std::in_place, create_only, name};

private:
    std::optional<named<std::uint64_t>> common_{std::in_place, create_only, *own, "common", std::uint64_t{7}};
    heap_statistics                     alone_ = heap(*own).statistics(10s).value();
    std::vector<child>                  children_;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_many_processes, leaves_nothing)

BOOST_AUTO_TEST_CASE(half_of_all_are_killed_at_once_and_their_places_are_to_be_had_again)
{
    full_house house;
    house.fill();
    house.is_full();

    auto const killed = house.kill(places / 2);
    BOOST_TEST(killed.size() == places / 2);
    house.holds(places / 2, places / 2);

    auto const              report = house.own->recover(30s).value();
    std::set<std::uint64_t> recovered;
    for (participant_id const id : report.dead)
        recovered.insert(id.word());
    BOOST_TEST((recovered == killed));
    BOOST_TEST(report.dead.size() == places / 2);
    BOOST_TEST(report.lanes_released == places / 2);
    BOOST_TEST(report.holds_released == places / 2);
    BOOST_TEST(report.blocks_reclaimed == places / 2);
    BOOST_TEST(house.own->recoveries() == 1u);
    house.holds(places / 2, 0);
    BOOST_TEST(house.own->recover(30s).value().dead.empty());

    house.fill();
    house.is_full();
    BOOST_TEST(house.own->recoveries() == 1u);
    house.everybody_leaves();
}

BOOST_AUTO_TEST_CASE(newcomers_take_the_places_of_the_dead_though_nobody_has_recovered)
{
    full_house house;
    house.fill();
    for (int round = 0; round < 3; ++round)
    {
        auto const killed = house.kill(places - 1);
        BOOST_TEST(killed.size() == places - 1);
        house.fill();
        house.is_full();
        for (participant_info const& p : house.own->participants())
            BOOST_TEST(!killed.contains(p.id.word()));
    }
    house.everybody_leaves();
}

BOOST_AUTO_TEST_CASE(all_others_leave_at_once_and_as_many_come_again)
{
    full_house house;
    for (int round = 0; round < 3; ++round)
    {
        house.fill();
        house.is_full();
        house.dismiss();
        BOOST_TEST(house.own->participants().size() == 1u);
    }
    BOOST_TEST(house.own->recoveries() == 0u);
    house.fill();
    house.everybody_leaves();
}

BOOST_AUTO_TEST_SUITE_END()
