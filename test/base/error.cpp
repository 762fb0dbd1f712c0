#include <atrium/base/error.hpp>

#include <atrium/base/result.hpp>

#include <boost/test/unit_test.hpp>

#include <set>
#include <string>

using namespace atrium;

namespace {

constexpr int last = static_cast<int>(errc::system_failure);

} // namespace

BOOST_AUTO_TEST_SUITE(base_error)

BOOST_AUTO_TEST_CASE(no_enumerator_is_success)
{
    BOOST_TEST(static_cast<int>(errc::invalid_argument) == 1);
    BOOST_TEST(make_error_code(errc::invalid_argument).failed());
    BOOST_TEST(!error_code().failed());
}

BOOST_AUTO_TEST_CASE(every_code_has_a_message_of_its_own)
{
    std::set<std::string> messages;
    for (int value = 1; value <= last; ++value)
        messages.insert(make_error_code(static_cast<errc>(value)).message());
    BOOST_TEST(messages.size() == static_cast<std::size_t>(last));
    BOOST_TEST(messages.count("unknown error") == 0u);
}

BOOST_AUTO_TEST_CASE(messages_stand_beside_their_codes)
{
    BOOST_TEST(make_error_code(errc::name_invalid).message() ==
               "the name is empty, too long or has a forbidden character");
    BOOST_TEST(make_error_code(errc::closing).message() == "the segment is closing");
    BOOST_TEST(make_error_code(errc::out_of_memory).message() == "out of shared memory");
    BOOST_TEST(make_error_code(errc::timed_out).message() == "the deadline passed");
    BOOST_TEST(make_error_code(errc::system_failure).message() == "a system call failed");
}

BOOST_AUTO_TEST_CASE(values_that_are_no_codes_have_a_message_too)
{
    for (int const value : {0, -1, last + 1, 100000})
        BOOST_TEST(category().message(value) == "unknown error");
    BOOST_TEST(std::string(category().name()) == "atrium");
}

BOOST_AUTO_TEST_CASE(a_code_becomes_an_error_code_and_a_result)
{
    error_code const code = errc::timed_out;
    BOOST_TEST((code == errc::timed_out));
    BOOST_TEST((code != errc::peer_dead));
    result<int> const failed = errc::timed_out;
    BOOST_TEST((failed.error() == errc::timed_out));
}

BOOST_AUTO_TEST_CASE(what_is_thrown_says_code_and_circumstance)
{
    try
    {
        throw_error(errc::not_found, "open segment 'x'");
    }
    catch (system_error const& e)
    {
        BOOST_TEST((e.code() == errc::not_found));
        BOOST_TEST(std::string(e.what()).find("open segment 'x'") != std::string::npos);
        return;
    }
    BOOST_ERROR("nothing was thrown");
}

BOOST_AUTO_TEST_SUITE_END()
