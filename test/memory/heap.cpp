/// Raw blocks of a segment: sizes, owners, growth, shortage, and other processes that die or stand still.
#include <atrium/memory/heap.hpp>

#include "memory/memory_fixture.hpp"
#include "support/namespaces.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <random>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Takes and drops blocks for a while, and looks whether anybody has written into them.
void churn(segment const& s, unsigned seed, int rounds)
{
    heap                                       h(s);
    std::minstd_rand                           random(seed);
    std::vector<std::pair<void*, std::size_t>> mine;
    auto const                                 mark = static_cast<unsigned char>(seed);
    for (int n = 0; n < rounds; ++n)
    {
        if (mine.size() < 30 && random() % 2 == 0)
        {
            std::size_t const size  = random() % 3 == 0 ? random() % 8000 + 1 : random() % 200 + 1;
            auto const        block = h.allocate(size, 30s);
            require(block.has_value());
            std::memset(*block, mark, size);
            mine.emplace_back(*block, size);
        }
        else if (!mine.empty())
        {
            std::swap(mine[random() % mine.size()], mine.back());
            auto const [block, size] = mine.back();
            mine.pop_back();
            auto const* const bytes = static_cast<unsigned char const*>(block);
            require(bytes[0] == mark && bytes[size / 2] == mark && bytes[size - 1] == mark);
            require(h.deallocate(block).has_value());
        }
    }
    for (auto const& [block, size] : mine)
        require(h.deallocate(block).has_value());
}

ATRIUM_TEST_ROLE(churner)
{
    segment const s(open_only, arguments.at(0));
    std::thread   other([&] { churn(s, static_cast<unsigned>(std::stoul(arguments.at(1))) + 100, 3000); });
    churn(s, static_cast<unsigned>(std::stoul(arguments.at(1))), 3000);
    other.join();
    return 0;
}

ATRIUM_TEST_ROLE(block_owner)
{
    segment const s(open_only, arguments.at(0));
    heap          h(s);
    for (std::size_t n = 0; n < 50; ++n)
        require(h.allocate(n * 40, 30s).has_value());
    require(h.deallocate(h.allocate(100, 30s).value()).has_value());
    map<int, string> own{allocator<std::pair<int const, string>>(s)};
    own.emplace(1, "a text that is too long to lie in the string itself");
    say(std::to_string(s.attached()->offset_of(h.allocate(100, 30s).value())));
    static_cast<void>(hear());
    return 0;
}

// In a /dev/shm of its own, which is too small for what the segment may grow to.
ATRIUM_TEST_ROLE(in_a_small_tmpfs)
{
    segment            s(create_only, "small", {.size = 128u << 10, .maximum_size = 64u << 20});
    heap               h(s);
    std::vector<void*> blocks;
    for (;;)
    {
        auto const block = h.allocate(50'000, 5s);
        if (!block)
        {
            require(block.error() == errc::out_of_memory, block.error().message());
            break;
        }
        std::memset(*block, 1, 50'000); // SIGBUS where it is not there
        blocks.push_back(*block);
    }
    require(blocks.size() > 10 && blocks.size() < 100);
    require(h.check(5s).empty());
    require(h.allocate(1000, 5s).has_value()); // what is left serves smaller ones
    for (void* const block : blocks)
        require(h.deallocate(block).has_value());
    for (void*& block : blocks)
    {
        block = h.allocate(50'000, 5s).value();
        std::memset(block, 2, 50'000);
    }
    vector<char> grows{allocator<char>(s)};
    require(code_of([&] { grows.resize(30u << 20); }) == errc::out_of_memory);
    require(h.check(5s).empty());
    return 0;
}

struct one_segment : leaves_nothing
{
    std::string   name = unique_name("heap");
    segment       s{create_only, name, small_segment()};
    heap          h{s};
    std::uint64_t used = used_bytes(s);
};

bool is_aligned(void const* block, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_heap, one_segment)

BOOST_AUTO_TEST_CASE(blocks_of_all_sizes_and_alignments_are_given_and_taken_back)
{
    std::vector<void*> blocks;
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2)
    {
        for (std::size_t const size : {0u, 1u, 15u, 16u, 17u, 100u, 4096u, 5000u})
        {
            blocks.push_back(h.allocate(size, 5s, alignment).value());
            BOOST_TEST(is_aligned(blocks.back(), alignment));
            std::memset(blocks.back(), 0x55, size);
        }
    }
    BOOST_TEST(h.check(5s) == "");
    for (void* const block : blocks)
        BOOST_TEST(h.deallocate(block).has_value());
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused_and_changes_nothing)
{
    auto const most = std::numeric_limits<std::size_t>::max();
    for (std::size_t const size : {most, most - 1, most - 15, most - 16, most - 31, most / 2, std::size_t{1} << 47})
        BOOST_TEST(h.allocate(size, 5s).error() == errc::too_large);
    BOOST_TEST(h.allocate(std::size_t{1} << 40, 5s).error() == errc::out_of_memory);
    for (std::size_t const alignment : {std::size_t{0}, std::size_t{3}, std::size_t{24}, std::size_t{8192}, most})
        BOOST_TEST(h.allocate(10, 5s, alignment).error() == errc::invalid_argument);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(what_is_no_block_of_this_process_is_not_freed)
{
    auto* const block = static_cast<std::byte*>(h.allocate(100, 5s).value());
    auto* const base  = s.attached()->base();
    std::memset(block, 0, 100);
    int local = 0;
    for (void* const wild : std::initializer_list<void*>{
             nullptr, &local, base, base + 16, base + 1, block + 1, block + 8, block + 16, block + 32, block - 16,
             base + s.size() - 16, base + s.size(), base + s.maximum_size() - 16, base + s.maximum_size(),
             reinterpret_cast<void*>(~0ull)})
        BOOST_TEST(h.deallocate(wild).error() == errc::not_owned);
    // All that there is, by steps that no block keeps to, and by those that blocks do.
    for (std::uint64_t offset = 0; offset < s.size(); offset += 8)
    {
        if (base + offset != block)
            BOOST_TEST_REQUIRE(h.deallocate(base + offset).has_error());
    }
    BOOST_TEST(h.deallocate(block).has_value());
    BOOST_TEST(h.deallocate(block).error() == errc::not_owned); // twice
    BOOST_TEST(used_bytes(s) == used);
    BOOST_TEST(h.deallocate(block).error() == errc::not_owned); // and once more when it is merged
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_block_of_another_process_or_object_is_not_freed)
{
    child      c("block_owner", {name});
    auto const offset = std::stoull(c.line(30s).value());
    BOOST_TEST(h.deallocate(s.attached()->base() + offset).error() == errc::not_owned);
    named<vector<int>> const object(create_only, s, "object");
    object->resize(10);
    BOOST_TEST(h.deallocate(object->data()).error() == errc::not_owned);
    BOOST_TEST(h.deallocate(object.get()).error() == errc::not_owned);
    let_end(c);
    BOOST_TEST(h.check(5s) == "");
}

BOOST_AUTO_TEST_CASE(it_grows_to_its_maximum_and_then_says_that_it_is_full)
{
    auto const         before = s.size();
    std::vector<void*> blocks;
    result<void*>      block = h.allocate(10'000, 5s);
    for (; block; block = h.allocate(10'000, 5s))
        blocks.push_back(*block);
    BOOST_TEST(block.error() == errc::out_of_memory);
    BOOST_TEST(s.size() > before);
    BOOST_TEST(s.size() == s.maximum_size());
    BOOST_TEST(h.check(5s) == "");
    auto const full = h.statistics(5s).value();
    BOOST_TEST(full.free_bytes < 10'000u + 100u); // to the last block
    BOOST_TEST(full.used_blocks == blocks.size());
    BOOST_TEST(full.used_bytes + full.free_bytes == full.capacity);
    for (void* const b : blocks)
        BOOST_TEST(h.deallocate(b).has_value());
    heap_is_as_before(s, used);
    auto const all = h.allocate(3'500'000, 5s); // merged into one again
    BOOST_TEST(all.has_value());
    BOOST_TEST(h.deallocate(*all).has_value());
}

BOOST_AUTO_TEST_CASE(one_large_block_makes_it_grow_at_once)
{
    auto const block = h.allocate(3'000'000, 5s);
    BOOST_TEST(block.has_value());
    std::memset(*block, 1, 3'000'000);
    BOOST_TEST(h.deallocate(*block).has_value());
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_block_that_is_not_found_at_the_maximum_is_no_wrong_argument)
{
    std::vector<void*> blocks;
    for (std::size_t const size : {10'000u, 16u})
    {
        for (auto block = h.allocate(size, 5s); block; block = h.allocate(size, 5s))
            blocks.push_back(*block);
    }
    std::sort(blocks.begin(), blocks.end());
    while (h.statistics(5s).value().free_bytes < 40'000)
    {
        BOOST_TEST(h.deallocate(blocks.back()).has_value());
        blocks.pop_back();
    }
    // Free at the end remain 10208 bytes, behind many blocks of 10016 in the list of their size.
    blocks.push_back(h.allocate(h.statistics(5s).value().free_bytes - 10'208 - 16, 5s).value());
    for (std::size_t n = 0; n < 40; n += 2)
        BOOST_TEST(h.deallocate(blocks[n]).has_value());
    BOOST_TEST(h.statistics(5s).value().free_bytes == 10'208u + 20 * 10'016);
    auto const block = h.allocate(10'100, 5s);
    BOOST_TEST((block.has_value() || block.error() == errc::out_of_memory));
    BOOST_TEST(h.check(5s) == "");
}

BOOST_AUTO_TEST_CASE(where_the_machine_has_no_memory_it_says_so)
{
    in_namespaces("in_a_small_tmpfs", {}, {.shm_size = 2u << 20, .pids = false}, 60s);
}

BOOST_AUTO_TEST_CASE(what_a_dead_process_had_is_exactly_free_again)
{
    child c("block_owner", {name});
    BOOST_TEST(c.line(30s).has_value());
    BOOST_TEST(used_bytes(s) > used);
    c.kill();
    auto const report = s.recover(10s).value();
    BOOST_TEST(report.blocks_reclaimed >= 51u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(what_a_dead_process_had_serves_who_needs_it)
{
    child c("block_owner", {name});
    BOOST_TEST(c.line(30s).has_value());
    std::vector<void*> blocks;
    for (auto block = h.allocate(3000, 5s); block; block = h.allocate(3000, 5s))
        blocks.push_back(*block);
    c.kill();
    std::size_t more = 0;
    for (auto block = h.allocate(3000, 5s); block;
         block      = h.allocate(3000, 5s), ++more) // without asking for a recovery
        blocks.push_back(*block);
    BOOST_TEST(more > 0u);
    BOOST_TEST(s.participants().size() == 1u);
    for (void* const block : blocks)
        BOOST_TEST(h.deallocate(block).has_value());
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(what_a_process_had_goes_when_it_leaves)
{
    child c("block_owner", {name});
    BOOST_TEST(c.line(30s).has_value());
    let_end(c);
    BOOST_TEST(s.participants().size() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_stopped_process_with_the_heap_is_waited_for_up_to_the_deadline)
{
    std::vector<void*> blocks;
    for (int n = 0; n < 100; ++n)
        blocks.push_back(h.allocate(100, 5s).value());
    vector<int> own{allocator<int>(s)};
    own.resize(1000);
    child stopped = stopped_heap_holder(name);
    BOOST_TEST(h.allocate(10, 30ms).error() == errc::timed_out);
    BOOST_TEST(h.allocate(10, 0s).error() == errc::timed_out);
    BOOST_TEST(h.statistics(10ms).error() == errc::timed_out);
    BOOST_TEST(h.check(10ms) != "");
    for (void* const block : blocks) // freeing waits for nobody
        BOOST_TEST(h.deallocate(block).has_value());
    own.clear();
    own.shrink_to_fit();
    BOOST_TEST(count(s, liveness::dead) == 0u);
    stopped.resume();
    BOOST_TEST(stopped.wait(30s) == exited(0));
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(processes_and_threads_use_it_at_the_same_time)
{
    std::vector<child> children;
    for (int n = 1; n < 4; ++n)
        children.emplace_back("churner", arguments{name, std::to_string(n)});
    std::atomic<bool> done{false};
    std::thread       checker([&] {
        while (!done)
        {
            if (auto const wrong = h.check(30s); !wrong.empty())
                return fail(wrong);
            if (auto const numbers = h.statistics(30s).value();
                numbers.used_bytes + numbers.free_bytes != numbers.capacity)
                return fail("the sum is wrong");
        }
    });
    churn(s, 77, 3000);
    for (child& c : children)
        BOOST_TEST(c.wait(60s) == exited(0));
    done = true;
    checker.join();
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(readers_see_numbers_and_may_not_take)
{
    void* const   block = h.allocate(1000, 5s).value();
    segment const reading(open_read_only, name);
    heap          looking(reading);
    auto const    numbers = looking.statistics(5s).value();
    BOOST_TEST(numbers.used_bytes == used_bytes(s));
    BOOST_TEST(numbers.capacity == h.statistics(5s).value().capacity);
    BOOST_TEST(looking.allocate(10, 5s).error() == errc::read_only);
    BOOST_TEST(looking.deallocate(reading.attached()->base() + s.attached()->offset_of(block)).error() ==
               errc::read_only);
    BOOST_TEST(named_objects(reading).has_value());
    BOOST_TEST(code_of([&] { named<int> const n(open_or_create, reading, "n"); }) == errc::read_only);
    BOOST_TEST(code_of([&] { vector<int> v{allocator<int>(reading)}; }) == errc::read_only);
    BOOST_TEST(h.deallocate(block).has_value());
}

BOOST_AUTO_TEST_CASE(a_flat_segment_has_none)
{
    segment const flat(create_only, unique_name("flat"), {.flat = true});
    BOOST_TEST(code_of([&] { heap const none(flat); }) == errc::flat_segment);
    BOOST_TEST(code_of([&] { named<int> const n(open_or_create, flat, "n"); }) == errc::flat_segment);
    BOOST_TEST(code_of([&] { vector<int> v{allocator<int>(flat)}; }) == errc::flat_segment);
    BOOST_TEST(named_objects(flat).error() == errc::flat_segment);
}

BOOST_AUTO_TEST_CASE(a_heap_keeps_its_segment)
{
    std::optional<heap> kept;
    auto const          other = unique_name("other");
    {
        segment const made(create_only, other, small_segment());
        kept.emplace(made);
    }
    BOOST_TEST(kept->allocate(10, 5s).has_value());
    BOOST_TEST(is_there(other));
    kept.reset();
    BOOST_TEST(!is_there(other));
}

BOOST_AUTO_TEST_SUITE_END()
