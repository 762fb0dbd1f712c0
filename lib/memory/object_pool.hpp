/// \file
/// A pool of counted objects, as one process uses it.
#pragma once

#include "memory/count_change.hpp"
#include "memory/memory_state.hpp"
#include "memory/object_space.hpp"
#include "memory/object_table.hpp"
#include "memory/reference_home.hpp"
#include "os/process.hpp"

#include <atrium/memory/detail/object_pool.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace atrium::detail {

/// Process-local, one for each pool that this process has open: by handles, or by references to its elements. Holds the
/// pool's entry in the directory while it lives.
class object_pool : public std::enable_shared_from_this<object_pool>
{
public:
    static constexpr std::size_t  most_kept = 32;
    static constexpr std::int64_t none      = std::numeric_limits<std::int64_t>::min();

    /// What a lane of this process has of the pool.
    struct alignas(64) lane_share
    {
        kept_places<most_kept> kept;
        std::int64_t           taken       = 0; ///< claimed less freed by this lane, and what earlier users of it left
        std::int64_t           peak        = none; ///< the most of it; `none` until this process begins to count
        std::uint64_t          search_from = 0;    ///< where places that others keep are looked for
    };

    object_pool(std::shared_ptr<attachment> in, memory_state& memory, std::uint32_t entry, object_table table,
                void (*destroy)(std::byte*) noexcept);
    object_pool(object_pool const&)            = delete;
    object_pool& operator=(object_pool const&) = delete;
    ~object_pool();

    [[nodiscard]] memory_state&       memory() const noexcept { return *memory_; }
    [[nodiscard]] object_table const& table() const noexcept { return table_; }
    [[nodiscard]] std::uint32_t       entry() const noexcept { return entry_; }
    [[nodiscard]] reference_home&     home() const noexcept { return *home_; }
    [[nodiscard]] attachment&         in() const noexcept { return *in_; }

    /// How one object of an element is destroyed; null where there is nothing to run, or nobody has said.
    [[nodiscard]] auto destroy() const noexcept { return destroy_; }

    /// Makes a free place constructing, if the lane keeps one.
    [[nodiscard]] std::optional<std::uint64_t> claim_kept(lane_state& lane) noexcept
    {
        lane_share& share = lanes_[lane.index];
        while (share.kept.count != 0)
        {
            std::uint32_t const index = share.kept.places[--share.kept.count];
            if (share.kept.count != 0)
                expect_claim(share.kept.places[share.kept.count - 1]);
            if (!begin_construction(lane, table_.word(index)))
                continue;
            count(lane, share, 1);
            return index;
        }
        return std::nullopt;
    }

    /// Makes any free place constructing.
    /// \par Errors  `exhausted`
    [[nodiscard]] result<std::uint64_t> claim(lane_state& lane) noexcept;

    /// Frees a place that this lane had constructing or dying.
    void free(lane_state& lane, std::uint64_t index) noexcept
    {
        lane_share& share = lanes_[lane.index];
        if (!share.kept.noted || share.kept.count >= limit_)
            make_room(lane, share);
        free_place(table_.word(index));
        count(lane, share, -1);
        share.kept.places[share.kept.count++] = static_cast<std::uint32_t>(index);
    }

    /// Lets others have what the lane keeps.
    void end_lane(std::uint32_t lane) noexcept;

private:
    // The element is made next: whoever had the place last may be on another processor.
    void expect_claim(std::uint64_t index) const noexcept
    {
        os::expect_write(&table_.word(index));
        os::expect_write(table_.place(index));
    }

    // By how much this lane has had more than it gave back is written where others see it, when it is more than ever.
    void count(lane_state const& lane, lane_share& share, std::int64_t more) noexcept
    {
        share.taken += more;
        if (share.taken > share.peak)
            count_peak(lane, share);
    }

    void count_peak(lane_state const& lane, lane_share& share) noexcept;
    void make_room(lane_state const& lane, lane_share& share) noexcept;
    bool refill(lane_state const& lane, lane_share& share) noexcept;

    /// Looks at every word until one is free, and makes that place constructing; adds up the generations of all.
    std::optional<std::uint64_t> search(lane_state& lane, lane_share& share, std::uint64_t& generations) noexcept;

    std::shared_ptr<attachment> in_;
    memory_state*               memory_;
    std::uint32_t               entry_;
    object_table                table_;
    reference_home*             home_;
    std::size_t                 limit_; // of kept places
    std::vector<lane_share>     lanes_;
    void (*destroy_)(std::byte*) noexcept;
};

/// Where this process counts its references to elements of the pool; null: to heap objects.
[[nodiscard]] inline reference_home& home_of(memory_state const& memory, object_pool const* pool) noexcept
{
    return pool != nullptr ? pool->home() : *memory.home;
}

/// \param lanes  of the segment
[[nodiscard]] pool_counts counts_of(object_table const& table, std::uint32_t lanes) noexcept;

/// The pool in that entry, if this process has it open.
[[nodiscard]] std::shared_ptr<object_pool> find_open_pool(memory_state& memory, std::uint32_t entry) noexcept;

/// Lets others have what the lane keeps of all pools; where the end of one is under way, that has happened too.
void end_lane_of_pools(memory_state& memory, std::uint32_t lane) noexcept;

/// Opens the pool in that entry, which has a referenced element.
/// \par Errors  `timed_out`, `corrupted`
[[nodiscard]] result<std::shared_ptr<object_pool>> hold_pool(memory_state& memory, std::uint32_t entry, deadline until);

/// Hands a pool out: all handles to what is returned count as one.
[[nodiscard]] std::shared_ptr<object_pool> hand_out(std::shared_ptr<object_pool> const& pool);

/// A pool that nobody has open goes once its last element is gone: called by whoever frees an element of a pool that
/// this process may not have open, and by recovery. Takes the heap mutex where there is something to do.
void end_pool_if_empty(memory_state& memory, std::uint32_t entry) noexcept;

} // namespace atrium::detail
