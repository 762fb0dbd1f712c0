#include <atrium/base/deadline.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace atrium;
using namespace std::chrono_literals;
using clock_type = deadline::clock;

BOOST_AUTO_TEST_SUITE(base_deadline)

BOOST_AUTO_TEST_CASE(a_duration_counts_from_now)
{
    auto const     before = clock_type::now();
    deadline const d      = 10s;
    auto const     after  = clock_type::now();
    BOOST_TEST((d.time() >= before + 10s && d.time() <= after + 10s));
    BOOST_TEST(!d.passed());
    BOOST_TEST(!d.is_endless());
    BOOST_TEST((d.remaining() > 0s && d.remaining() <= 10s));
}

BOOST_AUTO_TEST_CASE(zero_and_negative_durations_have_passed)
{
    for (auto const d : {deadline(0s), deadline(-1s), deadline(std::chrono::nanoseconds::min()),
                         deadline(std::chrono::hours(std::numeric_limits<std::chrono::hours::rep>::min()))})
    {
        BOOST_TEST(d.passed());
        BOOST_TEST((d.remaining() == 0s));
    }
}

BOOST_AUTO_TEST_CASE(durations_that_the_clock_cannot_hold_are_endless)
{
    for (auto const d : {deadline(std::chrono::nanoseconds::max()), deadline(std::chrono::milliseconds::max()),
                         deadline(std::chrono::hours::max()), deadline(std::chrono::duration<double>(1e30))})
    {
        BOOST_TEST(d.is_endless());
        BOOST_TEST(!d.passed());
    }
}

BOOST_AUTO_TEST_CASE(fractions_are_rounded_up)
{
    deadline const d = std::chrono::duration<double, std::nano>(0.25);
    BOOST_TEST((d.time() > clock_type::time_point()));
    BOOST_TEST((deadline(std::chrono::duration<double>(3600.5)).remaining() > 3600s));
}

BOOST_AUTO_TEST_CASE(no_deadline_never_passes)
{
    deadline const d = no_deadline;
    BOOST_TEST(d.is_endless());
    BOOST_TEST(!d.passed());
    BOOST_TEST((d.remaining() == clock_type::duration::max()));
}

BOOST_AUTO_TEST_CASE(a_time_point_is_taken_as_it_is)
{
    auto const     when = clock_type::time_point(5s);
    deadline const d    = when;
    BOOST_TEST((d.time() == when));
    BOOST_TEST(d.passed());
}

BOOST_AUTO_TEST_CASE(the_earlier_of_two_counts)
{
    deadline const soon = clock_type::time_point(5s);
    deadline const late = clock_type::time_point(6s);
    BOOST_TEST((soon.earlier(late).time() == soon.time()));
    BOOST_TEST((late.earlier(soon).time() == soon.time()));
    BOOST_TEST((late.earlier(no_deadline).time() == late.time()));
}

BOOST_AUTO_TEST_SUITE_END()
