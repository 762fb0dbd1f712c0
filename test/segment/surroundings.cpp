/// Other users, too little memory, foreign code that closes descriptors: each its own error, and life goes on.
#include <atrium/segment/segment.hpp>

#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"
#include "support/namespaces.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

constexpr uid_t somebody_else = 65534;

// This process's descriptors of files behind segments.
std::vector<int> segment_descriptors()
{
    std::vector<int> found;
    for (int number = 0; number < 1024; ++number)
    {
        std::array<char, 256> target = {};
        auto const            link   = "/proc/self/fd/" + std::to_string(number);
        if (::readlink(link.c_str(), target.data(), target.size() - 1) > 0 &&
            std::strstr(target.data(), "/dev/shm/") != nullptr)
            found.push_back(number);
    }
    return found;
}

// The file that `lost` gets as its descriptor's number, by foreign code.
class foreign_file
{
public:
    explicit foreign_file(int number)
    {
        descriptor const made(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        require(static_cast<bool>(made) && ::dup2(made.get(), number) == number, "the number has another file");
        number_ = number;
    }
    [[nodiscard]] bool is_untouched() const
    {
        struct stat s = {};
        return ::fstat(number_, &s) == 0 && s.st_size == 0 && s.st_nlink == 0;
    }
    void close() { ::close(number_); }

private:
    int number_ = -1;
};

} // namespace

// As another user: what opening comes to.
ATRIUM_TEST_ROLE(opener_as_somebody_else)
{
    require(::setgid(somebody_else) == 0 && ::setuid(somebody_else) == 0, "became somebody else");
    std::string const name = arguments.at(0);
    bool const        any  = arguments.at(1) == "any";
    say(opening(open_only, name, {.any_owner = any}).message());
    say(opening(open_read_only, name, {.any_owner = any}).message());
    auto const removed = segment::remove(name, true);
    say(removed ? "removed" : removed.error().message());
    return 0;
}

// As another user: has a segment of its own, and keeps it until told to end.
ATRIUM_TEST_ROLE(creator_as_somebody_else)
{
    require(::setgid(somebody_else) == 0 && ::setuid(somebody_else) == 0, "became somebody else");
    segment const s(create_only, arguments.at(0));
    say("attached");
    static_cast<void>(hear());
    return 0;
}

// In a /dev/shm of one megabyte.
ATRIUM_TEST_ROLE(user_of_little_memory)
{
    std::string const name = "little";
    require(opening(create_only, name, {.size = 2u << 20}) == errc::out_of_memory, "creation is refused");
    require(!is_there(name), "and leaves nothing");
    segment    s(create_only, name, {.maximum_size = 64u << 20, .flat = true});
    auto const before = s.flat_memory().value().size();
    require(s.grow_flat_memory(32u << 20).error() == errc::out_of_memory, "growth is refused");
    auto const bytes = s.flat_memory().value();
    require(bytes.size() == before, "and changes nothing");
    std::memset(bytes.data(), 1, bytes.size());
    require(s.grow_flat_memory(before + (64u << 10)).has_value(), "what there is room for is given");
    auto const more = s.flat_memory().value();
    std::memset(more.data(), 2, more.size());

    // The rest is filled by somebody else.
    descriptor const             filler(::open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    std::array<char, 4096> const block = {};
    while (::write(filler.get(), block.data(), block.size()) > 0)
    {}
    require(s.grow_flat_memory(more.size() + 4096).error() == errc::out_of_memory, "the last page is gone");
    require(opening(create_only, "second") == errc::out_of_memory, "no room for a second");
    require(opening_as_another(name) == error_code(), "joining takes no memory");
    require(s.attached()->lane().has_value(), "a lane takes no memory");
    require(s.recover(1s).has_value(), "a recovery takes no memory");
    std::memset(more.data(), 3, more.size());
    return 0;
}

ATRIUM_TEST_ROLE(neighbour)
{
    segment const s(open_only, arguments.at(0));
    say("attached");
    static_cast<void>(hear());
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(segment_surroundings, leaves_nothing)

BOOST_AUTO_TEST_CASE(another_users_segment_is_refused_by_its_permissions)
{
    auto const    name = unique_name("private");
    segment const s(create_only, name);
    child         other("opener_as_somebody_else", {name, "own"});
    auto const    denied = make_error_code(errc::permission_denied).message();
    for (int n = 0; n < 3; ++n)
        BOOST_TEST((other.line(10s) == denied));
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(s.status() == segment_status::open);
}

BOOST_AUTO_TEST_CASE(another_users_segment_is_opened_only_on_request)
{
    auto const    name = unique_name("public");
    segment const s(create_only, name, {.permissions = 0666});
    {
        child other("opener_as_somebody_else", {name, "own"});
        BOOST_TEST((other.line(10s) == make_error_code(errc::wrong_owner).message()));
        BOOST_TEST((other.line(10s) == make_error_code(errc::wrong_owner).message()));
        BOOST_TEST((other.line(10s) == make_error_code(errc::permission_denied).message()));
        BOOST_TEST(other.wait(10s) == exited(0));
    }
    child other("opener_as_somebody_else", {name, "any"});
    BOOST_TEST((other.line(10s) == error_code().message()));
    BOOST_TEST((other.line(10s) == error_code().message()));
    BOOST_TEST((other.line(10s) == make_error_code(errc::permission_denied).message()));
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(s.status() == segment_status::open); // who may not remove it does not say that it is removed
    BOOST_TEST(s.participants().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_process_that_gave_up_its_rights_creates_and_removes_its_own)
{
    auto const name = unique_name("own");
    child      other("creator_as_somebody_else", {name});
    other.wait_for_line("attached", 10s);
    BOOST_TEST(opening(open_only, name) == errc::wrong_owner); // also for root
    BOOST_TEST(opening(open_only, name, {.any_owner = true}) == error_code());
    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(a_full_file_system_is_out_of_memory_and_never_a_signal)
{
    in_namespaces("user_of_little_memory", {}, {.shm_size = 1u << 20, .pids = false}, 60s);
}

BOOST_AUTO_TEST_CASE(a_lost_descriptor_is_noticed_and_the_process_can_still_leave)
{
    auto const             name   = unique_name("lost");
    auto const             before = segment_descriptors();
    std::optional<segment> s(std::in_place, create_only, name,
                             segment_options{.maximum_size = 4u << 20, .detection_time = 5ms, .flat = true});
    child                  other("neighbour", {name});
    other.wait_for_line("attached", 10s);
    auto const ours = segment_descriptors();
    BOOST_REQUIRE(ours.size() == before.size() + 1);
    auto const id = [&] {
        for (auto const& p : s->participants())
        {
            if (p.id != s->self())
                return p.id;
        }
        return participant_id();
    }();
    BOOST_REQUIRE(static_cast<bool>(id));
    ::close(ours.back());

    BOOST_TEST(s->grow_flat_memory(1u << 20).error() == errc::descriptor_lost);
    BOOST_TEST(s->recover(0s).error() == errc::descriptor_lost);
    BOOST_TEST(s->attached()->ask(id) == liveness::unknown);
    BOOST_TEST(s->attached()->lane().has_value());
    auto const bytes = s->flat_memory().value(); // what there is may be used
    bytes.front()    = std::byte{1};
    bytes.back()     = std::byte{1};
    {
        // Others still see that we live: the mapping holds our byte.
        segment const reader(open_read_only, name);
        BOOST_TEST(count(reader, liveness::alive) == 2u);
    }
    s.reset();
    {
        segment const reader(open_read_only, name);
        BOOST_TEST(reader.participants().size() == 1u);
        BOOST_TEST(count(reader, liveness::dead) == 0u);
    }
    other.close_input();
    BOOST_TEST(other.wait(10s) == exited(0));
    BOOST_TEST(!is_there(name)); // the other one could see that it was the last
}

BOOST_AUTO_TEST_CASE(a_file_that_got_the_number_of_a_lost_descriptor_is_not_touched)
{
    auto const             name   = unique_name("reused");
    auto const             before = segment_descriptors();
    std::optional<segment> s(std::in_place, create_only, name,
                             segment_options{.maximum_size = 4u << 20, .detection_time = 5ms, .flat = true});
    auto const             ours = segment_descriptors();
    BOOST_REQUIRE(ours.size() == before.size() + 1);
    foreign_file foreign(ours.back());

    BOOST_TEST(s->grow_flat_memory(1u << 20).error() == errc::descriptor_lost);
    BOOST_TEST(s->recover(0s).error() == errc::descriptor_lost);
    BOOST_TEST(foreign.is_untouched());

    // A forked child closes the library's descriptors, and nothing else.
    pid_t const forked = ::fork();
    if (forked == 0)
        ::_exit(foreign.is_untouched() ? 0 : 1);
    int status = -1;
    BOOST_TEST(::waitpid(forked, &status, 0) == forked);
    BOOST_TEST(status == 0);

    s.reset();
    BOOST_TEST(foreign.is_untouched()); // neither closed nor changed
    foreign.close();
    BOOST_TEST(is_there(name)); // it could not be seen whether it was the last
    BOOST_TEST(segment::remove(name).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
