// A consumer: writes block after block to its new file, and says so; at the end it checks the file.
#include "file.hpp"
#include "shared.hpp"

#include <fstream>
#include <stdexcept>
#include <utility>

namespace transfer {

namespace {

// The next one that a producer has sent, be it that another one has died meanwhile.
atrium::shared_ptr<block> receive(block_pipe& from)
{
    for (;;)
    {
        auto received = from.receive(patience);
        if (received)
            return std::move(*received);
        if (received.error() != atrium::errc::peer_dead) // its successor starts with what is not confirmed
            atrium::throw_error(received.error(), "a consumer, waiting for a block");
    }
}

void write(std::fstream& file, std::uint64_t at, block const& from)
{
    file.seekp(static_cast<std::streamoff>(at));
    file.write(from.bytes.data(), static_cast<std::streamsize>(from.size));
    file.flush(); // with the kernel it is safe from this process's death
}

} // namespace

void consume(std::string const& segment, std::string const& to, std::size_t consumer)
{
    atrium::segment          in(atrium::open_only, segment);
    atrium::named<job>       work(atrium::open_only, in, "job");
    atrium::named<latencies> took(atrium::open_only, in, "latencies");
    block_router             router(atrium::open_only, in, "router");
    std::fstream             file(to, std::ios::binary | std::ios::in | std::ios::out);
    file.exceptions(std::ios::failbit | std::ios::badbit);

    auto pipe = router.subscribe({.capacity = pipe_capacity});
    // Release, pairs with the acquire in the producer: what it sends from now on comes here.
    work->arrivals.fetch_add(1, std::memory_order_release);
    work->news.ring();

    // The one before may have written a block without confirming it: then it is written again, to the same place.
    for (auto next = work->confirmed_by(consumer); next < work->blocks();)
    {
        // Every block comes, in order; between them come some for others, some twice, some too early.
        if (auto const block = receive(pipe); block->number == next)
        {
            (*took)[consumer * work->blocks() + next] = std::chrono::steady_clock::now() - block->sent;
            write(file, next * work->block_size, *block);
            work->confirmed[consumer].store(++next, std::memory_order_release);
        } // its place in the pool is free again
        work->news.ring();
    }
    if (sha256_of(to) != work->digest)
        throw std::runtime_error("the new file differs from the old one");
}

} // namespace transfer
