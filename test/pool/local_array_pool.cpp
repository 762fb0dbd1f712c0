/// Pools of runs of elements of one process.
#include <atrium/pool/local_array_pool.hpp>

#include "support/child.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// Notes the order of constructions and destructions, and may throw at one of them.
struct noted
{
    struct notes
    {
        std::vector<int> made{};
        std::vector<int> destroyed{};
        int              throws_at = -1;
    };

    explicit noted(notes& to) : in(&to), number(static_cast<int>(to.made.size()))
    {
        if (number == to.throws_at)
            throw std::runtime_error("not this one");
        to.made.push_back(number);
    }
    noted(noted const&)            = delete;
    noted& operator=(noted const&) = delete;
    ~noted() { in->destroyed.push_back(number); }

    notes* in;
    int    number;
};

struct alignas(128) wide
{
    char text[100];
};

std::vector<int> const upwards{0, 1, 2, 3, 4};
std::vector<int> const downwards{4, 3, 2, 1, 0};

// Counts the bytes that are out.
class counting_resource : public std::pmr::memory_resource
{
public:
    std::size_t bytes = 0;

private:
    void* do_allocate(std::size_t size, std::size_t alignment) override
    {
        bytes += size;
        return std::pmr::new_delete_resource()->allocate(size, alignment);
    }
    void do_deallocate(void* block, std::size_t size, std::size_t alignment) override
    {
        bytes -= size;
        std::pmr::new_delete_resource()->deallocate(block, size, alignment);
    }
    [[nodiscard]] bool do_is_equal(memory_resource const& other) const noexcept override { return this == &other; }
};

// Says so when everything has been given back at the very end of a process.
struct last_words
{
    ~last_words()
    {
        if (memory.bytes == 0)
            say("all is given back");
    }
    counting_resource memory;
};

ATRIUM_TEST_ROLE(drops_in_static_destructors)
{
    using pmr_pool = local_array_pool<std::string, std::pmr::polymorphic_allocator<>>;
    static last_words                     last;
    static std::shared_ptr<std::string[]> after_the_pool;
    static std::optional<pmr_pool>        pool;
    static std::shared_ptr<std::string[]> before_the_pool;
    pool.emplace(local_array_pool_options{.length = 3, .capacity = 1000}, &last.memory);
    std::thread([] { after_the_pool = pool->make("from another thread").value(); }).join();
    before_the_pool = pool->make("from the main thread, with a text that is not short").value();
    return 0;
}

using runs = std::vector<std::shared_ptr<int[]>>;

runs make_all(local_array_pool<int>& pool)
{
    runs all;
    for (auto made = pool.make(1); made; made = pool.make(1))
        all.push_back(std::move(*made));
    return all;
}

// Runs `in_child` in a forked child; true where it returns true there.
bool holds_in_a_child(auto const& in_child)
{
    pid_t const forked = ::fork();
    if (forked == 0)
        ::_exit(in_child() ? 0 : 1);
    int status = -1;
    return ::waitpid(forked, &status, 0) == forked && status == 0;
}

} // namespace

BOOST_AUTO_TEST_SUITE(pool_local_array_pool)

BOOST_AUTO_TEST_CASE(all_elements_are_made_from_the_same_arguments)
{
    local_array_pool<std::string> pool({.length = 10, .capacity = 3});
    auto const                    made = pool.make(std::string("a text that is too long to lie in the string itself"));
    BOOST_TEST_REQUIRE(made.has_value());
    for (std::size_t i = 0; i != pool.length(); ++i)
        BOOST_TEST((*made)[static_cast<std::ptrdiff_t>(i)] == "a text that is too long to lie in the string itself");
    BOOST_TEST(made->use_count() == 1);
    BOOST_TEST(pool.outstanding() == 1u);
    BOOST_TEST(pool.available() == 2u);
    BOOST_TEST(pool.capacity() == 3u);
}

BOOST_AUTO_TEST_CASE(elements_without_arguments_are_value_initialized)
{
    local_array_pool<int> pool({.length = 100, .capacity = 1});
    for (int round = 0; round != 2; ++round)
    {
        auto const made = pool.make().value();
        for (std::ptrdiff_t i = 0; i != 100; ++i)
        {
            BOOST_TEST(made[i] == 0);
            made[i] = 1;
        }
    }
}

BOOST_AUTO_TEST_CASE(elements_are_made_in_order_and_destroyed_in_reverse)
{
    noted::notes            notes;
    local_array_pool<noted> pool({.length = 5, .capacity = 1});
    auto                    made = pool.make(notes).value();
    BOOST_TEST(notes.made == upwards);
    BOOST_TEST(notes.destroyed.empty());
    made.reset();
    BOOST_TEST(notes.destroyed == downwards);
    BOOST_TEST(pool.available() == 1u);
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_takes_those_before_along_in_reverse)
{
    local_array_pool<noted> pool({.length = 8, .capacity = 1});
    for (int round = 0; round != 3; ++round)
    {
        noted::notes notes{.throws_at = 5};
        BOOST_CHECK_THROW(static_cast<void>(pool.make(notes)), std::runtime_error);
        BOOST_TEST(notes.made == upwards);
        BOOST_TEST(notes.destroyed == downwards);
        BOOST_TEST(pool.available() == 1u);
    }
    noted::notes notes{.throws_at = 0};
    BOOST_CHECK_THROW(static_cast<void>(pool.make(notes)), std::runtime_error);
    BOOST_TEST(notes.destroyed.empty());
}

BOOST_AUTO_TEST_CASE(an_array_pool_is_exhausted_when_all_its_runs_are_in_use)
{
    local_array_pool<int> pool({.length = 7, .capacity = 200});
    runs                  kept = make_all(pool);
    BOOST_TEST(kept.size() == 200u);
    BOOST_TEST((pool.make(1).error() == errc::exhausted));
    BOOST_TEST(pool.low_water() == 0u);
    std::thread([&] { kept.clear(); }).join();
    BOOST_TEST(pool.make(1).has_value());
}

BOOST_AUTO_TEST_CASE(runs_are_aligned_as_their_elements_and_do_not_overlap)
{
    for (bool const padded : {false, true})
    {
        local_array_pool<wide>               pool({.length = 3, .pad_to_cache_line = padded});
        std::vector<std::shared_ptr<wide[]>> kept;
        for (int i = 0; i != 50; ++i)
        {
            kept.push_back(pool.make().value());
            BOOST_TEST(reinterpret_cast<std::uintptr_t>(kept.back().get()) % 128 == 0u);
            for (std::ptrdiff_t n = 0; n != 3; ++n)
                kept.back()[n].text[99] = static_cast<char>(i);
        }
        for (int i = 0; i != 50; ++i)
            for (std::ptrdiff_t n = 0; n != 3; ++n)
                BOOST_TEST(static_cast<int>(kept[static_cast<std::size_t>(i)][n].text[99]) == i);
    }
}

BOOST_AUTO_TEST_CASE(lengths_that_cannot_be_are_refused)
{
    auto const refusal = [](local_array_pool_options const& options) {
        try
        {
            local_array_pool<wide> const pool(options);
        }
        catch (system_error const& refused)
        {
            return refused.code();
        }
        return error_code();
    };
    BOOST_TEST((refusal({.length = 0}) == errc::invalid_argument));
    BOOST_TEST((refusal({.length = ~std::size_t{0} / 2}) == errc::too_large));
    BOOST_TEST((refusal({.length = 1u << 20, .capacity = std::size_t{1} << 50}) == errc::too_large));
    BOOST_TEST((refusal({.length = 1}) == error_code()));
}

BOOST_AUTO_TEST_CASE(runs_outlive_the_pool_and_every_byte_is_given_back)
{
    counting_resource memory;
    using bytes = std::pmr::polymorphic_allocator<>;
    std::optional<local_array_pool<int, bytes>> pool(std::in_place, local_array_pool_options{.length = 1000}, &memory);
    runs                                        kept;
    for (int i = 0; i != 100; ++i)
        kept.push_back(pool->make(i).value());
    pool.reset();
    BOOST_TEST(memory.bytes > 100 * 1000 * sizeof(int));
    BOOST_TEST(kept[99][999] == 99);
    kept.clear();
    BOOST_TEST(memory.bytes == 0u);
}

BOOST_AUTO_TEST_CASE(static_destructors_drop_before_and_after_the_pool)
{
    child process("drops_in_static_destructors");
    BOOST_TEST(process.line(10s).value_or("") == "all is given back");
    BOOST_TEST(process.wait(10s) == exited(0));
}

BOOST_AUTO_TEST_CASE(a_forked_child_goes_on_with_the_pool_whatever_other_threads_were_doing)
{
    local_array_pool<int>    pool({.length = 5, .capacity = 2000});
    std::atomic<bool>        end{false};
    std::vector<std::thread> others;
    for (int i = 0; i != 3; ++i)
        others.emplace_back([&] {
            while (!end)
            {
                runs few;
                for (int n = 0; n != 100; ++n)
                    few.push_back(pool.make(n).value());
            }
        });
    for (int round = 0; round != 30; ++round)
    {
        bool const held = holds_in_a_child([&] {
            auto const in_use = pool.outstanding(); // of threads that are not there
            bool       right  = in_use <= 300;
            for (int i = 0; i != 2; ++i)
                right = make_all(pool).size() == 2000 - in_use && right;
            return right && pool.outstanding() == in_use;
        });
        BOOST_TEST(held);
    }
    end = true;
    for (auto& other : others)
        other.join();
    BOOST_TEST(make_all(pool).size() == 2000u);
}

BOOST_AUTO_TEST_SUITE_END()
