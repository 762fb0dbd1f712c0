/// \file
/// The segment heap of Boost.Interprocess, with its default algorithm and mutex.
#include "heap_load.hpp"

#include <boost/interprocess/managed_shared_memory.hpp>

#include <unistd.h>

namespace atrium::bench {

namespace {

namespace ipc = boost::interprocess;

/// A managed segment whose name is gone as soon as it exists, so that no death leaves it behind.
class interprocess_heap
{
public:
    interprocess_heap() : segment_(ipc::create_only, name().c_str(), heap_bytes)
    {
        ipc::shared_memory_object::remove(name().c_str());
    }

    void* allocate(std::size_t bytes) { return segment_.allocate(bytes, std::nothrow); }
    void  deallocate(void* block) { segment_.deallocate(block); }

private:
    static std::string name() { return "atrium_bench." + std::to_string(getpid()); }

    ipc::managed_shared_memory segment_;
};

registered const here(heap_figures(
    "peer.interprocess_heap.", [] { return std::make_shared<interprocess_heap>(); },
    [](std::string const& done) {
        return done.starts_with("random_mix") ? "limit.malloc_random_mix" : "limit.malloc_free_64B";
    }));

} // namespace

} // namespace atrium::bench
