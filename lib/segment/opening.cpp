#include "segment/opening.hpp"

#include "os/process.hpp"
#include "segment/attachment_access.hpp"
#include "segment/registry.hpp"
#include "segment/removing.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <chrono>
#include <thread>
#include <utility>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

thread_local int unshared_openings = 0;

error_code check_opener(locked_file const& opening, segment_options const& options)
{
    if (!options.any_owner && opening.status.owner != os::effective_user())
        return errc::wrong_owner;
    if (opening.header_error)
        return opening.header_error;
    segment_identity const& identity = opening.header.identity;
    if (!options.any_owner && identity.owner != opening.status.owner)
        return errc::wrong_owner; // copied or given away; or the creator is in another user namespace
    return options.maximum_size > usable_maximum(identity) ? make_error_code(errc::larger_maximum) : error_code();
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

struct claimed_row
{
    participant_id self;
    participant_id former; // the dead user of a row that was taken over
};

// The user of an attached row whose byte nobody holds is dead for good. That is noted before we hold the byte ourselves:
// else the dead one would be taken for alive for as long as we stand still. Returns false where he lives.
result<bool> note_if_dead(attachment::implementation& in, std::uint32_t index, std::uint64_t word)
{
    auto const held = in.byte_is_held(index);
    if (!held)
        return held;
    if (*held)
        return false;
    if (error_code const error = in.check_descriptor())
        return {boost::system::in_place_error, error}; // else "nobody holds it" was said of another file
    // Release T1, pairs with the acquires T1 in ask() and find_dead(): all that the dead one did was before. It
    // may also have left, or have been recovered for, since we looked: then the note is stale, as it says nothing of a
    // free row.
    in.row(index).former.store(participant_id(index, word >> 1).word(), std::memory_order_release);
    ATRIUM_CRASH_POINT("segment.join.noted");
    return true;
}

// The life-cycle lock is held: nobody else claims. A byte that is locked belongs to somebody alive, or to a recoverer.
result<claimed_row> claim_row(attachment::implementation& in, bool dead_ones_too)
{
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        participant_row&    row  = in.row(index);
        std::uint64_t const seen = row.state.load(std::memory_order_acquire); // R1
        if (!dead_ones_too && is_attached(seen))
            continue;
        ATRIUM_CRASH_POINT("segment.join.row_seen");
        if (is_attached(seen))
        {
            auto const dead = note_if_dead(in, index, seen);
            if (!dead)
                return dead.error();
            if (!*dead)
                continue;
        }
        auto const locked = os::try_lock(*in.file, participant_byte(index));
        if (!locked)
            return locked.error();
        if (!*locked)
            continue;
        // Only now: its user may have left, or have been recovered for, until we had the byte; then nobody is dead.
        std::uint64_t const now = row.state.load(std::memory_order_acquire); // R1
        claimed_row         claimed;
        if (is_attached(now))
            claimed.former = participant_id(index, now >> 1);
        ATRIUM_CRASH_POINT("segment.join.byte_locked");
        // T1. The first that is written to the row: a stale note must not be there when the row is attached. A right
        // one stays: somebody may have recovered for that user since.
        if (!is_former(row.former.load(std::memory_order_relaxed), claimed.former))
            row.former.store(claimed.former.word(), std::memory_order_release);
        ATRIUM_CRASH_POINT("segment.join.former_settled");
        // Relaxed: only the holder of the life-cycle lock draws a number.
        std::uint64_t const incarnation = in.header().next_incarnation.load(std::memory_order_relaxed);
        if (incarnation == 0 || incarnation > participant_id::last_incarnation)
            return errc::corrupted; // more than anybody can have joined
        in.header().next_incarnation.store(incarnation + 1, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("segment.join.incarnation_drawn");
        write_row(row, incarnation);
        claimed.self = participant_id(index, incarnation);
        return claimed;
    }
    return errc::too_many_participants;
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
    {
        ATRIUM_CRASH_POINT("segment.join.no_free_row");
        claimed = claim_row(insides, true); // nobody is behind these rows: we take one, and recover it first
    }
    if (!claimed)
    {
        ATRIUM_CRASH_POINT("segment.join.no_row");
        return claimed.error();
    }
    insides.former.store(claimed->former.word(), std::memory_order_relaxed);
    insides.file_name = file_name;
    attachment_access::set_self(*handle, claimed->self);
    if (error_code const error = attach_parts(*handle))
        return error;         // the row is found dead
    insides.published = true; // nothing fails from here on
    if (options.prefault)
        prefault_all(*handle);
    return handle;
}

// Every row has a living user. The life-cycle lock is held, so that nobody claims a row meanwhile: rows that are seen
// held one after the other were all held when the first was looked at. Recoverers do not need that lock: a row may have
// been guarded when we tried to claim it, and be free now.
bool is_full(locked_file const& opening) noexcept
{
    for (std::uint32_t index = 0; index < opening.header.identity.participants; ++index)
    {
        auto const held = os::is_locked_by_other(*opening.file, participant_byte(index), 1);
        if (held && !*held)
            return false;
    }
    return true;
}

// Traces of the dead are removed by whoever comes next; a row that was taken over must be clean before it is used. Other
// newcomers are not waited for.
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
        if (!handle && handle.error() == errc::too_many_participants && !is_full(*opening))
        {
            // There is one to be had now, or in a moment; unless the process that recovers is stopped.
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
            if (error_code const error = attach_parts(*made))
                return error;
            made->insides().published = true;
            return made;
        });
        if (!handle)
            return handle.error();
        return opened{*handle, false};
    }
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
