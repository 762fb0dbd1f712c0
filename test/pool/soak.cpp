/// Processes that make, share, link and drop elements of pools and objects of the heap are killed at random, again and
/// again: nobody ever reads what is not whole, and after each round of kills every count is exact.
#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/growing_pool.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/pool/pools.hpp>

#include "memory/reference_objects.hpp"
#include "support/random_killer.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

constexpr unsigned longest_chain = 6;

/// Content that each reader verifies, and perhaps a reference to an older one.
struct bead
{
    static constexpr bool is_shareable = true;

    explicit bead(std::uint32_t seed, shared_ptr<bead> const& older = {})
        : depth(older == nullptr ? 1 : older->depth + 1), next(older)
    {
        std::minstd_rand random(seed);
        for (auto& word : content)
            word = random();
        sum = checksum();
    }
    ~bead() { sum = 0; } // nobody reads it any more

    [[nodiscard]] std::uint64_t checksum() const noexcept
    {
        std::uint64_t result = 0x9e37'79b9'7f4a'7c15;
        for (std::uint64_t const word : content)
            result = (result ^ word) * 0x100'0000'01b3;
        return result | 1;
    }

    noted_end                     end;
    unsigned                      depth;
    std::uint64_t                 sum = 0;
    std::array<std::uint64_t, 12> content{};
    segment_ptr<bead>             next;
    noted_life                    life;
};

/// An object of the heap that holds several.
struct bunch
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    // Here, where a death leaves nothing; what is changed afterwards has to be guarded.
    bunch(std::allocator_arg_t, allocator_type const& a, std::vector<shared_ptr<bead>> const& from) : beads(a)
    {
        for (auto const& one : from)
            beads.emplace_back(one);
    }

    noted_end                 end;
    vector<segment_ptr<bead>> beads;
    noted_life                life;
};

/// One of a run, which its neighbours vouch for.
struct grain
{
    std::uint64_t number = 0;
};

using run = shared_ptr<grain[]>;

/// Where they are left for others.
struct shelf
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    explicit shelf(std::allocator_arg_t, allocator_type const& a) : beads(a), runs(a), bunches(a) {}

    vector<segment_ptr<bead>>    beads;
    vector<segment_ptr<grain[]>> runs;
    vector<segment_ptr<bunch>>   bunches;
};

using safe_shelf = guarded<shelf>;

} // namespace atrium::test

namespace {

constexpr std::size_t          capacity      = 96;
constexpr std::size_t          run_capacity  = 24;
constexpr std::size_t          run_length    = 16;
constexpr growing_pool_options grown_options = {.capacity = 2, .generations = 7, .patience = 30s};

void verify(shared_ptr<bead> from)
{
    for (unsigned depth = from->depth; from != nullptr; --depth)
    {
        require(from->sum == from->checksum() && from->depth == depth, "an element is whole");
        from = from->next != nullptr ? from->next.share().value() : nullptr;
    }
}

std::uint64_t number_after(std::uint64_t before) noexcept
{
    return before * 0x5851'f42d'4c95'7f2d + 0x1405'7b7e'f767'814f;
}

void fill(run const& one, std::uint64_t seed)
{
    one[0].number = seed;
    for (std::size_t n = 1; n != run_length; ++n)
        one[n].number = number_after(one[n - 1].number);
}

void verify(run const& one)
{
    for (std::size_t n = 1; n != run_length; ++n)
        require(one[n].number == number_after(one[n - 1].number), "a run is whole");
}

// One of the processes.
class user
{
public:
    explicit user(station const& at)
        : at_(at),
          shelf_(open_only, at.s, "shelf"),
          beads_(open_only, at.s, "beads"),
          runs_(open_only, at.s, "runs", run_length),
          grown_(open_or_create, at.s, "grown", grown_options),
          random_(static_cast<unsigned>(seed() ^ static_cast<std::uint64_t>(::getpid())))
    {}

    void work(int times)
    {
        for (; times != 0; --times)
            work_once();
    }

private:
    void work_once()
    {
        switch (random_() % 8)
        {
        case 0:
            return make();
        case 1:
            return leave();
        case 2:
            return take();
        case 3:
            return lock_weak();
        case 4:
            return bundle();
        case 5:
            return make_run();
        case 6:
            return exchange_runs();
        default:
            return drop();
        }
    }

    shared_ptr<bead> any() { return mine_.empty() ? nullptr : mine_[random_() % mine_.size()]; }

    void make()
    {
        auto older = any();
        if (older != nullptr && older->depth == longest_chain)
            older = nullptr;
        auto const seed = static_cast<std::uint32_t>(random_() + 1);
        auto       made = random_() % 2 == 0 ? beads_.make(seed, older) : grown_.make(seed, older);
        if (made)
            mine_.push_back(std::move(*made));
        else
        {
            require(made.error() == errc::exhausted);
            mine_.clear();
        }
    }

    void make_run()
    {
        auto made = runs_.make();
        if (made)
        {
            fill(*made, random_());
            my_runs_.push_back(std::move(*made));
        }
        else
            require(made.error() == errc::exhausted);
        if (!made || my_runs_.size() > 4)
            my_runs_.erase(my_runs_.begin(), my_runs_.begin() + static_cast<std::ptrdiff_t>(my_runs_.size() / 2));
    }

    auto locked_shelf()
    {
        auto held = shelf_->lock_or_rebuild(30s);
        require(held.has_value(), "the shelf is to be had");
        return std::move(*held);
    }

    // In the place of another one, before or behind the others.
    void leave()
    {
        auto const one = any();
        if (one == nullptr)
            return;
        auto  held  = locked_shelf();
        auto& beads = held->beads;
        switch (beads.empty() ? 0 : random_() % 4)
        {
        case 0:
            beads.emplace_back(one);
            break;
        case 1:
            beads[random_() % beads.size()] = one;
            break;
        case 2:
            beads.insert(beads.begin(), one);
            break;
        default:
            std::swap(beads.front(), beads.back());
        }
        if (beads.size() > 8)
            beads.erase(beads.begin() + static_cast<std::ptrdiff_t>(random_() % beads.size()));
        if (random_() % 16 == 0)
            beads.clear();
    }

    void take()
    {
        shared_ptr<bead> taken;
        {
            auto held = locked_shelf();
            if (held->beads.empty())
                return;
            auto& place = held->beads[random_() % held->beads.size()];
            taken       = place.share().value();
            if (random_() % 2 == 0)
                place = nullptr;
            held->beads.erase(std::remove(held->beads.begin(), held->beads.end(), nullptr), held->beads.end());
        }
        verify(taken);
        mine_.push_back(std::move(taken));
    }

    // Takes the oldest, and leaves one.
    void exchange_runs()
    {
        run taken;
        {
            auto  held = locked_shelf();
            auto& runs = held->runs;
            if (!my_runs_.empty())
                runs.emplace_back(my_runs_.back());
            if (runs.size() > 1 + random_() % 6)
            {
                taken = runs.front().share().value();
                runs.erase(runs.begin());
            }
        }
        if (!my_runs_.empty())
            my_runs_.pop_back();
        if (taken == nullptr)
            return;
        verify(taken);
        if (random_() % 2 == 0)
            my_runs_.push_back(std::move(taken));
    }

    void lock_weak()
    {
        auto one = any();
        if (one == nullptr)
            return;
        weak_ptr<bead> const weak(one);
        one.reset();
        std::swap(mine_.front(), mine_.back());
        mine_.pop_back();
        if (auto const again = weak.lock())
            verify(*again);
        else
            require(again.error() == errc::expired);
    }

    // An object of the heap with what this process has; and reads what others have left so.
    void bundle()
    {
        auto const        fresh = atrium::make_shared<bunch>(at_.s, mine_).value();
        shared_ptr<bunch> other;
        {
            auto held = locked_shelf();
            if (held->bunches.size() > 2)
            {
                other = held->bunches.front().share().value();
                held->bunches.erase(held->bunches.begin());
            }
            held->bunches.emplace_back(fresh);
        }
        if (other != nullptr)
        {
            for (auto const& one : other->beads)
                verify(one.share().value());
        }
    }

    void drop()
    {
        if (mine_.size() > 6)
            mine_.resize(random_() % 6);
        else if (!mine_.empty())
            mine_.pop_back();
    }

    station const&                at_;
    named<safe_shelf>             shelf_;
    pool<bead>                    beads_;
    array_pool<grain>             runs_;
    growing_pool<bead>            grown_;
    std::vector<shared_ptr<bead>> mine_;
    std::vector<run>              my_runs_;
    std::minstd_rand              random_;
};

ATRIUM_TEST_ROLE(user_of_beads)
{
    station const at(arguments.at(0));
    user          one(at);
    while (!told_to_end())
        one.work(20);
    return 0;
}

// With new threads, and the pool opened anew, all the time.
ATRIUM_TEST_ROLE(hasty_user_of_beads)
{
    station const at(arguments.at(0));
    while (!told_to_end())
        std::thread([&] { user(at).work(20); }).join();
    return 0;
}

// Comes for a little work, and goes.
ATRIUM_TEST_ROLE(visitor_of_beads)
{
    station const at(arguments.at(0));
    user(at).work(20);
    return 0;
}

// A segment that they use, round by round, and what must be true of it.
class bead_shop
{
public:
    // Until so many have been killed and the others have left; false when something was wrong on the way.
    bool let_them_work(std::uint64_t kills)
    {
        arguments const name{s_.name()};
        actor const     mortal{"user_of_beads", name};
        auto const      report =
            kill_at_random({mortal,
                            mortal,
                            mortal,
                            mortal,
                            {"hasty_user_of_beads", name},
                            {.role = "user_of_beads", .given = name, .immortal = true}},
                           {.kills = kills, .turn = round_++}, [&](std::uint64_t kill) { look_in_between(kill); });
        BOOST_TEST(report.kills == kills);
        BOOST_TEST(report.unexpected == 0u);
        kills_ += report.kills;
        return report.kills == kills && report.unexpected == 0;
    }

    // When nobody else is there.
    void everything_is_exact()
    {
        BOOST_TEST(s_.recover(30s).has_value());
        {
            auto held = shelf_->lock_for_repair(10s).value();
            what_was_left_pending_goes();
            if (!held.is_torn())
                BOOST_TEST(reference_problems(s_) == ""); // with all that lies there
            held.rebuild();
        }
        BOOST_TEST(reference_problems(s_) == "");
        BOOST_TEST(heap(s_).check(10s) == "");
        BOOST_TEST(blocks_of_objects(s_) == blocks_);
        objects_are_destroyed_but_for_the_killed();
        every_place_is_free();
    }

    void tell() const
    {
        BOOST_TEST(largest_generation_ > grown_options.capacity);
        auto const made  = all_->constructed.load();
        auto const began = all_->destruction_began.load();
        BOOST_TEST_MESSAGE(made << " objects made, " << made - began << " never destroyed, "
                                << began - all_->destruction_ended.load()
                                << " not to the end; the largest generation of " << largest_generation_ << ", at most "
                                << most_generations_ << " at a time");
    }

private:
    void look_in_between(std::uint64_t kill)
    {
        BOOST_TEST(heap(s_).check(30s) == "");
        // First the one that follows: the other may grow in between.
        auto const ended = all_->destruction_ended.load();
        auto const began = all_->destruction_began.load();
        BOOST_TEST(ended <= began);
        BOOST_TEST(began <= all_->constructed.load());
        if (auto const made = beads_.make(1u))
            verify(*made);
        BOOST_TEST(beads_.statistics().outstanding <= capacity);
        BOOST_TEST(runs_.statistics().outstanding <= run_capacity);
        BOOST_TEST(s_.participants().size() <= 16u);
        look_at_generations();
        if (kill % 8 != 0)
            return;
        child visitor("visitor_of_beads", {s_.name()});
        BOOST_TEST(visitor.wait(60s) == exited(0));
    }

    void look_at_generations()
    {
        std::size_t there = 0;
        for (auto const& one : pools(s_).value())
        {
            BOOST_TEST(one.statistics.outstanding <= one.statistics.capacity);
            if (!one.name.starts_with("grown.g"))
                continue;
            ++there;
            largest_generation_ = std::max(largest_generation_, one.statistics.capacity);
        }
        most_generations_ = std::max(most_generations_, there);
    }

    void what_was_left_pending_goes()
    {
        static_cast<void>(atrium::make_shared<bunch>(s_, std::vector<shared_ptr<bead>>()).value());
    }

    // Who was killed was in the middle of one object at most.
    void objects_are_destroyed_but_for_the_killed()
    {
        auto const made = all_->constructed.load();
        BOOST_TEST(all_->destruction_began.load() <= made);
        BOOST_TEST(made - all_->destruction_ended.load() <= kills_);
    }

    // And the generations of the growing pool, which nobody has open, are gone.
    void every_place_is_free()
    {
        auto const there = pools(s_).value();
        BOOST_TEST(there.size() == 2u);
        for (auto const& one : there)
        {
            BOOST_TEST(one.statistics.outstanding == 0u, one.name);
            BOOST_TEST(one.statistics.pending == 0u, one.name);
        }
        BOOST_TEST(how_many(beads_, 1u) == capacity);
        BOOST_TEST(how_many(runs_) == run_capacity);
    }

    template <class Pool, class... Args> static std::size_t how_many(Pool& in, Args... args)
    {
        std::vector<typename decltype(in.make(args...))::value_type> every;
        while (auto one = in.make(args...))
            every.push_back(std::move(*one));
        return every.size();
    }

    segment             s_{create_only,
               unique_name("soak"),
               {.size           = 256u << 10,
                            .maximum_size   = 16u << 20,
                            .participants   = 16,
                            .lanes          = 16,
                            .named_objects  = 32,
                            .detection_time = 5ms}};
    counted const       all_{s_};
    named<safe_shelf>   shelf_{create_only, s_, "shelf"};
    pool<bead>          beads_{create_only, s_, "beads", {.capacity = capacity}};
    array_pool<grain>   runs_{create_only, s_, "runs", run_length, {.capacity = run_capacity}};
    std::uint64_t const blocks_             = blocks_of_objects(s_);
    std::uint64_t       round_              = 0;
    std::uint64_t       kills_              = 0;
    std::size_t         largest_generation_ = 0;
    std::size_t         most_generations_   = 0;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_soak, leaves_nothing)

BOOST_AUTO_TEST_CASE(random_deaths_cost_no_reference)
{
    std::uint64_t const rounds = long_form() ? 100 : 10;
    bead_shop           shop;
    for (std::uint64_t round = 0; round < rounds; ++round)
    {
        BOOST_TEST_CONTEXT("round " << round)
        {
            BOOST_TEST_REQUIRE(shop.let_them_work(long_form() ? 100 : 30));
            shop.everything_is_exact();
        }
    }
    shop.tell();
}

BOOST_AUTO_TEST_SUITE_END()
