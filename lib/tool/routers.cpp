#include "tool/routers.hpp"

#include "tool/table.hpp"
#include "tool/text.hpp"

#include <boost/json/array.hpp>

#include <algorithm>

namespace atrium::tool {

namespace {

// For programs: `drop_oldest`.
std::string key(std::string_view words)
{
    std::string text(words);
    std::replace(text.begin(), text.end(), ' ', '_');
    return text;
}

void print_pipes(std::ostream& to, std::vector<router_info> const& routers)
{
    table all({{"ROUTER"},
               {"PIPE"},
               {"STATE"},
               {"WHEN FULL"},
               {"HOLDERS", true},
               {"SENDERS", true},
               {"DEPTH", true},
               {"SENT", true},
               {"RECEIVED", true},
               {"DROPPED", true},
               {"REFUSED", true},
               {"OLDEST", true},
               {"SPINS", true},
               {"SLEEPS", true}});
    for (router_info const& r : routers)
    {
        for (pipe_info const& p : r.pipes)
            all.add({printable(r.name), printable(p.name), std::string(to_string(p.state)), when_full_text(p),
                     std::to_string(p.holders), std::to_string(p.senders), std::to_string(p.depth),
                     std::to_string(p.sent), std::to_string(p.received), std::to_string(p.dropped),
                     std::to_string(p.refused), oldest_text(p), std::to_string(p.spins), std::to_string(p.sleeps)});
    }
    if (all.empty())
        return;
    to << "\nPipes\n";
    all.print(to, 2);
}

} // namespace

boost::json::object to_json(pipe_info const& pipe)
{
    return {{"number", pipe.number},
            {"name", printable(pipe.name)},
            {"state", to_string(pipe.state)},
            {"when_full", key(to_string(pipe.when_full))},
            {"capacity", pipe.capacity},
            {"holders", pipe.holders},
            {"senders", pipe.senders},
            {"depth", pipe.depth},
            {"sent", pipe.sent},
            {"received", pipe.received},
            {"dropped", pipe.dropped},
            {"refused", pipe.refused},
            {"oldest", pipe.oldest.count()},
            {"spins", pipe.spins},
            {"sleeps", pipe.sleeps}};
}

boost::json::object to_json(router_info const& router)
{
    boost::json::array pipes;
    for (pipe_info const& p : router.pipes)
        pipes.push_back(to_json(p));
    return {{"name", printable(router.name)}, {"type", printable(router.type)}, {"holders", router.holders},
            {"damaged", router.damaged},      {"closed", router.closed},        {"room", router.room},
            {"senders", router.senders},      {"history", router.history},      {"pipes", std::move(pipes)}};
}

std::string when_full_text(pipe_info const& pipe)
{
    return std::string(to_string(pipe.when_full)).append(" ").append(std::to_string(pipe.capacity));
}

std::string oldest_text(pipe_info const& pipe)
{
    return pipe.oldest.count() == 0 ? "" : duration_text(pipe.oldest);
}

std::string state_text(router_info const& router)
{
    return router.damaged ? "damaged" : router.closed ? "closed" : "";
}

void print_routers(std::ostream& to, std::vector<router_info> const& routers)
{
    to << "\nRouters: " << (routers.empty() ? "none" : std::to_string(routers.size())) << '\n';
    if (routers.empty())
        return;
    table all(
        {{"NAME"}, {"STATE"}, {"HOLDERS", true}, {"SENDERS", true}, {"PIPES", true}, {"HISTORY", true}, {"TYPE"}});
    for (router_info const& r : routers)
    {
        std::string const state = state_text(r);
        all.add({printable(r.name), state.empty() ? "open" : state, std::to_string(r.holders),
                 std::to_string(r.senders), std::to_string(r.pipes.size()) + " of " + std::to_string(r.room),
                 std::to_string(r.history), printable(r.type)});
    }
    all.print(to, 2);
    print_pipes(to, routers);
}

std::vector<std::string> problems_of(std::vector<router_info> const& routers)
{
    std::vector<std::string> problems;
    for (router_info const& r : routers)
    {
        if (r.damaged)
            problems.push_back(
                std::string("router '").append(printable(r.name)).append("': its bytes contradict themselves"));
    }
    return problems;
}

} // namespace atrium::tool
