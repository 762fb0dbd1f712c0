/// \file
/// Routers and pipes in JSON and in words: the same in all commands.
#pragma once

#include <atrium/pipe/routers.hpp>

#include <boost/json/object.hpp>

#include <ostream>
#include <string>
#include <vector>

namespace atrium::tool {

[[nodiscard]] boost::json::object to_json(pipe_info const& pipe);
[[nodiscard]] boost::json::object to_json(router_info const& router); ///< with its pipes

/// `wait 64`: what a sender meets when so many are in the pipe.
[[nodiscard]] std::string when_full_text(pipe_info const& pipe);

/// How long the oldest reference has waited; empty where there is none.
[[nodiscard]] std::string oldest_text(pipe_info const& pipe);

/// What is special about it: `damaged`, `closed`; empty where nothing is.
[[nodiscard]] std::string state_text(router_info const& router);

/// The section of `show`.
void print_routers(std::ostream& to, std::vector<router_info> const& routers);

/// One line for each router that is damaged.
[[nodiscard]] std::vector<std::string> problems_of(std::vector<router_info> const& routers);

} // namespace atrium::tool
