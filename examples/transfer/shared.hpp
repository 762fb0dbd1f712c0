/// \file
/// What lies in the segment: all that the processes of the transfer share.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/map.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace transfer {

using namespace std::chrono_literals;

/// How long anybody waits for anybody; it is never needed, unless something is wrong.
inline constexpr auto patience = 20s;

/// How many blocks may be under way.
inline constexpr std::uint64_t window = 16;

/// The blocks under way by their number in the file. Whoever dies inside leaves it torn, and the next one in starts
/// again with an empty one: all that counts is `job::confirmed`, and the producer fills in whatever is missing.
using block_queue = atrium::map<std::uint64_t, atrium::vector<char>>;

/// What is transferred, and how far it is.
struct job
{
    static constexpr bool is_shareable = true; // no pointers, nothing virtual

    std::uint64_t                 file_size  = 0; // written before the others are started, as are the next two
    std::uint64_t                 block_size = 0; // bytes; the last block may be shorter
    std::array<unsigned char, 32> digest{};       // SHA-256 of the file

    atrium::atomic<std::uint64_t> limit{0};     // supervisor: the producer stops here until the next kill is done
    atrium::atomic<std::uint64_t> confirmed{0}; // consumer: so many blocks from the first on are in the new file
    atrium::atomic<std::uint64_t> rebuilt{0};   // everybody: how often the queue was found torn

    atrium::doorbell sent;  // a block was put into the queue
    atrium::doorbell moved; // `confirmed` or `limit` has grown

    std::uint64_t blocks() const { return (file_size + block_size - 1) / block_size; }
};

/// One process's way to all of it.
struct shared
{
    /// The supervisor creates what is shared, the others open it. The segment has its full size from the start, so
    /// that the free memory of before and after can be compared.
    template <class Tag>
    shared(Tag tag, std::string const& name)
        : segment(tag, name, {.size = 4u << 20, .maximum_size = 4u << 20}),
          work(tag, segment, "job"),
          queue(tag, segment, "queue")
    {}

    /// Locks the queue, and puts an empty one in its place where somebody has died inside.
    atrium::guarded_access<block_queue> lock_queue();

    atrium::segment                             segment;
    atrium::named<job>                          work;
    atrium::named<atrium::guarded<block_queue>> queue;
};

/// The two sides; they return when the transfer is complete, and throw when it cannot be.
void produce(std::string const& segment, std::string const& from);
void consume(std::string const& segment, std::string const& to);

} // namespace transfer
