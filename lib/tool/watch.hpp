/// \file
/// Segments looked at again and again.
#pragma once

#include "tool/rates.hpp"

#include <atrium/pipe/routers.hpp>
#include <atrium/segment/list.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace atrium::tool {

/// A router, and how fast each of its pipes is, in their order.
struct watched_router
{
    router_info        info;
    std::vector<rates> per_second;
};

struct watched_segment
{
    segment_summary             summary;
    std::vector<watched_router> routers;
};

/// All that was seen at one moment, more or less.
struct watched
{
    std::vector<watched_segment> segments; ///< that have a heap, and can be looked into
    std::vector<std::string>     problems; ///< what could not be told
};

/// Looks at segments, which may come and go, and remembers what pipes had counted.
class watch
{
public:
    /// \param names  empty: all there are \param domain  empty: with names the default domain, else all
    watch(std::vector<std::string> names, std::string domain);

    /// Throws `failure` where one of the names is not that of a segment with a heap that can be looked into.
    void require_all() const;

    [[nodiscard]] watched look();

private:
    // Another pipe never has the same, unless the router is another one too.
    using pipe_key = std::tuple<std::array<std::uint64_t, 2>, std::string, std::uint32_t, std::uint64_t>;
    struct moment
    {
        std::chrono::steady_clock::time_point when;
        pipe_info                             info;
    };
    using memory = std::map<pipe_key, moment>;

    [[nodiscard]] std::vector<segment_summary> segments() const;
    void look_into(segment_summary const& summary, watched& seen, memory& now) const;

    std::vector<std::string> names_;
    std::string              domain_;
    memory                   before_;
};

} // namespace atrium::tool
