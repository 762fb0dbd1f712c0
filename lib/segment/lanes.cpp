#include "segment/lanes.hpp"

#include "segment/implementation.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

namespace atrium {

namespace {

constexpr std::chrono::seconds patience{1};

struct own_lane
{
    std::weak_ptr<attachment> in;
    attachment const*         address = nullptr;
    participant_id            self; // an address may be used again, a participant may not
    std::uint32_t             index = 0;
};

void give_back(attachment& in, std::uint32_t index, participant_id self) noexcept
{
    std::uint64_t expected = self.word();
    if (in.insides().lane(index).owner.load(std::memory_order_relaxed) != expected)
        return;
    // Release L1, pairs with the acquire L1 in claim(): the next thread finds the lane as we left it. By
    // compare-and-swap, since the participant may have given back all its lanes already.
    in.insides().lane(index).owner.compare_exchange_strong(expected, 0, std::memory_order_release,
                                                           std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.lane.given_back");
}

void end_in_parts(attachment& in, std::uint32_t index) noexcept
{
    auto const parts = detail::all_parts();
    for (auto p = parts.rbegin(); p != parts.rend(); ++p) // what stands on others first
    {
        if (p->end_lane != nullptr && in.area_of(p->id))
            p->end_lane(in, index);
    }
}

// True once this thread's list below is gone; trivially destructible, so that it may be read even then.
thread_local bool lanes_are_gone = false;

// The lanes of one thread; given back when it ends, in segments that this process has not left by then.
struct thread_lanes
{
    std::vector<own_lane> lanes;

    thread_lanes()                               = default;
    thread_lanes(thread_lanes const&)            = delete;
    thread_lanes& operator=(thread_lanes const&) = delete;
    ~thread_lanes()
    {
        lanes_are_gone = true; // first: the last handle of a segment may go here, and its parts ask for a lane
        for (own_lane const& lane : lanes)
        {
            if (auto const in = lane.in.lock(); in && !in->usable())
            {
                end_in_parts(*in, lane.index);
                give_back(*in, lane.index, lane.self);
            }
        }
    }
};

thread_local thread_lanes of_this_thread;

// The attachment in which this thread was refused a lane last. Trivially destructible, as above.
struct refused_lane
{
    attachment const* in = nullptr;
    participant_id    self;
    unsigned          calls_left = 0; // before it asks again
};

constinit thread_local refused_lane refused;

result<std::uint32_t> claim(attachment& in)
{
    for (std::uint32_t index = in.insides().identity.participants; index < in.lane_count(); ++index)
    {
        auto&         owner    = in.insides().lane(index).owner;
        std::uint64_t expected = 0;
        if (owner.load(std::memory_order_relaxed) != 0)
            continue;
        // Acquire L1, pairs with the releases L1 of those who give lanes back.
        if (owner.compare_exchange_strong(expected, in.self().word(), std::memory_order_acquire,
                                          std::memory_order_relaxed))
        {
            ATRIUM_CRASH_POINT("segment.lane.claimed");
            return index;
        }
    }
    return errc::too_many_lanes;
}

} // namespace

result<std::uint32_t> attachment::lane()
{
    if (error_code const error = usable())
        return error;
    if (lanes_are_gone)
        return errc::too_many_lanes;
    auto& lanes = of_this_thread.lanes;
    for (own_lane const& lane : lanes)
    {
        if (lane.address == this && lane.self == self_)
            return lane.index;
    }
    std::erase_if(lanes, [](own_lane const& lane) { return lane.in.expired(); });
    lanes.reserve(lanes.size() + 1); // a lane that cannot be noted must not be claimed
    auto index = claim(*this);
    // The dead may have some; a recovery that is under way, by another thread of ours too, is waited for.
    if (!index)
    {
        static_cast<void>(recover(patience));
        index = claim(*this);
    }
    if (index)
        lanes.push_back({weak_from_this(), this, self_, *index});
    return index;
}

std::optional<std::uint32_t> attachment::try_lane() noexcept
{
    constexpr unsigned calls_between_attempts = 1024;
    if (refused.calls_left != 0 && refused.in == this && refused.self == self_)
    {
        --refused.calls_left;
        return std::nullopt;
    }
    try
    {
        if (auto const index = lane())
            return *index;
    }
    catch (std::exception const&) // no memory to note the lane in
    {}
    refused = {this, self_, calls_between_attempts};
    return std::nullopt;
}

void detail::release_lanes_of(attachment& leaving) noexcept
{
    for (std::uint32_t index = leaving.insides().identity.participants; index < leaving.lane_count(); ++index)
        give_back(leaving, index, leaving.self());
}

std::size_t detail::release_dead_lanes(attachment& in, dead_set const& dead) noexcept
{
    std::size_t released = 0;
    for (std::uint32_t index = in.insides().identity.participants; index < in.lane_count(); ++index)
    {
        auto&         owner = in.insides().lane(index).owner;
        std::uint64_t word  = owner.load(std::memory_order_acquire); // L1
        if (word == 0)
            continue;
        ATRIUM_CRASH_POINT("segment.recover.lane_seen");
        if (!dead.gone(participant_id::from_word(word)))
            continue;
        // L1. By compare-and-swap: somebody who was there when we looked may have left since, and the lane be
        // another's.
        if (!owner.compare_exchange_strong(word, 0, std::memory_order_release, std::memory_order_relaxed))
            continue;
        ATRIUM_CRASH_POINT("segment.recover.lane_released");
        ++released;
    }
    return released;
}

} // namespace atrium
