#include <atrium/segment/list.hpp>

#include "os/file.hpp"
#include "segment/file_access.hpp"
#include "segment/implementation.hpp"
#include "segment/layout.hpp"
#include "segment/removing.hpp"

#include <atrium/base/name.hpp>
#include <atrium/segment/segment.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>
#include <vector>

namespace atrium {

namespace {

struct participants_found
{
    std::vector<participant_id> dead;
    std::uint32_t               alive = 0;
};

// Asks for each row that is attached; rows are read, not mapped, so that no bad file can harm.
result<participants_found> find_participants(os::file const& file, detail::segment_identity const& identity)
{
    participants_found     found;
    std::vector<std::byte> rows(std::size_t{identity.participants} * sizeof(detail::participant_row));
    auto const             read = os::read_at(file, identity.participants_offset, rows);
    if (!read)
        return read.error();
    for (std::uint32_t index = 0; index < identity.participants; ++index)
    {
        std::uint64_t     word   = 0;
        std::uint64_t     former = 0;
        std::size_t const at     = index * sizeof(detail::participant_row);
        if (at + sizeof(detail::participant_row) > *read)
            return errc::too_short;
        std::memcpy(&word, rows.data() + at + offsetof(detail::participant_row, state), sizeof(word));
        std::memcpy(&former, rows.data() + at + offsetof(detail::participant_row, former), sizeof(former));
        if (!detail::is_attached(word))
            continue;
        participant_id const id(index, word >> 1);
        if (detail::is_former(former, id)) // its byte may be a newcomer's
        {
            found.dead.push_back(id);
            continue;
        }
        auto const held = os::is_locked_by_other(file, detail::participant_byte(index), 1);
        if (!held)
            return held.error();
        if (*held)
            ++found.alive;
        else
            found.dead.push_back(id);
    }
    return found;
}

error_code look_at(std::string const& file_name, segment_summary& summary)
{
    auto const named = os::status_of_name(file_name);
    if (!named)
        return named.error();
    summary.size        = named->size;
    summary.touched     = named->allocated;
    summary.owner       = named->owner;
    summary.permissions = named->mode & 0777u;
    if (!named->regular)
        return errc::not_a_segment;
    auto const file = os::open_existing(file_name, false);
    if (!file)
        return file.error();
    auto const header = detail::read_header_of(*file);
    if (!header)
        return header.error();
    summary.size            = header->committed - detail::sparse_bytes(header->identity).size;
    summary.maximum_size    = detail::usable_maximum(header->identity);
    summary.kept            = (header->identity.flags & detail::flag_keep) != 0;
    summary.flat            = (header->identity.flags & detail::flag_flat) != 0;
    summary.close_requested = (header->status & detail::status_close_requested) != 0;
    summary.retired         = (header->status & detail::status_retired) != 0;
    summary.places          = header->identity.participants;
    summary.holders_limit   = header->identity.holders_limit;
    auto const found        = find_participants(*file, header->identity);
    if (!found)
        return found.error();
    summary.alive = found->alive;
    summary.dead  = static_cast<std::uint32_t>(found->dead.size());
    return {};
}

// The dead, if joining has to take the place of one of them.
std::vector<participant_id> dead_in_full(os::file const& file)
{
    auto const header = detail::read_header_of(file);
    if (!header)
        return {};
    auto found = find_participants(file, header->identity);
    if (!found || found->alive + found->dead.size() < header->identity.participants)
        return {};
    return std::move(found->dead);
}

// What lies there is no file at all: a pipe, a link, a socket.
error_code remove_irregular(std::string const& file_name)
{
    auto const named = os::status_of_name(file_name);
    if (!named)
        return named.error();
    return named->regular ? make_error_code(errc::segment_in_use) : os::remove_name(file_name);
}

error_code remove_unusable(std::string const& file_name)
{
    using namespace std::chrono_literals;
    auto const opening = detail::open_locked(file_name, detail::patience(0ms));
    if (!opening)
        return opening.error() == errc::not_a_segment ? remove_irregular(file_name) : opening.error();
    auto const alive = detail::anybody_alive(*opening->file);
    if (!alive)
        return alive.error();
    if (!opening->header_error || *alive)
        return errc::segment_in_use;
    auto const named = os::status_of_name(file_name);
    if (!named || !named->same_file(opening->status))
        return errc::not_found;
    return os::remove_name(file_name);
}

} // namespace

std::vector<segment_summary> list_segments(std::string_view domain)
{
    std::vector<segment_summary> all;
    std::string const            start = detail::file_name_prefix({});
    for (std::string const& file : os::list_names(detail::file_name_prefix(domain)))
    {
        std::size_t const dot = file.find('.', start.size());
        if (dot == std::string::npos)
            continue;
        segment_summary summary;
        summary.file   = file;
        summary.domain = file.substr(start.size(), dot - start.size());
        summary.name   = file.substr(dot + 1);
        if (!check_domain(summary.domain) || !check_name(summary.name))
            continue;
        summary.error = look_at(file, summary);
        if (summary.error != errc::not_found) // gone while we looked
            all.push_back(std::move(summary));
    }
    return all;
}

result<segment_summary> summarize_segment(std::string_view name, std::string_view domain)
{
    auto const file = detail::file_name(name, domain);
    if (!file)
        return file.error();
    segment_summary summary;
    summary.file   = *file;
    summary.domain = domain.empty() ? default_domain() : std::string(domain);
    summary.name   = name;
    summary.error  = look_at(*file, summary);
    if (summary.error == errc::not_found)
        return errc::not_found;
    return summary;
}

result<recovery_report> recover_segment(std::string_view name, std::string_view domain, deadline until, bool any_owner)
{
    auto const file = detail::file_name(name, domain);
    if (!file)
        return file.error();
    auto guard = os::open_existing(*file, true);
    if (!guard)
        return guard.error();
    auto const taken_over = dead_in_full(*guard);
    try
    {
        // Joining recovers, and keeps the report to itself. While we hold the recovery byte it leaves that to us;
        // unless it has to take a place of the dead, which must be recovered first.
        if (taken_over.empty())
            static_cast<void>(os::try_lock(*guard, detail::recovery_byte));
        segment in(open_only, name, {.any_owner = any_owner, .domain = std::string(domain)});
        guard->close();
        auto report = in.recover(until);
        if (report)
            std::copy_if(taken_over.begin(), taken_over.end(), std::back_inserter(report->dead),
                         [&](participant_id id) { return in.attached()->has_left(id); });
        return report;
    }
    catch (system_error const& e)
    {
        return e.code();
    }
}

result<> remove_unusable_file(std::string_view name, std::string_view domain)
{
    auto const file = detail::file_name(name, domain);
    if (!file)
        return file.error();
    if (error_code const error = remove_unusable(*file))
        return error;
    return {};
}

result<> remove_abandoned_segment(std::string_view name, std::string_view domain, bool kept)
{
    auto const file = detail::file_name(name, domain);
    if (!file)
        return file.error();
    if (!os::status_of_name(*file))
        return errc::not_found;
    if (error_code const error = detail::remove_abandoned(*file, kept))
        return error;
    return {};
}

} // namespace atrium
