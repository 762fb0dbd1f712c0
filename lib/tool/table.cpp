#include "tool/table.hpp"

#include <algorithm>

namespace atrium::tool {

void table::print(std::ostream& to, std::size_t indent) const
{
    std::vector<std::string> titles;
    std::vector<std::size_t> widths;
    for (column const& c : columns_)
    {
        titles.push_back(c.title);
        widths.push_back(c.title.size());
    }
    for (auto const& row : rows_)
    {
        for (std::size_t n = 0; n < row.size(); ++n)
            widths[n] = std::max(widths[n], row[n].size());
    }
    auto const print_row = [&](std::vector<std::string> const& row) {
        std::string line(indent, ' ');
        for (std::size_t n = 0; n < row.size(); ++n)
        {
            std::string const padding(widths[n] - row[n].size(), ' ');
            line += (n == 0 ? "" : "  ") + (columns_[n].right ? padding + row[n] : row[n] + padding);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        to << line << '\n';
    };
    print_row(titles);
    std::for_each(rows_.begin(), rows_.end(), print_row);
}

void print_facts(std::ostream& to, std::vector<std::pair<std::string, std::string>> const& facts)
{
    std::size_t width = 0;
    for (auto const& [name, value] : facts)
        width = std::max(width, name.size());
    for (auto const& [name, value] : facts)
        to << "  " << name << std::string(width - name.size() + 2, ' ') << value << '\n';
}

} // namespace atrium::tool
