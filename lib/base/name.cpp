#include <atrium/base/name.hpp>

#include <algorithm>
#include <cstdlib>

namespace atrium {

namespace {

// Not std::isalnum: names mean the same whatever the locale is.
bool is_plain(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

} // namespace

result<> check_name(std::string_view name) noexcept
{
    bool const valid = !name.empty() && name.size() <= max_name_length && name.front() != '.' &&
                       std::all_of(name.begin(), name.end(), [](char c) { return is_plain(c) || c == '.'; });
    return valid ? result<>() : errc::name_invalid;
}

result<> check_domain(std::string_view domain) noexcept
{
    bool const valid =
        !domain.empty() && domain.size() <= max_domain_length && std::all_of(domain.begin(), domain.end(), is_plain);
    return valid ? result<>() : errc::name_invalid;
}

std::string default_domain()
{
    char const* const value = std::getenv("ATRIUM_DOMAIN");
    return value != nullptr && *value != '\0' ? value : "default";
}

} // namespace atrium
