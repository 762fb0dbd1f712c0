#include "tool/failure.hpp"

#include "tool/text.hpp"

#include <atrium/base/name.hpp>

#include <array>
#include <cstddef>

namespace atrium::tool {

namespace {

// In the order of the enumerators, the first of which is 1.
constexpr std::array names = {
    "invalid_argument",
    "name_invalid",
    "too_large",
    "already_exists",
    "not_found",
    "permission_denied",
    "wrong_owner",
    "not_a_segment",
    "too_short",
    "version_mismatch",
    "platform_mismatch",
    "corrupted",
    "larger_maximum",
    "segment_in_use",
    "segment_retired",
    "closing",
    "too_many_participants",
    "too_many_holders",
    "too_many_lanes",
    "flat_segment",
    "read_only",
    "out_of_memory",
    "not_owned",
    "directory_full",
    "type_mismatch",
    "under_construction",
    "too_many_owners",
    "exhausted",
    "expired",
    "too_many_references",
    "empty",
    "full",
    "closed",
    "no_receivers",
    "too_many_receivers",
    "too_many_senders",
    "timed_out",
    "owner_died",
    "peer_dead",
    "recovery_busy",
    "forked",
    "descriptor_lost",
    "system_failure",
};
static_assert(names.size() == static_cast<std::size_t>(errc::system_failure));

std::string elsewhere(std::string_view name)
{
    std::string domains;
    for (segment_summary const& s : list_segments())
    {
        if (s.name == name)
            domains += (domains.empty() ? "" : " or ") + ("--domain " + s.domain);
    }
    return domains;
}

// Appended bit by bit: g++ 12 takes a sum that begins with a literal for an overlapping copy, and warns.
std::string quoted(std::string_view text)
{
    std::string result = "'";
    result += printable(text);
    result += '\'';
    return result;
}

} // namespace

std::string error_name(error_code code)
{
    auto const index = static_cast<std::size_t>(code.value()) - 1;
    if (code.category() == category() && index < names.size())
        return names[index];
    return std::string(code.category().name()) + ':' + std::to_string(code.value());
}

std::string advice_for(error_code code, segment_summary const& about)
{
    if (code.category() != category())
        return {};
    switch (static_cast<errc>(code.value()))
    {
    case errc::permission_denied:
        return "It belongs to " + user_name(about.owner) + " (permissions " + permission_text(about.permissions) +
               "): try as that user, or as root.";
    case errc::wrong_owner:
        return "It belongs to " + user_name(about.owner) + ": --any-owner takes it all the same.";
    case errc::not_a_segment:
    case errc::too_short:
    case errc::corrupted:
        return "What lies at " + path_of(about) +
               " was not made by atrium, or is damaged; once you know that nobody needs it, `atrium clean --force` "
               "removes it.";
    case errc::version_mismatch:
        return "It was made by another version of atrium: use the tool of that version.";
    case errc::platform_mismatch:
        return "It was made by a program of another architecture: use a tool that was built for that one.";
    case errc::closing:
    case errc::segment_retired:
        return "Its users were asked to leave, or it was removed: try again once they are gone.";
    case errc::too_many_participants:
    case errc::too_many_holders:
        return "As many processes as it lets in use it: try again when one has left.";
    case errc::timed_out:
    case errc::recovery_busy:
        return "Another process is at it. If that goes on, the process may be stopped: `atrium show " + about.name +
               " --domain " + about.domain + "` says who takes part, `ps` who is stopped (T).";
    default:
        return {};
    }
}

failure failed_to(std::string_view verb, segment_summary const& about, error_code code)
{
    return {exit_code::failed,
            "cannot " + std::string(verb) + " segment '" + about.name + "' of domain '" + about.domain +
                "': " + code.message(),
            advice_for(code, about), code};
}

failure bad_domain(std::string_view domain)
{
    return {exit_code::usage, quoted(domain) + " cannot be a domain",
            "A domain is 1 to 31 letters, digits, '_' or '-'; it comes from --domain or ATRIUM_DOMAIN.",
            errc::name_invalid};
}

failure bad_name(std::string_view name)
{
    return {exit_code::usage, quoted(name) + " cannot be the name of a segment",
            "A name is 1 to 63 letters, digits, '_', '-' or '.', and does not begin with a dot.", errc::name_invalid};
}

segment_summary find_segment(std::string_view name, std::string_view domain)
{
    std::string const in    = domain.empty() ? default_domain() : std::string(domain);
    auto              found = summarize_segment(name, in);
    if (found)
        return std::move(*found);
    if (found.error() == errc::name_invalid)
        throw check_domain(in) ? bad_name(name) : bad_domain(in);
    if (found.error() != errc::not_found)
        throw failure(exit_code::failed, "cannot look for segment '" + std::string(name) + "'", {}, found.error());
    std::string const domains = elsewhere(name);
    throw failure(exit_code::not_found, "there is no segment '" + std::string(name) + "' in domain '" + in + "'",
                  domains.empty() ? "`atrium list` shows all there are." : "There is one with " + domains + ".",
                  errc::not_found);
}

} // namespace atrium::tool
