/// \file
/// What lies in the segment: all that the processes of the transfer share.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <istream>
#include <string>

namespace transfer {

using namespace std::chrono_literals;

/// How long anybody waits for anybody; it is never needed, unless something is wrong.
inline constexpr auto patience = 10s;

inline constexpr std::size_t consumers     = 2;
inline constexpr std::size_t largest_block = 16u << 10; ///< Bytes.
inline constexpr std::size_t pipe_capacity = 16;        ///< Blocks of a producer that may wait for a consumer.

/// One block of the file: an element of the pool, read from the file into its place, and written from there.
struct block
{
    block(std::uint64_t which, std::uint64_t length, std::istream& from) : number(which), size(length)
    {
        from.read(bytes.data(), static_cast<std::streamsize>(size));
    }

    std::uint64_t                         number; // the first one is 0
    std::uint64_t                         size;   // of what is used of `bytes`
    std::chrono::steady_clock::time_point sent{}; // the same clock in all processes
    std::array<char, largest_block>       bytes;
};

using block_pool   = atrium::pool<block>;
using block_router = atrium::router<block>;
using block_pipe   = atrium::pipe<block>;

/// What is transferred, and how far it is. All that counts after a kill is `confirmed`; the rest is made anew from it.
struct job
{
    static constexpr bool is_shareable = true; // no pointers, nothing virtual

    std::uint64_t                 file_size  = 0; // written before the others are started, as are the next two
    std::uint64_t                 block_size = 0; // bytes; the last block may be shorter
    std::array<unsigned char, 32> digest{};       // SHA-256 of the file

    atrium::atomic<std::uint64_t> limit{0};    // supervisor: the producer stops here until the next kill is done
    atrium::atomic<std::uint64_t> arrivals{0}; // consumers: how often one has subscribed
    std::array<atrium::atomic<std::uint64_t>, consumers>
        confirmed{}; // each consumer: so many blocks from the first on are in its file

    atrium::doorbell news; // one of these has grown, or a block has been dropped

    std::uint64_t blocks() const { return (file_size + block_size - 1) / block_size; }

    std::uint64_t confirmed_by(std::size_t consumer) const
    {
        return confirmed[consumer].load(std::memory_order_acquire);
    }
    std::uint64_t confirmed_by_all() const { return std::min(confirmed_by(0), confirmed_by(1)); }
};

/// From send to receive: of all blocks to the first consumer, then of all to the second.
using latencies = atrium::vector<std::chrono::nanoseconds>;

/// The two sides; they return when the transfer is complete, and throw when it cannot be.
void produce(std::string const& segment, std::string const& from);
void consume(std::string const& segment, std::string const& to, std::size_t consumer);

} // namespace transfer
