/// \file
/// What a segment is like, in a word, in notes and in JSON: the same in all commands.
#pragma once

#include <atrium/segment/list.hpp>

#include <boost/json/object.hpp>

#include <string>
#include <string_view>

namespace atrium::tool {

/// Who has a segment, in a word.
enum class condition
{
    in_use = 1, ///< somebody alive uses it
    kept,       ///< nobody alive uses it, and it was to be kept
    abandoned,  ///< nobody alive uses it, and it was not to be kept
    retired,    ///< removed by force, but the name is still there
    hidden,     ///< this user may not look into it
    unusable,   ///< no segment that this version can use
};

[[nodiscard]] condition        condition_of(segment_summary const& summary) noexcept;
[[nodiscard]] std::string_view to_string(condition of) noexcept; ///< for programs: `in_use`
[[nodiscard]] std::string      shown(condition of);              ///< for people: `in use`

/// Whether somebody should look at it: dead participants, or a file that nobody alive uses or can use.
[[nodiscard]] bool wants_attention(segment_summary const& summary) noexcept;

/// What is special about it, for people: `kept, flat`, or what is wrong with it.
[[nodiscard]] std::string notes_of(segment_summary const& summary);

/// All that is known; the keys are described in DESIGN.md.
[[nodiscard]] boost::json::object to_json(segment_summary const& summary);

/// Code and message; what `error` is in all documents.
[[nodiscard]] boost::json::object to_json(error_code error, std::string_view message = {});

} // namespace atrium::tool
