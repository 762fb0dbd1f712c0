// The consumer: writes block after block to the new file, and says so; at the end it checks the file.
#include "file.hpp"
#include "shared.hpp"

#include <fstream>
#include <optional>
#include <stdexcept>
#include <vector>

namespace transfer {

namespace {

// Drops the blocks that are confirmed, and copies the next one. It stays in the queue until it is confirmed as well,
// so that nothing is lost if this process ends here.
std::optional<std::vector<char>> next_block(block_queue& queue, std::uint64_t confirmed)
{
    queue.erase(queue.begin(), queue.lower_bound(confirmed));
    auto const found = queue.find(confirmed);
    if (found == queue.end())
        return std::nullopt;
    return std::vector<char>(found->second.begin(), found->second.end());
}

} // namespace

void consume(std::string const& segment, std::string const& to)
{
    shared       with(atrium::open_only, segment);
    job&         work = *with.work;
    std::fstream file(to, std::ios::binary | std::ios::in | std::ios::out);
    file.exceptions(std::ios::failbit | std::ios::badbit);

    // The one before may have written a block without confirming it: then it is written again, to the same place.
    for (auto confirmed = work.confirmed.load(std::memory_order_relaxed); confirmed < work.blocks();)
    {
        auto const seen = work.sent.look();
        if (auto const block = next_block(*with.lock_queue(), confirmed))
        {
            file.seekp(static_cast<std::streamoff>(confirmed * work.block_size));
            file.write(block->data(), static_cast<std::streamsize>(block->size()));
            file.flush(); // with the kernel it is safe from this process's death
            work.confirmed.store(++confirmed, std::memory_order_release);
            work.moved.ring();
        }
        else if (auto const rung = work.sent.wait(seen, patience); !rung)
            atrium::throw_error(rung.error(), "the consumer, waiting for a block");
    }
    with.lock_queue()->clear();
    if (sha256_of(to) != work.digest)
        throw std::runtime_error("the new file differs from the old one");
}

} // namespace transfer
