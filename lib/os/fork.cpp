#include "os/fork.hpp"

#include <atomic>
#include <cstdlib>
#include <vector>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace atrium::os {

namespace {

constexpr std::uint64_t first_generation = 1; // of a process that nobody with the library has forked

struct noted_descriptor
{
    std::uint64_t note       = 0;
    int           descriptor = -1;
    dev_t         device     = 0;
    ino_t         inode      = 0;

    [[nodiscard]] bool is_still_there() const noexcept
    {
        struct stat s = {};
        return ::fstat(descriptor, &s) == 0 && s.st_dev == device && s.st_ino == inode;
    }
};

struct fork_state
{
    fork_state();

    std::mutex                    mutex;
    std::vector<noted_descriptor> descriptors;
    std::uint64_t                 last_note = 0;
    std::atomic<std::uint64_t>*   generation; // in a page the kernel wipes in a child
    std::uint64_t                 generations = first_generation;
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
    for (noted_descriptor const& noted : s.descriptors)
    {
        if (noted.is_still_there())
            ::close(noted.descriptor);
    }
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

std::uint64_t close_in_child(int descriptor)
{
    fork_state& s    = state();
    struct stat file = {};
    ::fstat(descriptor, &file);
    s.descriptors.push_back({++s.last_note, descriptor, file.st_dev, file.st_ino});
    return s.last_note;
}

void forget_descriptor(std::uint64_t note) noexcept
{
    std::erase_if(state().descriptors, [&](noted_descriptor const& noted) { return noted.note == note; });
}

std::uint64_t process_generation()
{
    return state().generation->load(std::memory_order_relaxed);
}

bool is_forked_child()
{
    return process_generation() != first_generation;
}

bool generation_is(std::uint64_t generation) noexcept
{
    // Relaxed: only a fork changes it, and a fork copies one thread.
    return state().generation->load(std::memory_order_relaxed) == generation;
}

std::atomic<std::uint64_t> const& generation_word()
{
    return *state().generation;
}

void at_fork(void (*prepare_handler)(), void (*parent_handler)(), void (*child_handler)())
{
    static_cast<void>(state()); // our own handlers first: they are prepared last
    ::pthread_atfork(prepare_handler, parent_handler, child_handler);
}

} // namespace atrium::os
