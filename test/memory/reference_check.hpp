/// \file
/// Whether all counts, cells and places of a segment agree: exactly, when nobody is in the middle of anything.
#pragma once

#include "memory/count_change.hpp"
#include "memory/directory.hpp"
#include "memory/memory_fixture.hpp"
#include "memory/object_space.hpp"
#include "memory/process_references.hpp"
#include "memory/segment_cells.hpp"

#include <atrium/memory/detail/counted.hpp>
#include <atrium/memory/detail/reference_ring.hpp>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace atrium::test {

/// What is expected beside free places and live objects.
struct reference_expectation
{
    std::uint64_t pending = 0; ///< Objects left to whoever knows their type.
};

/// Compares everything that counts references with everything that is one; the methods say what must hold.
class reference_checker
{
public:
    reference_checker(segment const& in, reference_expectation const& expected)
        : memory_(*detail::memory_of(*in.attached()).value()), expected_(expected)
    {
        for (participant_info const& info : in.participants())
        {
            if (info.state != liveness::alive)
                wrong() << "nobody has recovered for participant " << info.id.row() << '/' << info.id.incarnation();
            living_.insert(info.id.word());
            rows_.insert(info.id.row());
        }
    }

    /// \returns what is wrong, a line each
    std::string run()
    {
        // What was given back is merged first.
        static_cast<void>(memory_.core.drain());
        look_at_blocks();
        look_at_entries();
        look_at_lanes();
        count_process_cells();
        count_segment_cells();
        count_rings();
        detail::for_each_table(memory_, [&](detail::object_table const& table, detail::object_id first) {
            look_at_objects(table, first);
            look_for_places(table, first);
        });
        for (auto const& [object, cells] : references_)
            wrong() << cells << " cell(s) refer to object " << describe(detail::object_id(object))
                    << ", which is nowhere";
        if (pending_ != expected_.pending)
            wrong() << pending_ << " object(s) are pending";
        look_for_cells();
        std::string text;
        for (auto const& problem : problems_)
            text += problem.str() + '\n';
        return text;
    }

private:
    static constexpr auto relaxed = std::memory_order_relaxed;

    struct block
    {
        std::uint64_t end = 0;
        detail::owner of  = detail::owner::library(0);
    };

    std::ostringstream& wrong() { return problems_.emplace_back(); }

    static std::string describe(detail::object_id id)
    {
        return (id.is_in_pool() ? "pool " + std::to_string(id.pool()) : std::string("heap")) + "/" +
               std::to_string(id.index());
    }

    bool lane_is_alive(std::uint64_t lane) const
    {
        if (lane < memory_.in->participant_count())
            return rows_.contains(static_cast<std::uint32_t>(lane));
        return lane < memory_.in->lane_count() &&
               living_.contains(memory_.in->row_of_lane(static_cast<std::uint32_t>(lane)).owner.load(relaxed));
    }

    // Blocks belong to who lives, to entries that there are, and to objects; which of these live is seen later.
    void look_at_blocks()
    {
        auto const walked = memory_.core.for_each_block([&](detail::heap_block const& b) {
            if (b.tag.is_free())
                return;
            if (!b.tag.is_in_use())
            {
                wrong() << "somebody has half freed the block at " << b.payload;
                return;
            }
            detail::owner const of = b.tag.who();
            blocks_.emplace(b.payload, block{b.payload + b.payload_size, of});
            if (of.kind() == detail::owner_kind::object)
                owned_by_objects_[of.as_object().word()].push_back(b.payload);
            if (of.is_participant() && !living_.contains(detail::participant_of(of).word()))
                wrong() << "the block at " << b.payload << " is a dead participant's";
            if (of.kind() == detail::owner_kind::directory_entry &&
                detail::status_of(memory_.entry(static_cast<std::uint32_t>(of.index())))->state ==
                    detail::entry_state::free)
                wrong() << "the block at " << b.payload << " is of entry " << of.index() << ", which is free";
        });
        if (!walked)
            wrong() << "the blocks of the heap cannot be walked";
    }

    // Nobody makes or ends an entry; those who hold one live; a pool without holder has elements.
    void look_at_entries()
    {
        for (std::uint32_t index = 0; index < memory_.entry_count; ++index)
        {
            detail::directory_entry const& entry  = memory_.entry(index);
            auto const                     status = detail::status_of(entry);
            if (!status || status->state == detail::entry_state::constructing ||
                status->state == detail::entry_state::dying)
                wrong() << "entry " << index << " is on its way";
            if (!status || status->state == detail::entry_state::free)
                continue;
            bool held = (entry.flags.load(relaxed) & detail::entry_kept) != 0;
            for (std::uint32_t row = 0; row < memory_.in->participant_count(); ++row)
            {
                if (!detail::is_held_by(entry, row))
                    continue;
                held = true;
                if (!rows_.contains(row))
                    wrong() << "entry " << index << " is held by row " << row << ", which has no user";
            }
            if (!held && status->state == detail::entry_state::live)
                wrong() << "entry " << index << " lives, and nobody holds it";
            if (status->state != detail::entry_state::orphaned)
                continue;
            if (!detail::is_pool(entry))
            {
                wrong() << "entry " << index << " is to be destroyed";
                continue;
            }
            if (auto const table = detail::pool_table(memory_, index); !table || !table->has_objects())
                wrong() << "entry " << index << " is a pool that nobody holds, without elements";
        }
    }

    // No record is open; lanes belong to who lives.
    void look_at_lanes()
    {
        for (std::uint32_t lane = 0; lane < memory_.in->lane_count(); ++lane)
        {
            lane_row const&     row   = memory_.in->row_of_lane(lane);
            std::uint64_t const owner = row.owner.load(relaxed);
            if (owner != 0 && !living_.contains(owner))
                wrong() << "lane " << lane << " is a dead participant's";
            if (detail::has_open_record(row))
                wrong() << "the record of lane " << lane << " is open";
        }
    }

    void count_process_cells()
    {
        for (std::uint32_t row = 0; row < memory_.in->participant_count(); ++row)
        {
            if (!rows_.contains(row) && memory_.first_cells[row].load(relaxed) != 0)
                wrong() << "row " << row << " has cells, but no user";
            auto const walked = detail::for_each_cell(memory_, row, [&](atomic<std::uint64_t>& cell) {
                if (std::uint64_t const object = cell.load(relaxed); object != 0)
                    ++references_[object];
            });
            if (walked)
                wrong() << "the cells of row " << row << ": " << walked.message();
        }
    }

    // A cell is free and empty, or a pointer's that knows it: in a block in use, or in the memory of a living process.
    // References in rings, from the head on as far as slots are filled; the tail is behind the last.
    void count_rings()
    {
        for (auto const& [at, in] : blocks_)
        {
            if (!in.of.is_ring())
                continue;
            auto const ring = detail::reference_ring::attach(*memory_.in, at);
            if (!ring)
            {
                wrong() << "the ring at " << at << " is none";
                continue;
            }
            std::uint64_t position = ring->head();
            for (; ring->is_filled(position) && position - ring->head() <= ring->capacity(); ++position)
                ++references_[ring->object_at(position).word()];
            if (position != ring->tail())
                wrong() << "the ring at " << at << " is filled up to " << position << ", and says " << ring->tail();
        }
    }

    void count_segment_cells()
    {
        detail::for_each_segment_cell(memory_, [&](detail::segment_cell& cell, std::uint64_t offset) {
            detail::object_id const object(cell.object.load(relaxed));
            std::uint64_t const     holder = cell.holder.load(relaxed);
            if (object)
                ++references_[object.word()];
            if (!object && (holder & detail::cell_reserved) != 0)
                wrong() << "cell " << offset << " is reserved by lane " << (holder & ~detail::cell_reserved);
            else if (!object && holder != 0)
                wrong() << "cell " << offset << " has a holder, but is empty";
            else if (object && holder == 0)
                wrong() << "cell " << offset << " refers to " << describe(object) << ", but is free";
            else if (object && (holder & detail::cell_reserved) != 0)
            {
                if (!lane_is_alive(holder & ~detail::cell_reserved))
                    wrong() << "cell " << offset << " is held by a dead process";
            }
            else if (object)
                look_at_pointer(object, offset, holder);
        });
    }

    void look_at_pointer(detail::object_id object, std::uint64_t cell, std::uint64_t holder)
    {
        auto const next = blocks_.upper_bound(holder);
        if (next == blocks_.begin() || std::prev(next)->second.end < holder + sizeof(detail::segment_reference))
        {
            wrong() << "the holder of cell " << cell << " lies in no block";
            return;
        }
        auto const& pointer = *reinterpret_cast<detail::segment_reference const*>(memory_.in->base() + holder);
        if (pointer.cell != cell)
            wrong() << "the holder of cell " << cell << " holds cell " << pointer.cell;
        auto const       found = detail::locate(memory_, object);
        std::byte* const begin = found ? detail::object_at(memory_, *found) : nullptr;
        std::byte const* at    = pointer.object.get();
        if (begin == nullptr || at < begin || at >= begin + detail::size_of(*found))
            wrong() << "the holder of cell " << cell << " points elsewhere than at " << describe(object);
    }

    // Free, or live with as many cells as it counts.
    void look_at_objects(detail::object_table const& table, detail::object_id first)
    {
        for (std::uint64_t index = 0; index < table.capacity(); ++index)
        {
            detail::object_id const    id    = detail::at_index(first, index);
            detail::object_value const value = detail::look_at(table.word(index)).value;
            std::uint64_t const        cells = references_.contains(id.word()) ? references_[id.word()] : 0;
            references_.erase(id.word());
            auto const owned = owned_by_objects_.find(id.word());
            bool const there =
                value.state() == detail::object_state::live || value.state() == detail::object_state::pending;
            switch (value.state())
            {
            case detail::object_state::free:
                if (owned != owned_by_objects_.end())
                    wrong() << owned->second.size() << " block(s) are of object " << describe(id) << ", which is free";
                if (table.has(detail::table_is_record) && table.record(index).block.load(relaxed) != 0)
                    wrong() << "the record of object " << describe(id) << ", which is free, has a block";
                break;
            case detail::object_state::live:
                if (value.count() == 0)
                    wrong() << "object " << describe(id) << " lives, and counts 0";
                break;
            case detail::object_state::pending:
                ++pending_;
                break;
            default:
                wrong() << "object " << describe(id) << " is in state " << static_cast<unsigned>(value.state());
            }
            if (cells != value.count())
                wrong() << "object " << describe(id) << " counts " << value.count() << ", but " << cells
                        << " cell(s) refer to it";
            if (there && detail::object_at(memory_, {table, index, id}) == nullptr)
                wrong() << "object " << describe(id) << " has no memory";
        }
    }

    struct hint_words
    {
        hint_words(std::byte const* at, std::uint64_t places)
            : bits(reinterpret_cast<std::uint64_t const*>(at)), summary(bits + (places + 63) / 64)
        {}

        bool find(std::uint64_t place) const
        {
            return (bits[place / 64] >> (place % 64) & 1) != 0 &&
                   (summary[place / 64 / 64] >> (place / 64 % 64) & 1) != 0;
        }

        std::uint64_t const* bits;
        std::uint64_t const* summary;
    };

    // True where nobody but this process keeps places; those who do live.
    bool look_at_keepers(detail::place_hints const& hints, std::uint32_t visitors, std::string const& what)
    {
        bool only_own = true;
        for (std::uint32_t lane = 0; lane < memory_.in->lane_count(); ++lane)
        {
            if (visitors != 0 && hints.is_keeping(visitors + lane))
                wrong() << "lane " << lane << " visits " << what;
            if (!hints.is_keeping(lane))
                continue;
            if (!lane_is_alive(lane))
                wrong() << "lane " << lane << " keeps places of " << what << ", but nobody has the lane";
            only_own = only_own && is_own(lane);
        }
        return only_own;
    }

    bool is_own(std::uint32_t lane) const
    {
        return lane == memory_.in->shared_lane() ||
               memory_.in->row_of_lane(lane).owner.load(relaxed) == memory_.in->self().word();
    }

    template <class Kept> std::set<std::uint64_t> kept_here(Kept kept) const
    {
        std::set<std::uint64_t> all;
        for (std::uint32_t lane = 0; lane < memory_.in->lane_count(); ++lane)
        {
            if (!is_own(lane) || memory_.lanes[lane].row == nullptr)
                continue;
            auto const& places = kept(memory_.lanes[lane]);
            all.insert(places.places.begin(),
                       std::next(places.places.begin(), static_cast<std::ptrdiff_t>(places.count)));
        }
        return all;
    }

    // Every free place is found: by a hint, or by the lane that keeps it. What a lane keeps of a pool is seen by making
    // until the pool is exhausted.
    void look_for_places(detail::object_table const& table, detail::object_id first)
    {
        bool const        records = table.has(detail::table_is_record);
        std::string const what    = describe(first);
        bool const        only_own =
            look_at_keepers(table.hints(), static_cast<std::uint32_t>(memory_.in->lane_count()), what);
        if (!only_own || (!records && table.hints().anybody_keeps()))
            return;
        hint_words const hints(reinterpret_cast<std::byte const*>(&table.header()) + table.header().hints.load(relaxed),
                               table.capacity());
        auto const       kept = kept_here([](detail::lane_state const& lane) -> auto const& { return lane.records; });
        for (std::uint64_t index = 0; index < table.capacity(); ++index)
        {
            if (detail::look_at(table.word(index)).value.state() == detail::object_state::free && !hints.find(index) &&
                !(records && kept.contains(table.first() + index)))
                wrong() << "the free place " << describe(detail::at_index(first, index)) << " is not found";
        }
    }

    void look_for_cells()
    {
        auto const kept   = kept_here([](detail::lane_state const& lane) -> auto const& { return lane.cells; });
        auto const chunks = detail::cell_chunks_of(memory_);
        for (std::size_t number = 0; number < chunks.size(); ++number)
        {
            detail::cell_chunk const& chunk = chunks[number];
            if (!look_at_keepers(chunk.hints, 0, "cells " + std::to_string(number)))
                continue;
            hint_words const hints(memory_.in->base() + memory_.header->cell_chunks[number].load(relaxed), chunk.count);
            std::uint64_t const first = detail::first_of_chunk(number, detail::first_cell_chunk);
            for (std::uint64_t n = 0; n < chunk.count; ++n)
            {
                if (chunk.cells[n].holder.load(relaxed) == 0 && !hints.find(n) && !kept.contains(first + n))
                    wrong() << "the free cell " << first + n << " is not found";
            }
        }
    }

    detail::memory_state&                               memory_;
    reference_expectation                               expected_;
    std::set<std::uint64_t>                             living_;
    std::set<std::uint32_t>                             rows_;
    std::map<std::uint64_t, block>                      blocks_;           // by payload
    std::map<std::uint64_t, std::vector<std::uint64_t>> owned_by_objects_; // by object
    std::map<std::uint64_t, std::uint64_t>              references_;       // cells by object
    std::uint64_t                                       pending_ = 0;
    std::vector<std::ostringstream>                     problems_;
};

/// What is wrong with the counted references of a segment that nobody uses at the moment, a line each; empty if all is
/// well.
[[nodiscard]] inline std::string reference_problems(segment const& in, reference_expectation const& expected = {})
{
    auto const lock = detail::heap_lock::take(*detail::memory_of(*in.attached()).value(), 10s);
    if (!lock)
        return "the heap: " + lock.error().message();
    return reference_checker(in, expected).run();
}

/// How many blocks belong to objects and names, of whatever process, and to other processes: without what the library
/// and this process have got once and keep. Not their bytes: a block may have 16 more than another for the same object.
[[nodiscard]] inline std::uint64_t blocks_of_objects(segment const& in)
{
    detail::memory_state& memory = *detail::memory_of(*in.attached()).value();
    auto const            lock   = detail::heap_lock::take(memory, 10s);
    std::uint64_t         count  = 0;
    static_cast<void>(memory.core.drain());
    static_cast<void>(memory.core.for_each_block([&](detail::heap_block const& block) {
        bool const keeps = block.tag.is_in_use() && (block.tag.who().kind() == detail::owner_kind::library ||
                                                     block.tag.who() == detail::owner_of(in.self()));
        if (!block.tag.is_free() && !keeps)
            ++count;
    }));
    return count;
}

} // namespace atrium::test
