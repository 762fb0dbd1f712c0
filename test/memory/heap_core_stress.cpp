#include "memory/heap_fixture.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

using namespace atrium;
using namespace atrium::detail;
using namespace atrium::test;

namespace {

/// Random operations on a heap, beside a list of what must be there.
class shadow
{
public:
    explicit shadow(std::uint64_t seed) : arena_(64 << 10, 1 << 20), core_(arena_.core()), random_(seed) {}

    void step()
    {
        switch (random_() % 16)
        {
        case 0:
            BOOST_TEST_REQUIRE(core_.drain(random_() % 20).has_value());
            break;
        case 1:
            random_() % 64 == 0 ? reclaim() : pass_on();
            break;
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
        case 8:
            allocate();
            break;
        default:
            free();
        }
    }

    void check()
    {
        BOOST_TEST_REQUIRE(core_.check() == "");
        for (auto const& block : known_)
            BOOST_TEST_REQUIRE(arena_.is_filled(block));
        BOOST_TEST_REQUIRE(core_.drain().has_value());
        BOOST_TEST_REQUIRE(numbers_of(core_).used_blocks == known_.size());
        BOOST_TEST_REQUIRE(core_.check() == "");
    }

    void free_all()
    {
        while (!known_.empty())
            free();
        check();
        BOOST_TEST_REQUIRE(numbers_of(core_).used_bytes == 0u);
    }

private:
    owner any_owner() { return owner::object(object_id::in_heap(random_() % 4), random_() % 4); }

    void allocate()
    {
        auto const  size      = random_() % 8 == 0 ? random_() % 9000 : random_() % 200;
        auto const  alignment = random_() % 4 == 0 ? std::uint64_t{1} << random_() % 13 : 16;
        known_block block{0, size, any_owner()};
        auto        payload = core_.allocate(size, alignment, block.of);
        if (!payload)
        {
            BOOST_TEST_REQUIRE((payload.error() == errc::out_of_memory));
            auto const growth = core_.needed_growth(size, alignment);
            BOOST_TEST_REQUIRE(growth.has_value());
            if (core_.end() + *growth > arena_.limit() || random_() % 4 != 0)
                return free(), free();
            BOOST_TEST_REQUIRE(core_.extend(core_.end() + *growth).has_value());
            payload = core_.allocate(size, alignment, block.of);
            BOOST_TEST_REQUIRE(payload.has_value());
        }
        BOOST_TEST_REQUIRE(*payload % alignment == 0);
        block.payload = *payload;
        arena_.fill(block);
        known_.push_back(block);
    }

    known_block take_any()
    {
        std::swap(known_[random_() % known_.size()], known_.back());
        auto const block = known_.back();
        known_.pop_back();
        return block;
    }

    void free()
    {
        if (known_.empty())
            return;
        auto const block = take_any();
        give_back(arena_, block);
        BOOST_TEST_REQUIRE((core_.push_free(block.payload, block.of, survivor).error() == errc::not_owned));
    }

    void pass_on()
    {
        if (known_.empty())
            return;
        auto&      block = known_[random_() % known_.size()];
        auto const to    = any_owner();
        BOOST_TEST_REQUIRE(core_.change_owner(block.payload, block.of, to).has_value());
        block.of = to;
    }

    void reclaim()
    {
        auto const gone     = any_owner();
        auto const matches  = [&](known_block const& block) { return block.of.same_index(gone); };
        auto const expected = std::count_if(known_.begin(), known_.end(), matches);
        auto const done     = core_.reclaim(survivor, [&](heap_block const& block) noexcept {
            return block.tag.is_in_use() && block.tag.who().same_index(gone);
        });
        BOOST_TEST_REQUIRE(done.has_value());
        BOOST_TEST_REQUIRE(done->blocks == static_cast<std::uint64_t>(expected));
        std::erase_if(known_, matches);
    }

    heap_arena               arena_;
    heap_core                core_;
    std::mt19937_64          random_;
    std::vector<known_block> known_;
};

/// A word of the heap is overwritten with rubbish; nothing may crash or run away, whatever the answers are.
void use_with_a_wrong_word(heap_arena const& arena, std::vector<known_block> const& known, std::mt19937_64& random)
{
    auto* const words     = reinterpret_cast<std::uint64_t*>(arena.base());
    bool const  in_header = random() % 2 == 0;
    auto const  first     = in_header ? heap_arena::header_offset : heap_arena::begin;
    auto const  last      = in_header ? heap_arena::header_offset + sizeof(heap_header) : arena.header().end.load();
    auto&       word      = words[(first + random() % (last - first)) / 8];
    switch (random() % 4)
    {
    case 0:
        word = random();
        break;
    case 1:
        word ^= std::uint64_t{1} << random() % 64;
        break;
    case 2:
        word += (random() % 9 - 4) * 16;
        break;
    default:
        word = first + random() % (last - first) / 16 * 16;
    }
    auto core = heap_core::attach(arena.base(), heap_arena::header_offset, arena.limit());
    if (!core)
        return;
    static_cast<void>(core->check().size());
    for (unsigned i = 0; i != 40; ++i)
    {
        static_cast<void>(core->allocate(random() % 2000, std::uint64_t{16} << random() % 4, victim));
        static_cast<void>(core->push_free(known[random() % known.size()].payload, survivor, survivor));
    }
    static_cast<void>(core->statistics());
    static_cast<void>(core->for_each_block([](heap_block const&) {}));
    static_cast<void>(core->recover(arena.limit()));
    auto const goes = [](heap_block const& block) noexcept { return block.tag.is_in_use(victim); };
    static_cast<void>(core->reclaim(survivor, goes));
    static_cast<void>(core->extend(core->end() + 4096));
    static_cast<void>(core->drain(1000));
    static_cast<void>(core->check().size());
}

/// Threads that allocate under a mutex, hand blocks around, and give back without it.
class crowd
{
public:
    static constexpr unsigned threads = 4;

    crowd() : arena_(256 << 10, 256 << 10) {}

    void run(unsigned rounds)
    {
        std::vector<std::thread> running;
        for (unsigned i = 0; i != threads; ++i)
            running.emplace_back([this, i, rounds] { work(i, rounds); });
        for (auto& thread : running)
            thread.join();
        for (auto& place : places_)
            if (auto const payload = place.load(); payload != 0)
                give_back(payload, survivor);
        BOOST_TEST(ok_);
        BOOST_TEST(made_ == given_back_);
        BOOST_TEST(arena_.core().check() == "");
        BOOST_TEST(arena_.core().drain().has_value());
        BOOST_TEST(arena_.core().check() == "");
        BOOST_TEST(numbers_of(arena_.core()).used_bytes == 0u);
    }

private:
    void work(unsigned number, unsigned rounds)
    {
        std::mt19937_64 random(number);
        auto const      self = owner::participant(number, 1);
        for (unsigned i = 0; i != rounds; ++i)
        {
            // Acquire and release pair with each other: a block is handed from the thread that made it.
            auto&      place = places_[random() % std::size(places_)];
            auto const made  = make(random() % 300, random);
            if (auto const old = place.exchange(made, std::memory_order_acq_rel); old != 0)
                give_back(old, self);
        }
    }

    void give_back(std::uint64_t payload, owner self)
    {
        // The last use of the payload: whoever gets the memory next must be ordered behind it. No memset, which the
        // compiler may expand where the thread sanitizer does not see it.
        *reinterpret_cast<std::uint64_t*>(arena_.base() + payload + 8) = last_use_;
        ok_ = arena_.core().push_free(payload, shared_, self).has_value() && ok_;
        ++given_back_;
    }

    std::uint64_t make(std::uint64_t size, std::mt19937_64& random)
    {
        std::lock_guard const lock(mutex_);
        auto                  core    = arena_.core();
        auto const            payload = core.allocate(size, 16, shared_);
        if (random() % 1000 == 0)
            ok_ = ok_ && core.check().empty();
        if (!payload)
        {
            ok_ = ok_ && payload.error() == errc::out_of_memory;
            return 0;
        }
        std::memset(arena_.base() + *payload, 0xEE, std::max<std::uint64_t>(size, 16));
        ++made_;
        return *payload;
    }

    heap_arena                 arena_;
    std::mutex                 mutex_;
    owner const                shared_ = owner::library(9);
    std::atomic<std::uint64_t> places_[64]{};
    std::atomic<std::uint64_t> made_{0};
    std::atomic<std::uint64_t> given_back_{0};
    std::uint64_t const        last_use_ = 0xDDDD;
    std::atomic<bool>          ok_{true};
};

} // namespace

BOOST_AUTO_TEST_CASE(random_use_keeps_every_byte_and_every_number)
{
    for (std::uint64_t seed = 0; seed != 6; ++seed)
    {
        shadow heap(seed);
        for (unsigned i = 0; i != 6000; ++i)
        {
            heap.step();
            if (i % 50 == 0)
                heap.check();
        }
        heap.free_all();
    }
}

BOOST_AUTO_TEST_CASE(a_wrong_word_anywhere_is_survived)
{
    std::mt19937_64 random(5);
    for (unsigned round = 0; round != 40; ++round)
    {
        heap_arena const arena;
        auto const       known = make_random_heap(arena, random, 20);
        auto const       image = arena.copy();
        for (unsigned i = 0; i != 250; ++i)
        {
            arena.restore(image);
            use_with_a_wrong_word(arena, known, random);
        }
    }
}

BOOST_AUTO_TEST_CASE(of_threads_that_give_back_the_same_block_one_succeeds)
{
    heap_arena const         arena(256 << 10, 256 << 10);
    std::vector<known_block> blocks;
    for (unsigned i = 0; i != 1000; ++i)
        blocks.push_back(make_block(arena, 100));
    std::atomic<unsigned>    succeeded{0};
    std::vector<std::thread> running;
    for (unsigned i = 0; i != 4; ++i)
        running.emplace_back([&, self = owner::participant(i, 1)] {
            for (auto const& block : blocks)
                succeeded += arena.core().push_free(block.payload, block.of, self).has_value() ? 1 : 0;
        });
    for (auto& thread : running)
        thread.join();
    BOOST_TEST(succeeded == blocks.size());
    BOOST_TEST(arena.core().check() == "");
    BOOST_TEST(arena.core().drain().value() == blocks.size());
    BOOST_TEST(numbers_of(arena.core()).used_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(threads_that_give_back_at_once_lose_and_double_nothing)
{
    crowd().run(30'000);
}
