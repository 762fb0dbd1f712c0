#include <atrium/pool/detail/pool_handle.hpp>

namespace atrium::detail {

std::shared_ptr<object_pool> open_pool_of(std::shared_ptr<attachment> const& in, named_mode mode, std::string_view name,
                                          pool_options const& options, object_type const& element, std::size_t length)
{
    pool_shape shape;
    shape.element  = element;
    shape.capacity = options.capacity;
    shape.length   = length;
    shape.padded   = options.padded;
    named_options entry;
    entry.keep     = options.keep;
    entry.patience = options.patience;
    return open_pool(in, mode, name, shape, entry);
}

pool_statistics statistics_from(pool_counts const& counts) noexcept
{
    pool_statistics statistics;
    statistics.capacity    = counts.capacity;
    statistics.outstanding = counts.outstanding;
    statistics.available   = counts.capacity - counts.outstanding;
    statistics.pending     = counts.pending;
    statistics.low_water   = counts.low_water;
    return statistics;
}

pool_statistics statistics_of(object_pool const& pool) noexcept
{
    return statistics_from(counts_of(pool));
}

} // namespace atrium::detail
