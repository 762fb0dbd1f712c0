#include "tool/watch.hpp"

#include "tool/failure.hpp"
#include "tool/routers.hpp"

#include <atrium/base/name.hpp>
#include <atrium/segment/segment.hpp>

#include <utility>

namespace atrium::tool {

namespace {

std::string problem_of(segment_summary const& summary, std::string const& what)
{
    return std::string("segment '").append(summary.name).append("' of domain '").append(summary.domain).append("': ") +
           what;
}

} // namespace

watch::watch(std::vector<std::string> names, std::string domain) : names_(std::move(names)), domain_(std::move(domain))
{
    if (!names_.empty() && domain_.empty())
        domain_ = default_domain();
}

void watch::require_all() const
{
    for (std::string const& name : names_)
    {
        segment_summary const found = find_segment(name, domain_);
        error_code const      error = found.error || !found.flat ? found.error : make_error_code(errc::flat_segment);
        if (error)
            throw failed_to("watch", found, error);
    }
}

std::vector<segment_summary> watch::segments() const
{
    if (names_.empty())
        return list_segments(domain_);
    std::vector<segment_summary> all;
    for (std::string const& name : names_)
    {
        if (auto found = summarize_segment(name, domain_)) // else it is gone, and may come again
            all.push_back(std::move(*found));
    }
    return all;
}

watched watch::look()
{
    watched seen;
    memory  now;
    for (segment_summary const& summary : segments())
    {
        if (summary.error && !names_.empty()) // of all there are, `list` tells it
            seen.problems.push_back(problem_of(summary, summary.error.message()));
        if (summary.error || summary.flat)
            continue;
        try
        {
            look_into(summary, seen, now);
        }
        catch (system_error const& e)
        {
            if (e.code() != errc::not_found) // gone since it was found
                seen.problems.push_back(problem_of(summary, e.code().message()));
        }
    }
    before_ = std::move(now);
    return seen;
}

// Attached for no longer than this: what has lost its name meanwhile does not stay because of us.
void watch::look_into(segment_summary const& summary, watched& seen, memory& now) const
{
    segment const in(open_read_only, summary.name, {.any_owner = true, .domain = summary.domain});
    auto          found = routers(in);
    auto const    when  = std::chrono::steady_clock::now();
    if (!found)
        throw system_error(found.error());
    for (std::string const& problem : problems_of(*found))
        seen.problems.push_back(problem_of(summary, problem));
    watched_segment all{summary, {}};
    for (router_info& info : *found)
    {
        watched_router router;
        for (pipe_info const& pipe : info.pipes)
        {
            pipe_key const key{in.creation_id(), info.name, pipe.number, pipe.generation};
            auto const     known = before_.find(key);
            router.per_second.push_back(
                known == before_.end() ? rates() : rates_between(known->second.info, pipe, when - known->second.when));
            now.insert_or_assign(key, moment{when, pipe});
        }
        router.info = std::move(info);
        all.routers.push_back(std::move(router));
    }
    seen.segments.push_back(std::move(all));
}

} // namespace atrium::tool
