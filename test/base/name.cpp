#include <atrium/base/name.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdlib>

using namespace atrium;

BOOST_AUTO_TEST_SUITE(base_name)

BOOST_AUTO_TEST_CASE(plain_names_are_valid)
{
    for (char const* const name : {"a", "Z9", "camera-1", "a_b.c", "-", "_", "a..b", "0"})
        BOOST_TEST(check_name(name).has_value(), name);
    BOOST_TEST(check_name(std::string(max_name_length, 'x')).has_value());
}

BOOST_AUTO_TEST_CASE(other_names_are_not)
{
    for (std::string const& name :
         {std::string(), std::string("."), std::string(".."), std::string(".a"), std::string("a/b"), std::string("a b"),
          std::string("a\nb"), std::string("a\0b", 3), std::string("\xc3\xa4"), std::string("a:b"), std::string("*"),
          std::string(max_name_length + 1, 'x')})
        BOOST_TEST((check_name(name).error() == errc::name_invalid), name);
}

BOOST_AUTO_TEST_CASE(domains_have_no_dots)
{
    for (char const* const domain : {"a", "team-1", "A_b"})
        BOOST_TEST(check_domain(domain).has_value(), domain);
    BOOST_TEST(check_domain(std::string(max_domain_length, 'x')).has_value());
    for (std::string const& domain :
         {std::string(), std::string("a.b"), std::string("a/b"), std::string(max_domain_length + 1, 'x')})
        BOOST_TEST((check_domain(domain).error() == errc::name_invalid), domain);
}

BOOST_AUTO_TEST_CASE(the_default_domain_comes_from_the_environment)
{
    std::string const tests_own = std::getenv("ATRIUM_DOMAIN");
    BOOST_TEST(default_domain() == tests_own);
    ::setenv("ATRIUM_DOMAIN", "another", 1);
    BOOST_TEST(default_domain() == "another");
    ::setenv("ATRIUM_DOMAIN", "", 1);
    BOOST_TEST(default_domain() == "default");
    ::unsetenv("ATRIUM_DOMAIN");
    BOOST_TEST(default_domain() == "default");
    ::setenv("ATRIUM_DOMAIN", tests_own.c_str(), 1);
}

BOOST_AUTO_TEST_SUITE_END()
