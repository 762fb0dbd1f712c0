#include <atrium/memory/counted_objects.hpp>

#include "memory/directory.hpp"
#include "memory/object_pool.hpp"
#include "memory/object_space.hpp"
#include "memory/process_references.hpp"
#include "memory/segment_cells.hpp"

#include <atrium/memory/detail/object_inspection.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// The memory to look at, if blocks of its heap can be looked at.
result<memory_state*> memory_to_inspect(attachment& in)
{
    auto const memory = memory_of(in, true);
    if (memory && (!(*memory)->core.statistics() || !has_memory(**memory, 0, (*memory)->core.end())))
        return errc::corrupted;
    return memory;
}

/// Who refers to what: by the entries of the directory, and behind them the heap.
class survey
{
public:
    explicit survey(memory_state& memory) : memory_(memory), found_(memory.entry_count + 1) {}

    /// \par Errors  `corrupted`
    [[nodiscard]] error_code take()
    {
        std::vector<std::pair<std::uint32_t, std::size_t>> in_processes; // row, and what it refers to
        std::span const                                    slots(memory_.header->cell_chunks);
        auto const                                         absent =
            std::find_if(slots.begin(), slots.end(), [](auto const& at) { return at.load(relaxed) == 0; });
        auto const chunks = cell_chunks_of(memory_);
        if (chunks.size() < static_cast<std::size_t>(absent - slots.begin()))
            return errc::corrupted; // one cannot be where its slot says
        for (cell_chunk const& chunk : chunks)
        {
            for (segment_cell const* cell = chunk.cells; cell != chunk.cells + chunk.count; ++cell)
            {
                std::size_t const   what   = place_of(object_id(cell->object.load(relaxed)));
                std::uint64_t const holder = cell->holder.load(relaxed);
                if (what == nowhere || holder == 0)
                    continue;
                if ((holder & cell_reserved) == 0)
                    ++found_[what].in_segment;
                else
                    in_processes.emplace_back(static_cast<std::uint32_t>(holder & ~cell_reserved), what);
            }
        }
        for (participant_info const& participant : memory_.in->participants())
        {
            std::vector<std::uint64_t> counts(found_.size());
            if (!count_cells(participant.id.row(), counts))
                return errc::corrupted;
            for (auto const& [row, what] : in_processes)
                counts[what] += row == participant.id.row() ? 1 : 0;
            for (std::size_t what = 0; what < counts.size(); ++what)
            {
                if (counts[what] != 0)
                    found_[what].participants.push_back({participant.id, counts[what]});
            }
        }
        return {};
    }

    [[nodiscard]] held_references& of_entry(std::uint32_t index) noexcept { return found_[index]; }
    [[nodiscard]] held_references& of_heap() noexcept { return found_.back(); }

private:
    static constexpr std::size_t nowhere = ~std::size_t{0};

    [[nodiscard]] std::size_t place_of(object_id id) const noexcept
    {
        if (!id)
            return nowhere;
        if (!id.is_in_pool())
            return found_.size() - 1;
        return id.pool() < memory_.entry_count ? id.pool() : nowhere;
    }

    [[nodiscard]] bool count_cells(std::uint32_t row, std::vector<std::uint64_t>& counts) const noexcept
    {
        std::uint64_t const first = memory_.first_cells[row].load(relaxed);
        error_code const    error = for_each_cell(memory_, row, [&](atomic<std::uint64_t> const& cell) {
            if (std::size_t const what = place_of(object_id(cell.load(relaxed))); what != nowhere)
                ++counts[what];
        });
        // Broken, unless the process has left, and its blocks are something else.
        return !error || memory_.first_cells[row].load(relaxed) != first;
    }

    memory_state&                memory_;
    std::vector<held_references> found_;
};

// The pool in that entry; nothing where it goes while it is looked at.
result<std::optional<inspected_pool>> inspect_pool(memory_state const& memory, std::uint32_t index)
{
    directory_entry const& entry  = memory.entry(index);
    auto const             status = status_of(entry);
    if (!status)
        return status.error();
    std::uint64_t const block = entry.block.load(relaxed);
    if (!is_pool(entry))
        return std::optional<inspected_pool>();

    auto const     table = pool_table(memory, index);
    auto const     bytes = memory.core.payload_size(block);
    inspected_pool pool;
    pool.name        = name_of(entry);
    pool.type        = type_name_of(entry);
    pool.holders     = holders_of(entry);
    pool.kept        = (entry.flags.load(relaxed) & entry_kept) != 0;
    pool.closing     = status->state == entry_state::orphaned;
    pool.bytes       = bytes ? *bytes : 0;
    bool const sound = table && table->peak(0) != nullptr && bytes;
    if (sound)
        pool.counts = counts_of(*table, memory.in->lane_count());
    if (!is_pool(entry) || entry.block.load(relaxed) != block)
        return std::optional<inspected_pool>();
    if (!sound)
        return errc::corrupted;
    return std::optional(std::move(pool));
}

} // namespace

result<std::vector<inspected_pool>> inspect_pools(attachment& in)
{
    auto const memory = memory_to_inspect(in);
    if (!memory)
        return memory.error();
    survey references(**memory);
    if (error_code const error = references.take())
        return error;
    std::vector<inspected_pool> all;
    for (std::uint32_t index = 0; index < (*memory)->entry_count; ++index)
    {
        auto pool = inspect_pool(**memory, index);
        if (!pool)
            return pool.error();
        if (!*pool)
            continue;
        (*pool)->references = std::move(references.of_entry(index));
        all.push_back(std::move(**pool));
    }
    return all;
}

} // namespace atrium::detail

namespace atrium {

result<counted_objects_info> counted_objects(segment const& in)
{
    auto const memory = detail::memory_to_inspect(*in.attached());
    if (!memory)
        return memory.error();
    detail::survey references(**memory);
    if (error_code const error = references.take())
        return error;
    counted_objects_info all;
    for (std::size_t chunk = 0; chunk < detail::chunk_count; ++chunk)
    {
        auto const table = detail::record_chunk(**memory, chunk);
        if (!table)
            return table.error();
        for (std::uint64_t n = 0; *table && n < (*table)->capacity(); ++n)
        {
            auto const state = detail::look_at((*table)->word(n)).value.state();
            all.outstanding += state != detail::object_state::free ? 1 : 0;
            all.pending += state == detail::object_state::pending ? 1 : 0;
        }
    }
    all.references = std::move(references.of_heap());
    return all;
}

} // namespace atrium
