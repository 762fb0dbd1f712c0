#include <atrium/pool/detail/local_depot.hpp>

#include <atrium/base/error.hpp>

#include <boost/assert.hpp>

#include <algorithm>
#include <limits>
#include <new>

namespace atrium::detail {

namespace {

constexpr std::size_t cache_line       = 64;
constexpr std::size_t fewest_added     = 32;       // places of a chunk, at least
constexpr std::size_t most_bytes_added = 1u << 20; // of a chunk with more places than that

[[nodiscard]] std::size_t rounded_up(std::size_t value, std::size_t unit) noexcept
{
    return (value + unit - 1) / unit * unit;
}

} // namespace

local_shape shape_of_places(std::size_t size, std::size_t alignment, std::size_t capacity, bool pad_to_cache_line)
{
    constexpr auto most = std::numeric_limits<std::ptrdiff_t>::max() / 4;
    if (size > static_cast<std::size_t>(most))
        throw_error(errc::too_large, "places of a local pool");
    local_shape shape{.size = 0, .alignment = std::max(alignment, alignof(local_place)), .capacity = capacity};
    if (pad_to_cache_line)
        shape.alignment = std::max(shape.alignment, cache_line);
    shape.size = rounded_up(std::max(size, sizeof(local_place)), shape.alignment);
    if (capacity > static_cast<std::size_t>(most) / shape.size)
        throw_error(errc::too_large, "capacity of a local pool");
    return shape;
}

local_depot::local_depot(local_source& source, local_shape const& shape) : source_(source), shape_(shape)
{
    if (shape.capacity != 0)
        add_chunk(shape.capacity);
    fewest_free_ = free_;
}

local_depot::~local_depot()
{
    while (chunks_ != nullptr)
    {
        chunk* const gone = chunks_;
        chunks_           = gone->next;
        source_.deallocate(gone, gone->size, std::max(alignof(chunk), shape_.alignment));
    }
}

void local_depot::grow()
{
    BOOST_ASSERT(is_empty()); // nothing unused is left in the chunk before
    add_chunk(std::clamp(places_, fewest_added, std::max(fewest_added, most_bytes_added / shape_.size)));
}

void local_depot::add_chunk(std::size_t places)
{
    std::size_t const header = rounded_up(sizeof(chunk), shape_.alignment);
    std::size_t const size   = header + places * shape_.size;
    void* const       block  = source_.allocate(size, std::max(alignof(chunk), shape_.alignment));
    chunks_                  = ::new (block) chunk{chunks_, size};
    unused_                  = static_cast<std::byte*>(block) + header;
    unused_count_            = places;
    places_ += places;
    free_ += places;
}

local_list local_depot::take_list(std::size_t most) noexcept
{
    BOOST_ASSERT(!is_empty());
    local_list taken = next_list(most);
    note_taken(taken.count());
    return taken;
}

void* local_depot::take() noexcept
{
    BOOST_ASSERT(!is_empty());
    if (single_.is_empty())
        single_ = next_list(1);
    void* const place = single_.pop();
    note_taken(1);
    return place;
}

void local_depot::give_list(local_list list) noexcept
{
    if (list.is_empty())
        return;
    free_ += list.count();
    list.first()->count     = list.count();
    list.first()->next_list = lists_;
    lists_                  = list.first();
}

void local_depot::give(void* place) noexcept
{
    single_.push(place);
    ++free_;
}

local_list local_depot::next_list(std::size_t most) noexcept
{
    if (lists_ == nullptr)
        return single_.is_empty() ? take_unused(most) : take_single(most);
    local_place* const first = lists_;
    lists_                   = first->next_list;
    return {first, first->count};
}

local_list local_depot::take_unused(std::size_t most) noexcept
{
    std::size_t const count = std::min(most, unused_count_);
    local_list        taken;
    for (std::size_t i = count; i != 0; --i) // the first place comes first out
        taken.push(unused_ + (i - 1) * shape_.size);
    unused_ += count * shape_.size;
    unused_count_ -= count;
    return taken;
}

local_list local_depot::take_single(std::size_t most) noexcept
{
    if (single_.count() <= most)
        return std::move(single_);
    local_list taken;
    for (std::size_t i = 0; i != most; ++i)
        taken.push(single_.pop());
    return taken;
}

void local_depot::note_taken(std::size_t count) noexcept
{
    free_ -= count;
    fewest_free_ = std::min(fewest_free_, free_);
}

} // namespace atrium::detail
