// The producer: keeps the queue filled with the blocks that the consumer has not confirmed yet.
#include "shared.hpp"

#include <algorithm>
#include <fstream>
#include <optional>
#include <vector>

namespace transfer {

namespace {

// The first block that is neither confirmed nor in the queue, as far as the window and the limit reach. It is asked
// anew each time: this process may be the second producer, and the queue a new one.
std::optional<std::uint64_t> find_missing(shared& with)
{
    auto const queue = with.lock_queue();
    // Loaded with the queue locked: what the consumer has taken out of it is confirmed.
    auto       number = with.work->confirmed.load(std::memory_order_relaxed);
    auto const end    = std::min(number + window, with.work->limit.load(std::memory_order_relaxed));
    while (number < end && queue->contains(number))
        ++number;
    return number < end ? std::optional(number) : std::nullopt;
}

std::vector<char> read_block(std::ifstream& file, job const& work, std::uint64_t number)
{
    std::uint64_t const begin = number * work.block_size;
    std::vector<char>   block(std::min(work.block_size, work.file_size - begin));
    file.seekg(static_cast<std::streamoff>(begin));
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    return block;
}

} // namespace

void produce(std::string const& segment, std::string const& from)
{
    shared        with(atrium::open_only, segment);
    job&          work = *with.work;
    std::ifstream file(from, std::ios::binary);
    file.exceptions(std::ios::failbit | std::ios::badbit);

    for (;;)
    {
        auto const seen = work.moved.look();
        if (work.confirmed.load(std::memory_order_acquire) == work.blocks())
            return;
        if (auto const number = find_missing(with))
        {
            auto const block = read_block(file, work, *number);
            (*with.lock_queue())[*number].assign(block.begin(), block.end());
            work.sent.ring();
        }
        else if (auto const rung = work.moved.wait(seen, patience); !rung)
            atrium::throw_error(rung.error(), "the producer, waiting for room in the queue");
    }
}

} // namespace transfer
