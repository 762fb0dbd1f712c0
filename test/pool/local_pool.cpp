/// Pools of one process: what is made, where its memory goes, and threads that make, drop, end and fork.
#include <atrium/pool/local_pool.hpp>

#include "support/role.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <latch>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

// What a backing allocator has given out.
struct tally
{
    std::atomic<std::size_t> bytes{0};
    std::atomic<std::size_t> blocks{0};              // that there ever were
    std::atomic<std::size_t> limit{~std::size_t{0}}; // of these
};

// Counts, and gives out bytes without any alignment, as an allocator of bytes may.
template <class T> struct counting
{
    using value_type = T;

    counting(tally& t) : to(&t) {}
    template <class U> counting(counting<U> const& other) : to(other.to) {}

    T* allocate(std::size_t count)
    {
        if (to->blocks == to->limit)
            throw std::bad_alloc();
        ++to->blocks;
        to->bytes += count;
        return reinterpret_cast<T*>(new char[count + 1] + 1);
    }
    void deallocate(T* block, std::size_t count)
    {
        to->bytes -= count;
        delete[](reinterpret_cast<char*>(block) - 1);
    }
    friend bool operator==(counting, counting) = default;

    tally* to;
};

// A value that notices when it is overwritten, and when it is destroyed twice.
struct item
{
    explicit item(std::uint64_t v = 7) : value(v), inverse(~v) { ++living; }
    item(item const&)            = delete;
    item& operator=(item const&) = delete;
    ~item()
    {
        broken += inverse != ~value ? 1 : 0;
        inverse = value;
        --living;
    }

    std::uint64_t value;
    std::uint64_t inverse;
    char          rest[48] = {};

    static inline std::atomic<int> living{0};
    static inline std::atomic<int> broken{0};
};

using item_pool     = local_pool<item>;
using counting_pool = local_pool<item, counting<std::byte>>;
using items         = std::vector<std::shared_ptr<item>>;

struct refuses
{
    explicit refuses(bool refused)
    {
        if (refused)
            throw std::runtime_error("refused");
    }
};

struct alignas(256) wide
{
    char text[3];
};

// Everything that can be made.
template <class Pool> items make_all(Pool& pool)
{
    items all;
    for (auto made = pool.make(); made; made = pool.make())
        all.push_back(std::move(*made));
    return all;
}

// Runs `work` in a thread that goes on living, with what it keeps at hand, until this goes.
class living_thread
{
public:
    template <class Work>
    explicit living_thread(Work work)
        : thread_([this, work] {
              work();
              done_.count_down();
              end_.wait();
          })
    {
        done_.wait();
    }
    living_thread(living_thread const&)            = delete;
    living_thread& operator=(living_thread const&) = delete;
    ~living_thread()
    {
        end_.count_down();
        thread_.join();
    }

private:
    std::latch  done_{1};
    std::latch  end_{1};
    std::thread thread_;
};

struct nothing_left
{
    nothing_left() { item::broken = 0; }
    ~nothing_left()
    {
        BOOST_TEST(item::living == 0);
        BOOST_TEST(item::broken == 0);
        BOOST_TEST(counted.bytes == 0u);
    }

    tally counted;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pool_local_pool, nothing_left)

BOOST_AUTO_TEST_CASE(an_element_is_made_from_its_arguments_and_lies_in_the_pool)
{
    item_pool pool({.capacity = 100});
    BOOST_TEST(pool.capacity() == 100u);
    BOOST_TEST(pool.available() == 100u);
    auto made = pool.make(42u);
    BOOST_TEST_REQUIRE(made.has_value());
    BOOST_TEST((*made)->value == 42u);
    BOOST_TEST(made->use_count() == 1);
    BOOST_TEST(pool.outstanding() == 1u);
    BOOST_TEST(pool.available() == 99u);
    item const* const place = made->get();
    made->reset();
    BOOST_TEST(item::living == 0);
    BOOST_TEST(pool.outstanding() == 0u);
    BOOST_TEST(pool.make().value().get() == place);
}

BOOST_AUTO_TEST_CASE(a_pool_is_exhausted_when_all_its_places_are_in_use)
{
    for (std::size_t const capacity : {1u, 2u, 15u, 16u, 100u, 5000u})
    {
        item_pool pool({.capacity = capacity});
        for (int round = 0; round != 3; ++round)
        {
            items all = make_all(pool);
            BOOST_TEST(all.size() == capacity);
            BOOST_TEST((pool.make().error() == errc::exhausted));
            BOOST_CHECK_THROW(static_cast<void>(pool.allocator().allocate(1)), std::bad_alloc);
            BOOST_TEST(pool.outstanding() == capacity);
            BOOST_TEST(pool.available() == 0u);
            all.pop_back();
            BOOST_TEST(pool.make().has_value());
        }
        BOOST_TEST(pool.outstanding() == 0u);
    }
}

BOOST_AUTO_TEST_CASE(a_place_is_in_use_as_long_as_there_is_a_weak_pointer)
{
    item_pool           pool({.capacity = 1});
    std::weak_ptr<item> weak = pool.make().value();
    BOOST_TEST((weak.expired() && item::living == 0));
    BOOST_TEST((pool.make().error() == errc::exhausted));
    weak.reset();
    BOOST_TEST(pool.make().has_value());
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_gives_the_place_back)
{
    local_pool<refuses> pool({.capacity = 1});
    for (int i = 0; i != 3; ++i)
        BOOST_CHECK_THROW(static_cast<void>(pool.make(true)), std::runtime_error);
    BOOST_TEST(pool.available() == 1u);
    BOOST_TEST(pool.make(false).has_value());
}

BOOST_AUTO_TEST_CASE(elements_are_aligned_whatever_the_backing_allocator_gives)
{
    local_pool<wide, counting<std::byte>> pool({.capacity = 40}, counted);
    local_pool<char, counting<std::byte>> padded({.pad_to_cache_line = true}, counted);
    std::vector<std::shared_ptr<void>>    kept;
    std::uintptr_t                        before = 0;
    for (int i = 0; i != 40; ++i)
    {
        auto aligned = pool.make().value();
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(aligned.get()) % 256 == 0u);
        auto       alone = padded.make('x').value();
        auto const line  = reinterpret_cast<std::uintptr_t>(alone.get()) / 64;
        BOOST_TEST(line != before);
        before = line;
        kept.insert(kept.end(), {aligned, alone});
    }
}

BOOST_AUTO_TEST_CASE(a_pool_without_a_capacity_grows)
{
    counting_pool pool({}, counted);
    BOOST_TEST(pool.capacity() == 0u);
    items kept;
    for (int i = 0; i != 10'000; ++i)
        kept.push_back(pool.make().value());
    BOOST_TEST(pool.outstanding() == 10'000u);
    BOOST_TEST((10'000u <= pool.capacity() && pool.capacity() < 40'000u));
    std::size_t const ever = counted.blocks;
    kept.clear();
    for (int i = 0; i != 10'000; ++i)
        kept.push_back(pool.make().value());
    BOOST_TEST(counted.blocks == ever);
}

BOOST_AUTO_TEST_CASE(a_backing_allocator_without_memory_is_an_error_and_no_more)
{
    counted.limit = 2;
    counting_pool pool({}, counted);
    items         all = make_all(pool); // the core and one chunk: there is none for a cache
    BOOST_TEST(all.size() == pool.capacity());
    BOOST_TEST((pool.make().error() == errc::out_of_memory));
    all.pop_back();
    BOOST_TEST(pool.make().has_value());
    counted.limit = 3;
    BOOST_TEST(pool.make().has_value());
    BOOST_CHECK_THROW(counting_pool({.capacity = 10}, counted), std::bad_alloc);
    BOOST_CHECK_THROW(item_pool({.capacity = ~std::size_t{0} / 8}), system_error); // too_large
}

BOOST_AUTO_TEST_CASE(the_low_water_is_no_more_than_what_was_available_and_not_much_less)
{
    item_pool pool({.capacity = 800});
    BOOST_TEST(pool.low_water() == 800u);
    items kept;
    for (int i = 0; i != 500; ++i)
        kept.push_back(pool.make().value());
    kept.clear();
    BOOST_TEST((200u <= pool.low_water() && pool.low_water() <= 300u));
    kept = make_all(pool);
    BOOST_TEST(pool.low_water() == 0u);
}

BOOST_AUTO_TEST_CASE(what_was_made_outlives_the_pool)
{
    std::optional<counting_pool> pool(std::in_place, local_pool_options{.capacity = 100}, counted);
    auto                         first  = pool->make(1u).value();
    auto                         second = pool->make(2u).value();
    pool.reset();
    BOOST_TEST(first->value == 1u);
    first.reset();
    BOOST_TEST(counted.bytes != 0u);
    std::thread([gone = std::move(second)]() mutable { gone.reset(); }).join();
    BOOST_TEST(counted.bytes == 0u);
}

BOOST_AUTO_TEST_CASE(places_that_living_threads_keep_are_found)
{
    item_pool           pool({.capacity = 1000});
    auto const          make_and_drop = [&] { static_cast<void>(pool.make().value()); };
    living_thread const a(make_and_drop);
    living_thread const b(make_and_drop);
    living_thread const c([&] { make_all(pool).clear(); });
    BOOST_TEST(pool.available() == 1000u);
    BOOST_TEST(make_all(pool).size() == 1000u);
    living_thread const e([&] { BOOST_TEST(make_all(pool).size() == 1000u); });
    BOOST_TEST(pool.outstanding() == 0u);
}

BOOST_AUTO_TEST_CASE(what_another_thread_drops_comes_back)
{
    item_pool pool({.capacity = 500});
    for (int round = 0; round != 5; ++round)
    {
        items         all = make_all(pool);
        living_thread elsewhere([&] { all.clear(); });
        BOOST_TEST(pool.available() == 500u);
        BOOST_TEST(make_all(pool).size() == 500u);
    }
}

BOOST_AUTO_TEST_CASE(many_pools_and_many_threads_leave_nothing)
{
    for (int round = 0; round != 20; ++round)
    {
        std::optional<counting_pool> first(std::in_place, local_pool_options{}, counted);
        counting_pool                second({.capacity = 300}, counted);
        living_thread const          a([&] { static_cast<void>(first->make().value()); });
        std::thread([&] { static_cast<void>(second.make().value()); }).join();
        auto const kept = first->make().value();
        first.reset();
        counting_pool const third({}, counted);
        BOOST_TEST(make_all(second).size() == 300u);
    }
}

BOOST_AUTO_TEST_CASE(what_an_ended_thread_kept_places_in_serves_the_next_thread)
{
    counting_pool pool({}, counted);
    auto const    make_and_drop = [&] { static_cast<void>(pool.make().value()); };
    std::thread(make_and_drop).join();
    std::size_t const ever = counted.blocks;
    for (int i = 0; i != 20; ++i)
        std::thread(make_and_drop).join();
    BOOST_TEST(counted.blocks == ever);
}

BOOST_AUTO_TEST_CASE(thread_local_destructors_make_and_drop_after_the_thread_has_given_back_what_it_kept)
{
    struct late
    {
        ~late()
        {
            if (pool != nullptr)
                static_cast<void>(pool->make(3u).value());
        }
        counting_pool*        pool = nullptr;
        std::shared_ptr<item> kept;
    };
    counting_pool pool({.capacity = 100}, counted);
    std::thread([&] {
        static thread_local late last; // constructed before this thread knows a pool, hence destroyed after
        last.pool = &pool;
        last.kept = pool.make().value();
    }).join();
    BOOST_TEST(pool.available() == 100u);
    BOOST_TEST(make_all(pool).size() == 100u);
}

BOOST_AUTO_TEST_CASE(the_allocator_gives_places_to_allocate_shared_and_to_nodes)
{
    counting_pool     pool({.capacity = 100}, counted);
    auto const        shared = std::allocate_shared<item>(pool.allocator(), 5u);
    std::size_t const ever   = counted.blocks;
    {
        std::list<int, local_pool_allocator<int>> numbers(pool.allocator());
        for (int i = 0; i != 20; ++i)
            numbers.push_back(i);
        BOOST_TEST(pool.outstanding() == 21u);
        std::map<int, int, std::less<>, local_pool_allocator<std::pair<int const, int>>> tree(pool.allocator());
        tree[3] = 4;
        BOOST_TEST(pool.outstanding() == 22u);
        auto other = numbers;
        BOOST_TEST(pool.outstanding() == 42u);
        other = std::move(numbers);
        BOOST_TEST(pool.outstanding() == 22u);
    }
    BOOST_TEST(pool.outstanding() == 1u);
    BOOST_TEST(counted.blocks == ever);
    BOOST_TEST(shared->value == 5u);
}

BOOST_AUTO_TEST_CASE(what_fits_no_place_is_from_the_backing_allocator)
{
    std::optional<counting_pool> pool(std::in_place, local_pool_options{.capacity = 100}, counted);
    std::size_t const            bytes = counted.bytes;
    std::unordered_map<int, int, std::hash<int>, std::equal_to<>, local_pool_allocator<std::pair<int const, int>>>
        table(1000, pool->allocator());
    BOOST_TEST(counted.bytes > bytes);
    for (int i = 0; i != 50; ++i)
        table[i] = i;
    BOOST_CHECK_THROW(static_cast<void>(pool->allocator().allocate(~std::size_t{0})), std::bad_array_new_length);
    pool.reset(); // what it has is given back after the pool has gone
    BOOST_TEST(table.at(49) == 49);
}

namespace {

// Threads that make, hand around and drop. Who makes has a permit, of which there are as many as places: so there is
// a place for him.
void hand_around(std::size_t capacity, unsigned threads, unsigned rounds)
{
    item_pool                              pool({.capacity = capacity});
    std::counting_semaphore<>              permits(static_cast<std::ptrdiff_t>(capacity));
    std::array<std::shared_ptr<item>, 256> shelf;
    std::mutex                             shelf_mutex;
    std::atomic<unsigned>                  refused{0};
    auto const                             work = [&](unsigned number) {
        std::mt19937_64 random(number);
        for (unsigned i = 0; i != rounds; ++i)
        {
            std::shared_ptr<item> here;
            if (permits.try_acquire())
            {
                if (auto made = pool.make(random()))
                    here = std::move(*made);
                else
                    ++refused;
            }
            {
                std::lock_guard const lock(shelf_mutex);
                shelf[random() % shelf.size()].swap(here);
            }
            if (here != nullptr)
            {
                here.reset();
                permits.release();
            }
        }
    };
    std::vector<std::thread> running;
    for (unsigned i = 0; i != threads; ++i)
        running.emplace_back(work, i);
    for (auto& thread : running)
        thread.join();
    BOOST_TEST(refused == 0u);
    shelf = {};
    BOOST_TEST(pool.outstanding() == 0u);
    BOOST_TEST(make_all(pool).size() == capacity);
}

} // namespace

BOOST_AUTO_TEST_CASE(a_pool_never_refuses_while_a_place_is_free)
{
    for (std::size_t const capacity : {4u, 60u, 150u, 250u})
        hand_around(capacity, 4, long_form() ? 20'000 : 5000);
}

BOOST_AUTO_TEST_CASE(no_place_is_had_by_two_when_one_takes_what_the_other_keeps)
{
    item_pool         pool({.capacity = 64});
    std::atomic<bool> end{false};
    auto const        make_and_drop = [&] {
        for (std::uint64_t n = 0; !end; ++n)
            if (auto const made = pool.make(n); made && (*made)->value != n)
                ++item::broken;
    };
    std::thread a(make_and_drop);
    std::thread b(make_and_drop);
    int         wrong = 0;
    for (int round = 0; round != (long_form() ? 500'000 : 5000); ++round)
    {
        auto const count = make_all(pool).size();
        wrong += count < 62 || count > 64 ? 1 : 0;
    }
    end = true;
    a.join();
    b.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(make_all(pool).size() == 64u);
}

BOOST_AUTO_TEST_CASE(a_pool_goes_while_threads_drop_and_end)
{
    for (int round = 0; round != 300; ++round)
    {
        std::optional<counting_pool> pool(std::in_place, local_pool_options{.capacity = round % 2 == 0 ? 0u : 400u},
                                          counted);
        std::latch                   made(3);
        std::vector<std::thread>     running;
        std::vector<items>           kept(3);
        for (auto& mine : kept)
            running.emplace_back([&] {
                for (int i = 0; i != 90; ++i)
                    mine.push_back(pool->make().value());
                mine.resize(50);
                made.count_down();
                mine.clear();
            });
        made.wait();
        pool.reset();
        for (auto& thread : running)
            thread.join();
        BOOST_TEST_REQUIRE(counted.bytes == 0u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
