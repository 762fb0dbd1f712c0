/// Processes that make, share, link and drop elements of pools and objects of the heap are killed at random, again and
/// again: nobody ever reads what is not whole, and in the end every count is exact.
#include <atrium/pool/pool.hpp>

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

/// Where they are left for others.
struct shelf
{
    using allocator_type               = allocator<std::byte>;
    static constexpr bool is_shareable = true;

    explicit shelf(std::allocator_arg_t, allocator_type const& a) : beads(a), bunches(a) {}

    vector<segment_ptr<bead>>  beads;
    vector<segment_ptr<bunch>> bunches;
};

using safe_shelf = guarded<shelf>;

} // namespace atrium::test

namespace {

constexpr std::size_t capacity = 96;

void verify(shared_ptr<bead> from)
{
    for (unsigned depth = from->depth; from != nullptr; --depth)
    {
        require(from->sum == from->checksum() && from->depth == depth, "an element is whole");
        from = from->next != nullptr ? from->next.share().value() : nullptr;
    }
}

// One of the processes.
class user
{
public:
    explicit user(station const& at)
        : at_(at),
          shelf_(open_only, at.s, "shelf"),
          beads_(open_only, at.s, "beads"),
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
        switch (random_() % 6)
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
        if (auto made = beads_.make(static_cast<std::uint32_t>(random_() + 1), older))
            mine_.push_back(std::move(*made));
        else
        {
            require(made.error() == errc::exhausted);
            mine_.clear();
        }
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
    std::vector<shared_ptr<bead>> mine_;
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

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_soak, leaves_nothing)

BOOST_AUTO_TEST_CASE(random_deaths_cost_no_reference)
{
    segment             s(create_only, unique_name("soak"),
                          {.size           = 256u << 10,
                           .maximum_size   = 16u << 20,
                           .participants   = 16,
                           .lanes          = 16,
                           .named_objects  = 8,
                           .detection_time = 5ms});
    counted const       all(s);
    named<safe_shelf>   shelf(create_only, s, "shelf");
    pool<bead>          beads(create_only, s, "beads", {.capacity = capacity});
    std::uint64_t const blocks = blocks_of_objects(s);
    std::uint64_t const kills  = long_form() ? 10'000 : 300;
    arguments const     name{s.name()};
    actor const         mortal{"user_of_beads", name};

    auto const report = kill_at_random({mortal,
                                        mortal,
                                        mortal,
                                        mortal,
                                        {"hasty_user_of_beads", name},
                                        {.role = "user_of_beads", .given = name, .immortal = true}},
                                       {.kills = kills}, [&](std::uint64_t kill) {
                                           BOOST_TEST(heap(s).check(30s) == "");
                                           // First the one that follows: the other may grow in between.
                                           auto const ended = all->destruction_ended.load();
                                           auto const began = all->destruction_began.load();
                                           BOOST_TEST(ended <= began);
                                           BOOST_TEST(began <= all->constructed.load());
                                           if (auto const made = beads.make(1u))
                                               verify(*made);
                                           BOOST_TEST(beads.statistics().outstanding <= capacity);
                                           BOOST_TEST(s.participants().size() <= 16u);
                                           if (kill % 8 != 0)
                                               return;
                                           child visitor("visitor_of_beads", name);
                                           BOOST_TEST(visitor.wait(60s) == exited(0));
                                       });
    BOOST_TEST(report.kills == kills);
    BOOST_TEST(report.unexpected == 0u);

    BOOST_TEST(s.recover(30s).has_value());
    {
        auto held = shelf->lock_for_repair(10s).value();
        held.rebuild();
        static_cast<void>(
            atrium::make_shared<bunch>(s, std::vector<shared_ptr<bead>>()).value()); // what was left pending goes
    }
    BOOST_TEST(reference_problems(s) == "");
    BOOST_TEST(heap(s).check(10s) == "");
    BOOST_TEST(blocks_of_objects(s) == blocks);
    // Who was killed was in the middle of one object at most.
    auto const made  = all->constructed.load();
    auto const ended = all->destruction_ended.load();
    BOOST_TEST(all->destruction_began.load() <= made);
    BOOST_TEST(made - ended <= report.kills);
    BOOST_TEST_MESSAGE(made << " objects made, " << made - all->destruction_began.load() << " never destroyed, "
                            << all->destruction_began.load() - ended << " not to the end");

    std::vector<shared_ptr<bead>> every;
    while (auto one = beads.make(1u))
        every.push_back(std::move(*one));
    BOOST_TEST(every.size() == capacity);
}

BOOST_AUTO_TEST_SUITE_END()
