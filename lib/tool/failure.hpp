/// \file
/// What ends a command early: what failed, why, and what to do about it.
#pragma once

#include "tool/exit_code.hpp"

#include <atrium/base/error.hpp>
#include <atrium/segment/list.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace atrium::tool {

/// Thrown by commands; told to the user by main().
class failure : public std::runtime_error
{
public:
    failure(exit_code status, std::string const& what, std::string advice = {}, error_code code = {})
        : std::runtime_error(what), status_(status), advice_(std::move(advice)), code_(code)
    {}

    [[nodiscard]] exit_code          status() const noexcept { return status_; }
    [[nodiscard]] std::string const& advice() const noexcept { return advice_; } ///< what the user may do; may be empty
    [[nodiscard]] error_code         code() const noexcept { return code_; }

private:
    exit_code   status_;
    std::string advice_;
    error_code  code_;
};

/// The name of an error in JSON: the enumerator of `errc`, or the number of a system's error.
[[nodiscard]] std::string error_name(error_code code);

/// What a user may do about an error that has to do with a segment; empty where there is nothing to say.
[[nodiscard]] std::string advice_for(error_code code, segment_summary const& about);

/// The failure of doing something (`"show"`) with a segment.
[[nodiscard]] failure failed_to(std::string_view verb, segment_summary const& about, error_code code);

/// The failure of naming a domain or a segment so.
[[nodiscard]] failure bad_domain(std::string_view domain);
[[nodiscard]] failure bad_name(std::string_view name);

/// One segment, or a failure that says where else the name is known.
/// \param domain  empty: the default domain
[[nodiscard]] segment_summary find_segment(std::string_view name, std::string_view domain);

} // namespace atrium::tool
