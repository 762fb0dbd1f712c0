/// Processes that use a segment's memory in every way are killed at random, again and again; in the end nothing is
/// lost.
#include <atrium/memory/named.hpp>

#include "memory/memory_fixture.hpp"
#include "support/random_killer.hpp"

#include <random>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const* long_text = "a text that is too long to lie in the string itself";

struct shelf
{
    using allocator_type = allocator<std::byte>;
    explicit shelf(std::allocator_arg_t, allocator_type const& a) : line(a), by_name(a), by_number(a) {}

    vector<string>             line;
    map<string, vector<int>>   by_name;
    unordered_map<int, string> by_number;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<shelf> = true;

namespace {

using safe_shelf = guarded<shelf>;

// Two of them beside each other, and one that comes and goes.
struct room
{
    using allocator_type = allocator<std::byte>;
    explicit room(std::allocator_arg_t, allocator_type const& a)
        : first(std::allocator_arg, a), more(std::allocator_arg, a)
    {}
    safe_shelf                     first;
    guarded<map<int, vector<int>>> more;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<room> = true;

namespace {

std::minstd_rand random_for_this_process()
{
    return std::minstd_rand(static_cast<unsigned>(seed() ^ static_cast<std::uint64_t>(::getpid())));
}

// Fails as little as anybody else who is let alone.
void use(shelf& all, std::minstd_rand& random)
{
    for (auto n = random() % 5; n != 0; --n)
    {
        int const number = static_cast<int>(random() % 50);
        if (all.line.size() > 100)
            all.line.clear();
        all.line.emplace_back(long_text);
        all.by_name[string(std::to_string(number).c_str())].push_back(number);
        if (number % 3 == 0)
            all.by_name.erase(all.by_name.begin());
        all.by_number[number] = string(long_text);
        if (number % 7 == 0)
            all.by_number.clear();
    }
}

ATRIUM_TEST_ROLE(user_of_rooms)
{
    segment const s(open_only, arguments.at(0), {.open_timeout = 30s});
    counted const all(s);
    auto          random = random_for_this_process();
    while (!told_to_end())
    {
        named<room> const here(open_or_create, s, "room" + std::to_string(random() % 3));
        auto              held = here->first.lock_for_repair(30s).value();
        if (held.is_torn())
            held.rebuild();
        use(*held, random);
        auto numbers = here->more.lock_for_repair(30s).value();
        if (numbers.is_torn())
            numbers.rebuild();
        (*numbers)[static_cast<int>(random() % 20)].resize(random() % 200);
    }
    return 0;
}

ATRIUM_TEST_ROLE(user_of_names)
{
    segment const s(open_only, arguments.at(0), {.open_timeout = 30s});
    counted const all(s);
    auto          random = random_for_this_process();
    while (!told_to_end())
    {
        try
        {
            named<noted> object(open_or_create, s, "noted" + std::to_string(random() % 4), 0u, random() % 6);
            if (random() % 4 == 0)
                require(object.set_keep(random() % 2 == 0, 30s).has_value());
            named<noted> const other(create_only, s, "noted" + std::to_string(random() % 4));
        }
        catch (system_error const& e)
        {
            require(e.code() == errc::already_exists, e.what());
        }
    }
    return 0;
}

ATRIUM_TEST_ROLE(user_of_blocks)
{
    segment const      s(open_only, arguments.at(0), {.open_timeout = 30s});
    heap               h(s);
    auto               random = random_for_this_process();
    std::vector<void*> mine;
    while (!told_to_end())
    {
        if (mine.size() < 50 && random() % 2 == 0)
            mine.push_back(h.allocate(random() % 3000, 30s).value());
        else if (!mine.empty())
        {
            std::swap(mine[random() % mine.size()], mine.back());
            require(h.deallocate(mine.back()).has_value());
            mine.pop_back();
        }
    }
    return 0; // the rest goes as the process leaves
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_soak, leaves_nothing)

BOOST_AUTO_TEST_CASE(random_deaths_cost_nothing)
{
    segment             s(create_only, unique_name("soak"), small_segment());
    counted const       all(s);
    std::uint64_t const used  = used_bytes(s);
    auto const          name  = s.name();
    std::uint64_t const kills = long_form() ? 10'000 : 300;

    auto const report = kill_at_random({{"user_of_rooms", {name}},
                                        {"user_of_rooms", {name}},
                                        {"user_of_names", {name}},
                                        {"user_of_names", {name}},
                                        {"user_of_blocks", {name}},
                                        {.role = "user_of_rooms", .given = {name}, .immortal = true},
                                        {.role = "user_of_names", .given = {name}, .immortal = true}},
                                       {.kills = kills}, [&](std::uint64_t) {
                                           BOOST_TEST(heap(s).check(30s) == "");
                                           // First the one that follows: the other may grow in between.
                                           auto const began = all->destruction_began.load();
                                           BOOST_TEST(began <= all->constructed.load());
                                           BOOST_TEST(s.participants().size() <= 16u);
                                       });
    BOOST_TEST(report.kills == kills);
    BOOST_TEST(report.unexpected == 0u);

    BOOST_TEST(s.recover(30s).has_value());
    for (auto const& info : named_objects(s).value())
    {
        if (info.name == "counts")
            continue;
        BOOST_TEST(info.holders == 0u);
        if (info.name.starts_with("noted") && info.kept)
            BOOST_TEST(named<noted>(open_only, s, info.name).set_keep(false, 5s).has_value());
    }
    {
        named<noted> const knows(open_or_create, s, "noted0"); // both types: what is pending goes
        named<room> const  knows_more(open_or_create, s, "room0");
    }
    BOOST_TEST(named_objects(s).value().size() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_SUITE_END()
