#include "segment/attaching.hpp"

#include "os/process.hpp"
#include "segment/part.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace atrium::detail {

result<implementation_ptr> map_file(std::shared_ptr<os::file> file, os::file_status const& status,
                                    segment_identity const& identity, bool writable)
{
    auto in              = std::make_unique<attachment::implementation>();
    in->file             = std::move(file);
    in->identity_of_file = status;
    in->identity         = identity;
    in->generation       = os::process_generation();
    in->backed.store(status.size, std::memory_order_relaxed);
    auto mapping = os::map(*in->file, identity.maximum_size,
                           {.writable = writable, .huge_pages = (identity.flags & flag_huge_pages) != 0});
    if (!mapping)
        return mapping.error();
    in->mapping = std::move(*mapping);
    return in;
}

error_code check_mapping(attachment::implementation const& in)
{
    auto const header = read_header_of(*in.file);
    if (!header)
        return header.error();
    bool const same = header->identity.crc == in.identity.crc &&
                      std::equal(in.identity.creation_id, in.identity.creation_id + 2, header->identity.creation_id);
    return same ? error_code() : make_error_code(errc::corrupted);
}

void write_row(participant_row& row, std::uint64_t incarnation)
{
    auto const                   space = os::own_pid_namespace();
    std::string const            name  = os::program_name();
    std::array<std::uint64_t, 2> text  = {};
    std::memcpy(text.data(), name.data(), std::min(name.size(), sizeof(text) - 1));
    auto const put = [](atomic<std::uint64_t>& field, std::uint64_t value) {
        // Release R2, pairs with the acquires R2 in participants(): who sees it sees that the user before us is gone.
        field.store(value, std::memory_order_release);
        ATRIUM_CRASH_POINT("segment.row.field");
    };
    put(row.pid, os::process_id());
    put(row.namespace_device, space.device);
    put(row.namespace_inode, space.inode);
    put(row.attached_at, os::wall_clock_nanoseconds());
    put(row.program[0], text[0]);
    put(row.program[1], text[1]);
    // Release R1, pairs with the acquires R1 of those who look at rows: the rest of the row is whole.
    row.state.store(row_word(incarnation, row_state::attached), std::memory_order_release);
    ATRIUM_CRASH_POINT("segment.row.after_state");
}

error_code validate_parts(attachment const& handle)
{
    for (part const& p : all_parts())
    {
        // All of them, or none in a flat segment: parts rely on those below.
        bool const has_area = handle.area_of(p.id).has_value();
        if (has_area == handle.is_flat())
            return errc::corrupted;
        if (p.validate == nullptr || !has_area)
            continue;
        if (error_code const error = p.validate(handle))
            return error;
    }
    return {};
}

error_code attach_parts(attachment& handle)
{
    try
    {
        for (part const& p : all_parts())
        {
            if (p.attach != nullptr && handle.area_of(p.id))
                handle.insides().local_states.at(static_cast<std::size_t>(p.id)) = p.attach(handle);
        }
        return {};
    }
    catch (system_error const& error)
    {
        return error.code();
    }
}

void prefault_all(attachment const& handle) noexcept
{
    area_bytes const sparse = sparse_bytes(handle.insides().identity);
    os::prefault(handle.base(), sparse.offset);
    os::prefault(handle.base() + handle.data_offset(), handle.committed() - handle.data_offset());
}

} // namespace atrium::detail
