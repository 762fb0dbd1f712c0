#include "segment/creating.hpp"

#include "segment/attachment_access.hpp"
#include "segment/opening.hpp"
#include "segment/part.hpp"
#include "segment/registry.hpp"
#include "segment/removing.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>
#include <new>
#include <utility>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

void construct_tables(attachment::implementation& in)
{
    auto* const header = new (in.mapping.data()) segment_header;
    header->identity   = in.identity;
    header->committed.store(in.identity.initial_size, std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
        new (&in.row(index)) participant_row;
    for (std::uint32_t index = 0; index < lane_rows(in.identity); ++index)
        new (&in.lane(index)) lane_row;
}

error_code lock_as_first(os::file const& file)
{
    for (std::uint64_t const byte : {life_cycle_byte, participant_byte(0)})
    {
        auto const locked = os::try_lock(file, byte);
        if (!locked || !*locked)
            return locked ? make_error_code(errc::system_failure) : locked.error(); // nobody else knows the file
    }
    return {};
}

error_code format_parts(attachment& handle, segment_options const& options)
{
    for (part const& p : all_parts())
    {
        if (p.format == nullptr || !handle.area_of(p.id))
            continue;
        if (error_code const error = p.format(handle, options))
            return error;
        ATRIUM_CRASH_POINT("segment.create.part_formatted");
    }
    return {};
}

// Whole before it has a name; dying anywhere before publish() leaves nothing, anywhere after it a dead participant.
result<std::shared_ptr<attachment>> make_and_publish(std::shared_ptr<os::file> const& file,
                                                     os::file_status const& status, segment_identity const& identity,
                                                     std::string const& file_name, segment_options const& options)
{
    if (error_code const error = lock_as_first(*file))
        return error;
    ATRIUM_CRASH_POINT("segment.create.locked");
    auto in = map_file(file, status, identity, true);
    if (!in)
        return in.error();
    construct_tables(**in);
    ATRIUM_CRASH_POINT("segment.create.tables");
    auto handle                 = attachment_access::make(std::move(*in));
    handle->insides().file_name = file_name;
    auto const claimed          = participant_id(0, 1);
    handle->insides().header().next_incarnation.store(2, std::memory_order_relaxed);
    write_row(handle->insides().row(0), 1);
    attachment_access::set_self(*handle, claimed);
    if (error_code const error = format_parts(*handle, options))
        return error;
    if (error_code const error = attach_parts(*handle))
        return error;
    if (options.prefault)
        prefault_all(*handle);
    ATRIUM_CRASH_POINT("segment.create.before_publish");
    if (error_code const error = os::publish(*file, file_name))
        return error;
    handle->insides().published = true;
    ATRIUM_CRASH_POINT("segment.create.published");
    return handle;
}

// All but the sparse tables.
error_code commit_fixed(os::file const& file, segment_identity const& identity)
{
    area_bytes const sparse = sparse_bytes(identity);
    if (error_code const error = os::commit(file, 0, sparse.offset))
        return error;
    return os::commit(file, identity.data_offset, identity.initial_size);
}

result<std::shared_ptr<attachment>> create_once(std::string const& file_name, segment_options const& options)
{
    // A name that is taken is the common case of a race: seen before memory is got. publish() decides.
    if (os::status_of_name(file_name))
        return errc::already_exists;
    auto const identity = make_identity(options);
    if (!identity)
        return identity.error();
    auto created = os::create_unnamed(options.permissions);
    if (!created)
        return created.error();
    auto const file = std::make_shared<os::file>(std::move(*created));
    if (error_code const error = commit_fixed(*file, *identity))
        return error;
    ATRIUM_CRASH_POINT("segment.create.committed");
    auto const status = os::status_of(*file);
    if (!status)
        return status.error();
    auto handle =
        find_or_attach(*status, false, [&] { return make_and_publish(file, *status, *identity, file_name, options); });
    if (handle)
        static_cast<void>(os::unlock(*file, life_cycle_byte));
    ATRIUM_CRASH_POINT("segment.create.unlocked");
    return handle;
}

} // namespace

result<opened> create(std::string const& file_name, segment_options const& options)
{
    deadline const until = patience(options.open_timeout);
    for (;;)
    {
        auto handle = create_once(file_name, options);
        if (handle)
            return opened{*handle, true};
        if (handle.error() != errc::already_exists || remove_abandoned(file_name, false) || until.passed())
            return handle.error();
    }
}

result<opened> open_or_create_file(std::string const& file_name, segment_options const& options)
{
    segment_options now  = options;
    now.open_timeout     = 0ms; // nobody is waited for who might create: we do
    deadline const until = patience(options.open_timeout);
    for (;;)
    {
        auto existing = open(file_name, now);
        if (existing || existing.error() != errc::not_found)
            return existing;
        auto handle = create_once(file_name, options);
        if (handle)
            return opened{*handle, true};
        if (handle.error() != errc::already_exists)
            return handle.error();
        if (until.passed())
            return errc::timed_out;
    }
}

} // namespace atrium::detail
