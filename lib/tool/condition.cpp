#include "tool/condition.hpp"

#include "tool/failure.hpp"
#include "tool/text.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace atrium::tool {

condition condition_of(segment_summary const& summary) noexcept
{
    if (summary.error == errc::permission_denied)
        return condition::hidden;
    if (summary.error)
        return condition::unusable;
    if (summary.retired)
        return condition::retired;
    if (summary.alive != 0)
        return condition::in_use;
    return summary.kept ? condition::kept : condition::abandoned;
}

std::string_view to_string(condition of) noexcept
{
    switch (of)
    {
    case condition::in_use:
        return "in_use";
    case condition::kept:
        return "kept";
    case condition::abandoned:
        return "abandoned";
    case condition::retired:
        return "retired";
    case condition::hidden:
        return "hidden";
    case condition::unusable:
        return "unusable";
    }
    return "unknown";
}

std::string shown(condition of)
{
    std::string text(to_string(of));
    std::replace(text.begin(), text.end(), '_', ' ');
    return text;
}

bool wants_attention(segment_summary const& summary) noexcept
{
    condition const is = condition_of(summary);
    return summary.dead != 0 || is == condition::abandoned || is == condition::retired || is == condition::unusable;
}

std::string notes_of(segment_summary const& summary)
{
    if (summary.error)
        return summary.error.message();
    std::string notes;
    auto const  add = [&](bool holds, char const* note) {
        if (holds)
            notes += (notes.empty() ? "" : ", ") + std::string(note);
    };
    add(summary.kept, "kept");
    add(summary.flat, "flat");
    add(summary.close_requested, "closing");
    add(summary.retired, "removed by force");
    return notes;
}

boost::json::object to_json(segment_summary const& summary)
{
    boost::json::object all{
        {"domain", summary.domain},
        {"name", summary.name},
        {"path", path_of(summary)},
        {"condition", to_string(condition_of(summary))},
        {"alive", summary.alive},
        {"dead", summary.dead},
        {"places", summary.places},
        {"holders_limit", summary.holders_limit},
        {"size", summary.size},
        {"maximum_size", summary.maximum_size},
        {"touched", summary.touched},
        {"owner", summary.owner},
        {"owner_name", user_name(summary.owner)},
        {"permissions", permission_text(summary.permissions)},
        {"kept", summary.kept},
        {"flat", summary.flat},
        {"close_requested", summary.close_requested},
        {"retired", summary.retired},
        {"error", nullptr},
    };
    if (summary.error)
        all["error"] = to_json(summary.error);
    return all;
}

boost::json::object to_json(error_code error, std::string_view message)
{
    return {{"code", error_name(error)}, {"message", message.empty() ? error.message() : std::string(message)}};
}

} // namespace atrium::tool
