#include <atrium/pool/pools.hpp>

#include <atrium/memory/detail/object_inspection.hpp>
#include <atrium/pool/detail/pool_handle.hpp>

#include <utility>

namespace atrium {

namespace {

// The directory says `pool of T`, or `pool of arrays of T[16]`.
std::string object_type_in(std::string type, std::size_t length)
{
    for (std::string_view const before : {"pool of arrays of ", "pool of "})
    {
        if (type.starts_with(before))
        {
            type.erase(0, before.size());
            break;
        }
    }
    std::string behind("[");
    behind.append(std::to_string(length)).append("]");
    if (length != 1 && type.ends_with(behind))
        type.erase(type.size() - behind.size());
    return type;
}

} // namespace

result<std::vector<pool_info>> pools(segment const& in)
{
    auto found = detail::inspect_pools(*in.attached());
    if (!found)
        return found.error();
    std::vector<pool_info> all;
    for (detail::inspected_pool& pool : *found)
    {
        pool_info info;
        info.name       = std::move(pool.name);
        info.length     = pool.counts.length;
        info.type       = object_type_in(std::move(pool.type), info.length);
        info.state      = pool.closing ? pool_state::closing : pool_state::live;
        info.statistics = detail::statistics_from(pool.counts);
        info.bytes      = pool.bytes;
        info.holders    = pool.holders;
        info.kept       = pool.kept;
        info.references = std::move(pool.references);
        all.push_back(std::move(info));
    }
    return all;
}

std::string_view to_string(pool_state state) noexcept
{
    switch (state)
    {
    case pool_state::live:
        return "live";
    case pool_state::closing:
        return "closing";
    }
    return "unknown";
}

} // namespace atrium
