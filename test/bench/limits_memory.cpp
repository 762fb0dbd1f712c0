/// \file
/// What one thread can do with memory of its own: copy it, allocate and free it, share it.
#include "figure.hpp"
#include "heap_load.hpp"
#include "process.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>

namespace atrium::bench {

namespace {

probe copy(std::size_t bytes)
{
    auto const from = std::make_shared<private_pages>(bytes);
    auto const to   = std::make_shared<private_pages>(bytes);
    return [=](nanoseconds budget) {
        auto const work = [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                std::memcpy(to->address(), from->address(), bytes);
                used(*to->address());
            }
        };
        return as_rate(time_batches(budget, work), static_cast<double>(bytes));
    };
}

figure copy_figure(char const* name, char const* about, std::size_t bytes)
{
    return {
        .name = name, .unit = "GB/s", .about = about, .good = better::higher, .prepare = [=] { return copy(bytes); }};
}

probe malloc_and_free()
{
    return [](nanoseconds budget) {
        return time_batches(budget, [](std::uint64_t n) {
            for (; n != 0; --n)
            {
                void* block = std::malloc(64);
                used(block);
                std::free(block);
            }
        });
    };
}

/// malloc as a heap among heaps.
struct malloc_heap
{
    static void* allocate(std::size_t bytes) { return std::malloc(bytes); }
    static void  deallocate(void* block) { std::free(block); }
};

struct object
{
    char bytes[64];
};

probe make_and_drop()
{
    return [](nanoseconds budget) {
        return time_batches(budget, [](std::uint64_t n) {
            for (; n != 0; --n)
            {
                auto made = std::make_shared<object>();
                used(made);
            }
        });
    };
}

probe copy_and_drop()
{
    return [](nanoseconds budget) {
        auto const              original = std::make_shared<object>();
        std::shared_ptr<object> copied;
        return time_batches(budget, [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                copied = original;
                used(copied);
                copied.reset();
            }
        });
    };
}

constexpr auto malloc_name = "limit.malloc_free_64B";

registered const here{
    copy_figure("limit.memcpy_4KiB", "copies of 4 KiB in private memory", 4096),
    copy_figure("limit.memcpy_64KiB", "copies of 64 KiB in private memory", 65536),
    copy_figure("limit.memcpy_1MiB", "copies of 1 MiB in private memory", 1 << 20),
    copy_figure("limit.memcpy_8MiB", "copies of 8 MiB in private memory", 8 << 20),
    {.name = malloc_name, .unit = "ns", .about = "malloc and free of 64 B", .prepare = malloc_and_free},
    {.name    = "limit.malloc_random_mix",
     .unit    = "ns",
     .about   = "replace one of 4096 malloc blocks of 16..1023 B",
     .prepare = [] { return replace_at_random(std::make_shared<malloc_heap>(), fill::empty); }},
    {.name     = "limit.make_shared_64B",
     .unit     = "ns",
     .about    = "std::make_shared of 64 B, and dropping it",
     .baseline = malloc_name,
     .prepare  = make_and_drop},
    {.name    = "limit.shared_ptr_copy",
     .unit    = "ns",
     .about   = "copy of a std::shared_ptr, and dropping it, in a program with threads",
     .prepare = copy_and_drop},
};

} // namespace

} // namespace atrium::bench
