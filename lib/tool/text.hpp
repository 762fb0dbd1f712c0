/// \file
/// Numbers, times and foreign bytes, made fit to print.
#pragma once

#include <atrium/segment/list.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace atrium::tool {

/// What was read from shared memory, without anything that a terminal or a JSON parser might trip over: all but
/// printable ASCII becomes `\xNN`.
[[nodiscard]] std::string printable(std::string_view text);

/// `1.5 MiB`; exact below 1 KiB.
[[nodiscard]] std::string size_text(std::uint64_t bytes);

/// `1.2 ms`.
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);

/// A moment of the wall clock for people: local time, and how long ago. \param nanoseconds  since the epoch
[[nodiscard]] std::string moment_text(std::uint64_t nanoseconds);

/// The same for programs: UTC as in ISO 8601; empty where it is none that can be true.
[[nodiscard]] std::string moment_iso(std::uint64_t nanoseconds);

/// The time of the day, `14:03:59`, local.
[[nodiscard]] std::string clock_text(std::uint64_t nanoseconds);

/// `0600`.
[[nodiscard]] std::string permission_text(std::uint32_t permissions);

/// The user's name as /etc/passwd has it, else `user 1234`.
[[nodiscard]] std::string user_name(std::uint32_t id);

/// `1 segment`, `2 segments`.
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view thing);

/// Where a segment's file is.
[[nodiscard]] std::string path_of(segment_summary const& summary);

} // namespace atrium::tool
