#include <atrium/memory/named_objects.hpp>

#include "memory/directory.hpp"

namespace atrium {

namespace {

named_object_kind kind_for(detail::directory_entry const& entry) noexcept
{
    bool const pool = (entry.flags.load(std::memory_order_relaxed) & detail::entry_pool) != 0;
    return pool ? named_object_kind::pool : named_object_kind::object;
}

named_object_state state_for(detail::entry_state state, named_object_kind kind) noexcept
{
    switch (state)
    {
    case detail::entry_state::constructing:
        return named_object_state::constructing;
    case detail::entry_state::orphaned:
        return kind == named_object_kind::pool ? named_object_state::closing : named_object_state::pending;
    case detail::entry_state::dying:
        return named_object_state::dying;
    default:
        return named_object_state::live;
    }
}

} // namespace

result<std::vector<named_object_info>> named_objects(segment const& in)
{
    auto const memory = detail::memory_of(*in.attached(), true);
    if (!memory)
        return memory.error();
    std::vector<named_object_info> all;
    for (std::uint32_t index = 0; index < (*memory)->entry_count; ++index)
    {
        detail::directory_entry const& entry  = (*memory)->entry(index);
        auto const                     status = detail::status_of(entry);
        if (!status)
            return status.error();
        if (status->state == detail::entry_state::free || detail::structure_of(entry) != 0)
            continue;
        std::uint64_t const shape = entry.align_and_version.load(std::memory_order_relaxed);
        named_object_info   info;
        info.name          = detail::name_of(entry);
        info.type          = detail::type_name_of(entry);
        info.size          = entry.size.load(std::memory_order_relaxed);
        info.alignment     = static_cast<std::uint32_t>(shape);
        info.version       = static_cast<std::uint32_t>(shape >> 32);
        info.kind          = kind_for(entry);
        info.state         = state_for(status->state, info.kind);
        info.holders       = detail::holders_of(entry);
        info.holders_limit = entry.holder_limit.load(std::memory_order_relaxed);
        info.kept          = (entry.flags.load(std::memory_order_relaxed) & detail::entry_kept) != 0;
        all.push_back(std::move(info));
    }
    return all;
}

std::string_view to_string(named_object_state state) noexcept
{
    switch (state)
    {
    case named_object_state::constructing:
        return "constructing";
    case named_object_state::live:
        return "live";
    case named_object_state::pending:
        return "pending";
    case named_object_state::closing:
        return "closing";
    case named_object_state::dying:
        return "dying";
    }
    return "unknown";
}

std::string_view to_string(named_object_kind kind) noexcept
{
    return kind == named_object_kind::pool ? "pool" : "object";
}

} // namespace atrium
