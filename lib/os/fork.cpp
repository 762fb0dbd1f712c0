#include "os/fork.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace atrium::os {

namespace {

struct fork_state
{
    fork_state();

    std::mutex                  mutex;
    std::vector<int>            descriptors;
    std::atomic<std::uint64_t>* generation; // in a page the kernel wipes in a child
    std::uint64_t               generations = 1;
};

// Never destroyed: handles in static storage may be used after every destructor of this file would have run.
fork_state& state()
{
    static auto* const instance = new fork_state;
    return *instance;
}

void prepare()
{
    state().mutex.lock();
}

void parent()
{
    state().mutex.unlock();
}

void child()
{
    fork_state& s = state();
    for (int const descriptor : s.descriptors)
        ::close(descriptor);
    s.descriptors.clear();
    // A new number: handles of the parent keep finding that they are not at home.
    s.generation->store(++s.generations, std::memory_order_relaxed);
    s.mutex.unlock();
}

fork_state::fork_state()
{
    auto const size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void*      page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        std::abort(); // one page at start: nothing else of the process could go on either
    ::madvise(page, size, MADV_WIPEONFORK);
    generation = new (page) std::atomic<std::uint64_t>(generations);
    ::pthread_atfork(&prepare, &parent, &child);
}

} // namespace

std::unique_lock<std::mutex> hold_off_forks()
{
    return std::unique_lock(state().mutex);
}

void close_in_child(int descriptor)
{
    state().descriptors.push_back(descriptor);
}

void forget_descriptor(int descriptor) noexcept
{
    auto& descriptors = state().descriptors;
    auto  found       = std::find(descriptors.begin(), descriptors.end(), descriptor);
    if (found != descriptors.end())
        descriptors.erase(found);
}

std::uint64_t process_generation()
{
    return state().generation->load(std::memory_order_relaxed);
}

bool generation_is(std::uint64_t generation) noexcept
{
    // Relaxed: only a fork changes it, and a fork copies one thread.
    return state().generation->load(std::memory_order_relaxed) == generation;
}

void at_fork(void (*prepare_handler)(), void (*parent_handler)(), void (*child_handler)())
{
    static_cast<void>(state()); // our own handlers first: they are prepared last
    ::pthread_atfork(prepare_handler, parent_handler, child_handler);
}

} // namespace atrium::os
