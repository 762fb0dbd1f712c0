/// Two builds of this program share a segment: `cross_build OTHER` creates one, starts OTHER on it, and both say what
/// they see of it; then the roles change. Not a Boost.Test program, so that builds without it can take part.
#include <atrium/base/fingerprint.hpp>
#include <atrium/segment/detail/layout.hpp>
#include <atrium/segment/segment.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

using namespace atrium;
using namespace std::chrono_literals;

namespace {

struct sample
{
    std::uint64_t number;
    double        value;
    char          text[24];
};

void require(bool held, char const* what)
{
    if (!held)
        throw std::runtime_error(what);
}

#define REQUIRE(condition) require(condition, #condition)

// What both write into flat memory: offsets, hashes and bytes that must mean the same to the other.
struct statement
{
    std::uint64_t creation_id[2];
    std::uint64_t maximum_size;
    std::uint64_t committed;
    std::uint64_t data_offset;
    std::uint64_t fingerprint;
    std::uint64_t row_size;
    std::uint64_t lane_size;
    sample        content;
};

statement state(segment const& s)
{
    statement  said     = {};
    auto const id       = s.creation_id();
    said.creation_id[0] = id[0];
    said.creation_id[1] = id[1];
    said.maximum_size   = s.maximum_size();
    said.committed      = s.size();
    said.data_offset    = s.attached()->data_offset();
    said.fingerprint    = fingerprint_of<sample>().hash;
    said.row_size       = sizeof(detail::participant_row);
    said.lane_size      = sizeof(detail::lane_row);
    said.content        = {42, 0.5, "across builds"};
    return said;
}

// Started by the other build.
int visitor(char const* name)
{
    segment    s(open_only, name);
    auto const bytes = s.flat_memory().value();
    auto const mine  = state(s);
    statement  theirs;
    std::memcpy(&theirs, bytes.data(), sizeof(theirs));
    REQUIRE(std::memcmp(&mine, &theirs, sizeof(mine)) == 0);
    REQUIRE(s.participants().size() == 2);
    for (participant_info const& p : s.participants())
        REQUIRE(p.state == liveness::alive);
    REQUIRE(s.attached()->lane().value() == 1); // the host has the first
    REQUIRE(s.grow_flat_memory(2u << 20).has_value());
    auto const more = s.flat_memory().value();
    std::memset(more.data() + more.size() - 8, 7, 8);
    s.attached()->add_callback([](recovery_report const&) {});
    ::_exit(0); // without leaving: the host recovers for us
}

int run(char const* other, char const* name)
{
    pid_t const started = ::fork();
    if (started == 0)
    {
        ::execl(other, other, "--visitor", name, nullptr);
        ::_exit(127);
    }
    int status = -1;
    REQUIRE(::waitpid(started, &status, 0) == started);
    return status;
}

int host(char const* other)
{
    std::string const name = "cross_build." + std::to_string(::getpid());
    segment           s(create_only, name, {.maximum_size = 4u << 20, .detection_time = 5ms, .flat = true});
    REQUIRE(s.attached()->lane().value() == 0);
    auto const said  = state(s);
    auto const bytes = s.flat_memory().value();
    std::memcpy(bytes.data(), &said, sizeof(said));

    REQUIRE(run(other, name.c_str()) == 0);
    auto const more = s.flat_memory().value();
    REQUIRE(more.size() >= 2u << 20);
    REQUIRE(more[more.size() - 1] == std::byte{7});
    auto const report = s.recover(5s).value();
    REQUIRE(report.dead.size() == 1 && report.lanes_released == 1);
    REQUIRE(s.participants().size() == 1);
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    try
    {
        if (argc == 3 && std::string(argv[1]) == "--visitor")
            return visitor(argv[2]);
        REQUIRE(argc == 2);
        return host(argv[1]);
    }
    catch (std::exception const& e)
    {
        std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
        return 1;
    }
}
