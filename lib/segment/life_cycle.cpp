#include "segment/life_cycle.hpp"

#include "os/error.hpp"
#include "os/process.hpp"
#include "segment/attachment_access.hpp"
#include "segment/file_access.hpp"
#include "segment/implementation.hpp"
#include "segment/part.hpp"
#include "segment/registry.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <thread>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

thread_local int unshared_openings = 0;

using implementation_ptr = std::unique_ptr<attachment::implementation>;

// ---- the own row -------------------------------------------------------------------------------------------------

void write_row(participant_row& row, std::uint64_t incarnation)
{
    auto const                   space = os::own_pid_namespace();
    std::string const            name  = os::program_name();
    std::array<std::uint64_t, 2> text  = {};
    std::memcpy(text.data(), name.data(), std::min(name.size(), sizeof(text) - 1));
    auto const put = [](atomic<std::uint64_t>& field, std::uint64_t value) {
        field.store(value, std::memory_order_relaxed);
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

struct claimed_row
{
    participant_id self;
    participant_id former; // the dead user of a row that was taken over
};

// The life-cycle lock is held: nobody else claims. A byte that is locked belongs to somebody alive, or to a recoverer.
result<claimed_row> claim_row(attachment::implementation& in, bool dead_ones)
{
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        participant_row&    row  = in.row(index);
        std::uint64_t const seen = row.state.load(std::memory_order_acquire); // R1
        if (is_attached(seen) != dead_ones)
            continue;
        auto const locked = os::try_lock(*in.file, participant_byte(index));
        if (!locked)
            return locked.error();
        if (!*locked)
            continue;
        ATRIUM_CRASH_POINT("segment.join.byte_locked");
        // Relaxed: only the holder of the life-cycle lock draws a number.
        std::uint64_t const incarnation = in.header().next_incarnation.load(std::memory_order_relaxed);
        if (incarnation == 0 || incarnation > participant_id::last_incarnation)
            return errc::corrupted; // more than anybody can have joined
        in.header().next_incarnation.store(incarnation + 1, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("segment.join.incarnation_drawn");
        write_row(row, incarnation);
        claimed_row claimed;
        claimed.self = participant_id(index, incarnation);
        if (dead_ones)
            claimed.former = participant_id(index, seen >> 1);
        return claimed;
    }
    return errc::too_many_participants;
}

// ---- opening -----------------------------------------------------------------------------------------------------

error_code check_opener(locked_file const& opening, segment_options const& options)
{
    if (!options.any_owner && opening.status.owner != os::effective_user())
        return errc::wrong_owner;
    if (opening.header_error)
        return opening.header_error;
    segment_identity const& identity = opening.header.identity;
    if (!options.any_owner && identity.owner != opening.status.owner)
        return errc::wrong_owner; // copied or given away; or the creator is in another user namespace
    return options.maximum_size > identity.maximum_size ? make_error_code(errc::larger_maximum) : error_code();
}

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

// The file may have been cut since its header was read: the mapped bytes are touched only after this.
error_code check_mapping(attachment::implementation const& in)
{
    auto const header = read_header_of(*in.file);
    if (!header)
        return header.error();
    bool const same = header->identity.crc == in.identity.crc &&
                      std::equal(in.identity.creation_id, in.identity.creation_id + 2, header->identity.creation_id);
    return same ? error_code() : make_error_code(errc::corrupted);
}

error_code check_admission(attachment::implementation& in)
{
    std::uint32_t alive = 0;
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        if (!is_attached(in.row(index).state.load(std::memory_order_acquire))) // R1
            continue;
        auto const held = in.byte_is_held(index);
        if (!held)
            return held.error();
        alive += *held ? 1u : 0u;
    }
    auto& status = in.header().status;
    if (alive == 0)
    {
        status.fetch_and(~std::uint32_t{status_close_requested}, std::memory_order_relaxed); // all did leave
        ATRIUM_CRASH_POINT("segment.join.reopened");
    }
    else if ((status.load(std::memory_order_relaxed) & status_close_requested) != 0)
        return errc::closing;
    if (in.identity.holders_limit != 0 && alive >= in.identity.holders_limit)
        return errc::too_many_holders;
    return {};
}

error_code validate_parts(attachment const& handle)
{
    for (part const& p : all_parts())
    {
        if (p.validate == nullptr || !handle.area_of(p.id))
            continue;
        if (error_code const error = p.validate(handle))
            return error;
    }
    return {};
}

void attach_parts(attachment& handle)
{
    for (part const& p : all_parts())
    {
        if (p.attach != nullptr && handle.area_of(p.id))
            handle.insides().local_states.at(static_cast<std::size_t>(p.id)) = p.attach(handle);
    }
}

// Runs under the life-cycle lock and the registry: a handle that comes to nothing is unpublished, and goes quietly.
result<std::shared_ptr<attachment>> join(std::string const& file_name, locked_file const& opening,
                                         segment_options const& options)
{
    auto in = map_file(opening.file, opening.status, opening.header.identity, true);
    if (!in)
        return in.error();
    if (error_code const error = check_mapping(**in))
        return error;
    if (error_code const error = check_admission(**in))
        return error;
    auto handle = attachment_access::make(std::move(*in));
    if (error_code const error = validate_parts(*handle))
        return error;

    auto& insides = handle->insides();
    auto  claimed = claim_row(insides, false);
    if (!claimed && claimed.error() == errc::too_many_participants)
        claimed = claim_row(insides, true); // nobody is behind these rows: we take one, and recover it first
    if (!claimed)
        return claimed.error();
    insides.former.store(claimed->former.word(), std::memory_order_relaxed);
    insides.file_name = file_name;
    attachment_access::set_self(*handle, claimed->self);
    attach_parts(*handle);
    insides.published = true; // nothing fails from here on; before, the row is found dead
    if (options.prefault)
        os::prefault(handle->base(), handle->committed());
    return handle;
}

// Rows that are guarded by a recoverer are neither free nor to be had.
bool is_being_recovered(locked_file const& opening) noexcept
{
    auto const busy = os::is_locked_by_other(*opening.file, recovery_byte, 1);
    return busy && *busy;
}

// Traces of the dead are removed by whoever comes next; a row that was taken over must be clean before it is used.
error_code recover_after_join(attachment& handle, deadline until)
{
    // Relaxed: another thread that recovers for this row at the moment is waited for in recover().
    if (handle.insides().former.load(std::memory_order_relaxed) == 0)
    {
        handle.tend();
        return {};
    }
    auto const recovered = handle.recover(until);
    return recovered ? error_code() : recovered.error();
}

// ---- creating ----------------------------------------------------------------------------------------------------

void construct_tables(attachment::implementation& in)
{
    auto* const header = new (in.mapping.data()) segment_header;
    header->identity   = in.identity;
    header->committed.store(in.identity.initial_size, std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
        new (&in.row(index)) participant_row;
    for (std::uint32_t index = 0; index < in.identity.lanes; ++index)
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
    attach_parts(*handle);
    if (options.prefault)
        os::prefault(handle->base(), handle->committed());
    ATRIUM_CRASH_POINT("segment.create.before_publish");
    if (error_code const error = os::publish(*file, file_name))
        return error;
    handle->insides().published = true;
    ATRIUM_CRASH_POINT("segment.create.published");
    return handle;
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
    if (error_code const error = os::commit(*file, 0, identity->initial_size))
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

error_code remove_locked(std::string const& file_name, locked_file const& opening)
{
    // Whoever removes this file's name holds this lock: between the look and the unlink the name cannot change hands.
    auto const named = os::status_of_name(file_name);
    if (!named || !named->same_file(opening.status))
        return errc::not_found;
    ATRIUM_CRASH_POINT("segment.remove.before_unlink");
    error_code const error = os::remove_name(file_name);
    ATRIUM_CRASH_POINT("segment.remove.after_unlink");
    return error;
}

// A pipe, a link or the like that somebody has put under the name.
error_code remove_irregular(std::string const& file_name)
{
    auto const named = os::status_of_name(file_name);
    if (!named)
        return named.error();
    return named->regular ? make_error_code(errc::not_a_segment) : os::remove_name(file_name);
}

// Others' names in /dev/shm cannot be removed; seen before anything is changed.
bool may_remove(locked_file const& opening) noexcept
{
    return os::effective_user() == 0 || os::effective_user() == opening.status.owner;
}

// Whoever removes by force marks first: one who dies in between leaves a name that the next to open it removes.
bool is_retired(locked_file const& opening) noexcept
{
    return !opening.header_error && (opening.header.status & status_retired) != 0;
}

error_code mark_retired(locked_file const& opening)
{
    auto in = map_file(opening.file, opening.status, opening.header.identity, true);
    if (!in)
        return in.error();
    if (error_code const error = check_mapping(**in))
        return error;
    (*in)->header().status.fetch_or(status_retired, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.remove.retired");
    return {};
}

} // namespace

result<opened> open(std::string const& file_name, segment_options const& options)
{
    deadline const creator = options.open_timeout;
    deadline const until   = patience(options.open_timeout);
    for (;;)
    {
        auto opening = open_locked(file_name, until);
        if (!opening && opening.error() == errc::not_found && !creator.passed())
        {
            std::this_thread::sleep_for(1ms);
            continue;
        }
        if (!opening)
            return opening.error();
        if (error_code const error = check_opener(*opening, options))
            return error;
        ATRIUM_CRASH_POINT("segment.open.locked");
        if (is_retired(*opening))
        {
            if (error_code const error = remove_locked(file_name, *opening); error && error != errc::not_found)
                return errc::segment_retired;
            continue;
        }
        auto handle = find_or_attach(opening->status, !unshared_opening::active(),
                                     [&] { return join(file_name, *opening, options); });
        if (!handle && handle.error() == errc::too_many_participants && is_being_recovered(*opening))
        {
            // Rows of the dead become free in a moment; unless the process that recovers is stopped.
            if (until.passed())
                return errc::recovery_busy;
            opening->lock.release();
            std::this_thread::sleep_for(1ms);
            continue;
        }
        if (!handle)
            return handle.error();
        opening->lock.release();
        ATRIUM_CRASH_POINT("segment.open.joined");
        if (error_code const error = recover_after_join(**handle, until))
            return error;
        return opened{*handle, false};
    }
}

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

result<opened> open_for_reading(std::string const& file_name, segment_options const& options)
{
    deadline const creator = options.open_timeout;
    for (;;)
    {
        auto file = os::open_existing(file_name, false);
        if (!file && file.error() == errc::not_found && !creator.passed())
        {
            std::this_thread::sleep_for(1ms);
            continue;
        }
        if (!file)
            return file.error();
        locked_file opening; // without the lock: a reader changes nothing that others must agree on
        opening.file = std::make_shared<os::file>(std::move(*file));
        if (auto status = os::status_of(*opening.file); !status || !status->regular)
            return status ? make_error_code(errc::not_a_segment) : status.error();
        else
            opening.status = *status;
        if (auto header = read_header_of(*opening.file))
            opening.header = *header;
        else
            opening.header_error = header.error();
        if (error_code const error = check_opener(opening, options))
            return error;

        auto handle = find_or_attach(opening.status, false, [&]() -> result<std::shared_ptr<attachment>> {
            auto in = map_file(opening.file, opening.status, opening.header.identity, false);
            if (!in)
                return in.error();
            if (error_code const error = check_mapping(**in))
                return error;
            auto made = attachment_access::make(std::move(*in));
            if (error_code const error = validate_parts(*made))
                return error;
            made->insides().published = true;
            attach_parts(*made);
            return made;
        });
        if (!handle)
            return handle.error();
        return opened{*handle, false};
    }
}

error_code remove(std::string const& file_name, bool force)
{
    auto opening = open_locked(file_name, patience(0ms));
    if (!opening && opening.error() == errc::not_a_segment && force)
        return remove_irregular(file_name);
    if (!opening)
        return opening.error();
    if (!force && opening->header_error)
        return opening->header_error;
    if (!may_remove(*opening))
        return errc::permission_denied;
    auto const alive = anybody_alive(*opening->file);
    if (!alive)
        return alive.error();
    if (*alive && !force && !is_retired(*opening))
        return errc::segment_in_use;
    if (*alive && !opening->header_error)
    {
        if (error_code const error = mark_retired(*opening))
            return error;
    }
    return remove_locked(file_name, *opening);
}

error_code remove_abandoned(std::string const& file_name, bool kept)
{
    auto opening = open_locked(file_name, patience(0ms));
    if (!opening)
        return opening.error() == errc::not_found ? error_code() : opening.error();
    if (opening->header_error)
        return opening->header_error;
    if (!may_remove(*opening))
        return errc::wrong_owner;
    auto const alive = anybody_alive(*opening->file);
    if (!alive)
        return alive.error();
    bool const spared = !kept && (opening->header.identity.flags & flag_keep) != 0;
    if ((*alive || spared) && !is_retired(*opening))
        return errc::segment_in_use;
    error_code const error = remove_locked(file_name, *opening);
    return error == errc::not_found ? error_code() : error;
}

unshared_opening::unshared_opening() noexcept
{
    ++unshared_openings;
}

unshared_opening::~unshared_opening()
{
    --unshared_openings;
}

bool unshared_opening::active() noexcept
{
    return unshared_openings != 0;
}

} // namespace atrium::detail
