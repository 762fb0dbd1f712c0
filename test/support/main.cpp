/// \file
/// The main of every test program: the tests, or with `--role NAME arguments...` a child of one.

#include "support/leak_check.hpp"
#include "support/namespace_entry.hpp"
#include "support/role.hpp"
#include "support/transcript.hpp"

#ifndef BOOST_TEST_DYN_LINK
#define BOOST_TEST_DYN_LINK
#endif
#define BOOST_TEST_NO_MAIN
#include <boost/test/unit_test.hpp>

#include <string_view>
#include <sys/prctl.h>

namespace {

bool begin_tests()
{
    atrium::test::watch_test_cases();
    return true;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc >= 3 && std::string_view(argv[1]) == "--role")
        return atrium::test::run_role(argc, argv);
    atrium::test::enter_user_namespace(argv);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1); // what a child leaves behind comes to us, and leaves_nothing finds it
    atrium::test::isolate_domain();
    return boost::unit_test::unit_test_main(begin_tests, argc, argv);
}
