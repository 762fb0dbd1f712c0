#include "tool/command.hpp"
#include "tool/condition.hpp"
#include "tool/table.hpp"
#include "tool/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <iostream>
#include <vector>

namespace atrium::tool {

namespace {

std::string people(segment_summary const& summary, std::uint32_t number)
{
    return summary.error ? "-" : std::to_string(number);
}

void print(std::vector<segment_summary> const& segments, std::string const& domain)
{
    if (segments.empty())
    {
        std::cout << "There is no segment" << (domain.empty() ? "" : " in domain '" + domain + "'") << ".\n";
        return;
    }
    table all({{"DOMAIN"},
               {"NAME"},
               {"STATE"},
               {"ALIVE", true},
               {"DEAD", true},
               {"SIZE", true},
               {"MAXIMUM", true},
               {"TOUCHED", true},
               {"OWNER"},
               {"NOTES"}});
    for (segment_summary const& s : segments)
        all.add({s.domain, s.name, shown(condition_of(s)), people(s, s.alive), people(s, s.dead), size_text(s.size),
                 s.error ? "-" : size_text(s.maximum_size), size_text(s.touched), user_name(s.owner), notes_of(s)});
    all.print(std::cout);
}

exit_code run(request const& asked)
{
    auto const segments = list_segments(asked.domain);
    if (asked.json)
    {
        boost::json::array all;
        for (segment_summary const& s : segments)
            all.push_back(to_json(s));
        std::cout << boost::json::object{{"segments", std::move(all)}} << '\n';
    }
    else
        print(segments, asked.domain);
    return std::any_of(segments.begin(), segments.end(), wants_attention) ? exit_code::attention : exit_code::done;
}

} // namespace

command const list_command = {
    .name        = "list",
    .takes       = operands::none,
    .summary     = "all segments: sizes, participants, owners",
    .help        = "Shows all segments, and what else lies under names of segments. Takes part in none of them.\n\n"
                   "State:\n"
                   "  in use     somebody alive uses it\n"
                   "  kept       nobody alive uses it, and it was made to be kept\n"
                   "  abandoned  nobody alive uses it: the last who did was killed\n"
                   "  retired    removed by force, but the name is still there\n"
                   "  hidden     you may not look into it\n"
                   "  unusable   no segment, damaged, or of another version or platform: see the notes\n\n"
                   "Size is what it can use at once, touched what it takes from the machine, dead are participants whose\n"
                   "traces nobody has removed yet (see recover).\n",
    .json        = "  {\"segments\": [SEGMENT...]}\n"
                   "  SEGMENT: domain, name, path, condition (the state above, \"in_use\"), alive, dead, places,\n"
                   "  holders_limit (0: as many as places), size, maximum_size, touched (bytes), owner (user id),\n"
                   "  owner_name, permissions (\"0600\"), kept, flat, close_requested, retired,\n"
                   "  error (null, or {\"code\", \"message\"})\n",
    .add_options = nullptr,
    .run         = run,
};

} // namespace atrium::tool
