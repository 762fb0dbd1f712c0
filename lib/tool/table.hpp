/// \file
/// Columns that line up.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace atrium::tool {

/// A column's title, and on which side its entries line up.
struct column
{
    std::string title;
    bool        right = false; ///< for numbers
};

/// A table of text; printed as wide as its longest entries.
class table
{
public:
    explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}

    /// One entry per column.
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

    /// Titles in the first line; every line begins with `indent` spaces.
    void print(std::ostream& to, std::size_t indent = 0) const;

private:
    std::vector<column>                   columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// A list of what belongs to what: names, then values that line up.
void print_facts(std::ostream& to, std::vector<std::pair<std::string, std::string>> const& facts);

} // namespace atrium::tool
