/// The log hook hears what is logged while it is set, and nothing else is heard.
#include <atrium/base/log.hpp>

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

using namespace atrium;

namespace {

struct heard
{
    severity    level;
    std::string message;
};

std::vector<heard>& messages()
{
    static std::vector<heard> all;
    return all;
}

void hear(severity level, std::string_view message) noexcept
{
    messages().push_back({level, std::string(message)});
}

void hear_nothing(severity, std::string_view) noexcept {}

} // namespace

BOOST_AUTO_TEST_SUITE(base_log)

BOOST_AUTO_TEST_CASE(the_hook_hears_what_is_logged_while_it_is_set)
{
    log(severity::info, "before");
    BOOST_TEST((set_log_hook(&hear) == nullptr));
    log(severity::warning, "something was refused");
    BOOST_TEST((set_log_hook(&hear_nothing) == &hear));
    log(severity::info, "to another");
    BOOST_TEST((set_log_hook(nullptr) == &hear_nothing));
    log(severity::info, "after");
    BOOST_REQUIRE(messages().size() == 1u);
    BOOST_TEST((messages()[0].level == severity::warning));
    BOOST_TEST(messages()[0].message == "something was refused");
}

BOOST_AUTO_TEST_SUITE_END()
