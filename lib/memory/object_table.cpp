#include "memory/object_table.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

namespace atrium::detail {

namespace {

constexpr auto          relaxed      = std::memory_order_relaxed;
constexpr std::uint64_t largest_size = std::uint64_t{1} << 46;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept
{
    return (value + to - 1) / to * to;
}

struct offsets
{
    std::uint64_t words  = 0;
    std::uint64_t hints  = 0;
    std::uint64_t peaks  = 0;
    std::uint64_t places = 0;
    std::uint64_t end    = 0;
};

// The caller has seen that nothing wraps.
offsets lay_out(std::uint64_t capacity, std::uint64_t stride, std::uint64_t alignment, bool has_peaks,
                std::uint32_t lanes) noexcept
{
    offsets at;
    at.words  = sizeof(table_header);
    at.hints  = at.words + capacity * sizeof(control_word);
    at.peaks  = at.hints + place_hints::size(capacity, 2 * lanes); // lanes as such, and as visitors
    at.places = at.peaks + (has_peaks ? lanes * sizeof(std::uint64_t) : 0);
    at.places = round_up(at.places, std::max<std::uint64_t>(alignment, 64));
    at.end    = at.places + capacity * stride;
    return at;
}

bool can_be(std::uint64_t capacity, std::uint64_t stride) noexcept
{
    return capacity >= 1 && capacity <= object_id::largest_index && stride >= 1 && stride <= largest_size / capacity;
}

} // namespace

std::optional<std::uint64_t> object_table::size(table_shape const& shape, std::uint32_t lanes) noexcept
{
    if (!can_be(shape.capacity, shape.stride))
        return std::nullopt;
    return lay_out(shape.capacity, shape.stride, shape.alignment, shape.has_peaks, lanes).end;
}

object_table object_table::format(std::byte* at, table_shape const& shape, std::uint32_t lanes) noexcept
{
    offsets const where = lay_out(shape.capacity, shape.stride, shape.alignment, shape.has_peaks, lanes);
    std::memset(at, 0, where.places); // words: free, of generation 0, swung by nobody
    auto* const header = new (at) table_header;
    header->capacity.store(shape.capacity, relaxed);
    header->words.store(where.words, relaxed);
    header->hints.store(where.hints, relaxed);
    header->peaks.store(shape.has_peaks ? where.peaks : 0, relaxed);
    header->places.store(where.places, relaxed);
    header->stride.store(shape.stride, relaxed);
    header->length.store(shape.length, relaxed);
    header->element_size.store(shape.element_size, relaxed);
    header->type.store(shape.type, relaxed);
    header->flags.store(shape.flags, relaxed);
    header->first.store(shape.first, relaxed);
    object_table table = *attach(at, where.end, lanes);
    for (std::uint64_t index = 0; index < shape.capacity; ++index)
    {
        if ((shape.flags & table_is_record) != 0)
            new (&table.record(index)) object_record;
    }
    table.hint_all_free();
    return table;
}

result<object_table> object_table::attach(std::byte* at, std::uint64_t room, std::uint32_t lanes) noexcept
{
    if (room < sizeof(table_header))
        return errc::corrupted;
    auto* const  header = reinterpret_cast<table_header*>(at);
    object_table table;
    table.header_       = header;
    table.lanes_        = lanes;
    table.capacity_     = header->capacity.load(relaxed);
    table.stride_       = header->stride.load(relaxed);
    table.length_       = header->length.load(relaxed);
    table.element_size_ = header->element_size.load(relaxed);
    table.flags_        = header->flags.load(relaxed);
    table.first_        = header->first.load(relaxed);
    if (!can_be(table.capacity_, table.stride_) || table.element_size_ == 0 || table.length_ == 0 ||
        table.length_ > table.stride_ / table.element_size_)
        return errc::corrupted;
    bool const          peaks  = header->peaks.load(relaxed) != 0;
    std::uint64_t const places = header->places.load(relaxed);
    offsets const       least  = lay_out(table.capacity_, table.stride_, 1, peaks, lanes);
    if (header->words.load(relaxed) != least.words || header->hints.load(relaxed) != least.hints ||
        places < least.places || places > room || table.capacity_ * table.stride_ > room - places)
        return errc::corrupted;
    table.words_  = reinterpret_cast<control_word*>(at + least.words);
    table.hints_  = place_hints(at + least.hints, table.capacity_, 2 * lanes);
    table.peaks_  = peaks ? reinterpret_cast<atomic<std::uint64_t>*>(at + least.peaks) : nullptr;
    table.places_ = at + places;
    return table;
}

std::optional<std::uint64_t> object_table::find_object() const noexcept
{
    std::uint64_t const start = header_->busy.load(relaxed);
    for (std::uint64_t n = 0; n < capacity_; ++n)
    {
        std::uint64_t const index = (start + n) % capacity_;
        if (look_at(words_[index]).value.state() != object_state::free)
            return index;
    }
    return std::nullopt;
}

bool object_table::has_objects() const noexcept
{
    auto const found = find_object();
    if (found && *found != header_->busy.load(relaxed))
    {
        header_->busy.store(*found, relaxed);
        ATRIUM_CRASH_POINT("pool.busy_noted");
    }
    return found.has_value();
}

void object_table::hint_all_free() const noexcept
{
    for (std::uint64_t index = 0; index < capacity_; ++index)
    {
        if (look_at(words_[index]).value.state() == object_state::free)
            hints_.set(index);
    }
}

} // namespace atrium::detail
