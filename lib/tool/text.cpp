#include "tool/text.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <fstream>

namespace atrium::tool {

namespace {

template <class... Args> std::string formatted(char const* format, Args... args)
{
    std::array<char, 64> text = {};
    std::snprintf(text.data(), text.size(), format, args...);
    return text.data();
}

// `1.5 MiB`, `12 MiB`, `512 MiB`: three digits tell enough.
std::string scaled(double value, char const* unit)
{
    return formatted(value < 9.95 && value != static_cast<double>(static_cast<int>(value)) ? "%.1f %s" : "%.0f %s",
                     value, unit);
}

constexpr std::uint64_t nanoseconds_per_second = 1'000'000'000;
constexpr std::uint64_t last_second            = 253'402'300'799; // of the year 9999

std::string calendar(std::uint64_t nanoseconds, bool utc, char const* format)
{
    auto const           seconds = static_cast<std::time_t>(nanoseconds / nanoseconds_per_second);
    std::tm              parts   = {};
    std::array<char, 64> text    = {};
    std::tm const* const broken  = utc ? ::gmtime_r(&seconds, &parts) : ::localtime_r(&seconds, &parts);
    if (broken == nullptr || std::strftime(text.data(), text.size(), format, broken) == 0)
        return {};
    return text.data();
}

// `2 min ago`, in whole units.
std::string age_text(std::chrono::seconds age)
{
    using namespace std::chrono_literals;
    if (age < 0s)
        return "in the future";
    if (age < 2min)
        return std::to_string(age.count()) + " s ago";
    if (age < 2h)
        return std::to_string(age / 1min) + " min ago";
    return age < 48h ? std::to_string(age / 1h) + " h ago" : std::to_string(age / 24h) + " days ago";
}

bool can_be_true(std::uint64_t nanoseconds) noexcept
{
    return nanoseconds != 0 && nanoseconds / nanoseconds_per_second <= last_second;
}

} // namespace

std::string printable(std::string_view text)
{
    std::string shown;
    for (char const c : text)
    {
        if (c >= ' ' && c <= '~')
            shown += c;
        else
            shown += formatted("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    return shown;
}

std::string size_text(std::uint64_t bytes)
{
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto                 value = static_cast<double>(bytes);
    std::size_t          unit  = 0;
    for (; value >= 1023.5 && unit + 1 < units.size(); ++unit)
        value /= 1024;
    return scaled(value, units[unit]);
}

std::string duration_text(std::chrono::nanoseconds duration)
{
    auto const value = static_cast<double>(duration.count());
    if (value < 999.5)
        return scaled(value, "ns");
    if (value < 999.5e3)
        return scaled(value / 1e3, "us");
    return value < 999.5e6 ? scaled(value / 1e6, "ms") : scaled(value / 1e9, "s");
}

std::string moment_text(std::uint64_t nanoseconds)
{
    if (!can_be_true(nanoseconds))
        return "unknown";
    auto const now = std::chrono::system_clock::now().time_since_epoch();
    // Whole seconds: nanoseconds of the year 9999 do not fit.
    auto const then = std::chrono::seconds(nanoseconds / nanoseconds_per_second);
    auto const age  = std::chrono::duration_cast<std::chrono::seconds>(now) - then;
    return calendar(nanoseconds, false, "%Y-%m-%d %H:%M:%S") + " (" + age_text(age) + ")";
}

std::string moment_iso(std::uint64_t nanoseconds)
{
    if (!can_be_true(nanoseconds))
        return {};
    auto const microseconds = static_cast<unsigned>(nanoseconds % nanoseconds_per_second / 1000);
    return calendar(nanoseconds, true, "%Y-%m-%dT%H:%M:%S") + formatted(".%06uZ", microseconds);
}

std::string clock_text(std::uint64_t nanoseconds)
{
    return calendar(nanoseconds, false, "%H:%M:%S");
}

std::string permission_text(std::uint32_t permissions)
{
    return formatted("%04o", permissions);
}

std::string user_name(std::uint32_t id)
{
    std::ifstream     users("/etc/passwd"); // name:password:id:...
    std::string const wanted = std::to_string(id);
    for (std::string line; std::getline(users, line);)
    {
        std::size_t const first  = line.find(':');
        std::size_t const second = first == std::string::npos ? first : line.find(':', first + 1);
        std::size_t const third  = second == std::string::npos ? second : line.find(':', second + 1);
        if (third != std::string::npos && line.compare(second + 1, third - second - 1, wanted) == 0)
            return printable(line.substr(0, first));
    }
    return "user " + wanted;
}

std::string counted(std::uint64_t number, std::string_view thing)
{
    return std::to_string(number) + " " + std::string(thing) + (number == 1 ? "" : "s");
}

std::string path_of(segment_summary const& summary)
{
    return "/dev/shm/" + summary.file;
}

} // namespace atrium::tool
