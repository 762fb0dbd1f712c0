/// Two builds of this program share a segment: `cross_build OTHER` creates one, starts OTHER on it, and both say what
/// they see of it; then the roles change. Not a Boost.Test program, so that builds without it can take part.
#include <atrium/base/fingerprint.hpp>
#include <atrium/memory/counted_objects.hpp>
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/heap.hpp>
#include <atrium/memory/list.hpp>
#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/map.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/string.hpp>
#include <atrium/memory/unordered_map.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/pool/pools.hpp>
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
    said.lane_size      = sizeof(atrium::lane_row);
    said.content        = {42, 0.5, "across builds"};
    return said;
}

// What both keep in memory by name: containers in containers, changed by both.
using shelf  = map<string, vector<string>>;
using counts = unordered_map<string, std::uint64_t>;
using line   = list<sample>;

constexpr char long_text[] = "too long for a string to keep it without a block of its own";

std::size_t put(guarded<shelf>& on, int from, int to)
{
    auto held = on.lock(5s).value();
    for (int n = from; n < to; ++n)
        (*held)[string(std::to_string(n).c_str())].emplace_back(long_text);
    return held->size();
}

// Started by the other build: uses what is there, adds to it, and dies in the middle of a change.
int memory_visitor(char const* name)
{
    segment               s(open_only, name);
    named<guarded<shelf>> books(open_only, s, "books");
    named<counts>         numbers(open_only, s, "numbers");
    named<line>           samples(open_only, s, "samples");
    REQUIRE(put(*books, 50, 100) == 100);
    for (auto const& [key, texts] : *books->lock(5s).value())
        REQUIRE(texts.size() == 1 && texts.front() == long_text);
    REQUIRE(numbers->at("made by the host") == 1);
    numbers->emplace("made by the visitor", 2u);
    REQUIRE(samples->size() == 1 && samples->front().number == 42);
    samples->push_back({43, 1.5, "from the other build"});
    heap own(s);
    for (int n = 0; n < 100; ++n)
        REQUIRE(own.allocate(static_cast<std::size_t>(n) * 10, 5s).has_value());
    auto held = books->lock(5s).value();
    held->clear();
    ::_exit(0); // with the lock, the holds and the blocks
}

// What both refer to: elements of a pool that have memory of their own and refer to each other, and an object that tells
// when it is destroyed.
struct leaf
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    leaf(std::allocator_arg_t, allocator_type const& own, char const* given) : text(given, own) {}

    string            text;
    segment_ptr<leaf> next;
};

struct heir
{
    static constexpr bool is_shareable = true;

    explicit heir(shared_ptr<std::uint64_t> const& counts) : destroyed(counts) {}
    heir(heir const&)            = delete;
    heir& operator=(heir const&) = delete;
    ~heir() { ++*destroyed; }

    segment_ptr<std::uint64_t> destroyed;
};

struct common
{
    static constexpr bool is_shareable = true;

    segment_ptr<leaf>          chain;  // of the host's
    segment_ptr<leaf>          answer; // of the visitor's
    segment_ptr<std::uint64_t> destroyed;
};

// Started by the other build: destroys what the host has made, makes something for it, and leaves behind what the host
// does not know yet.
int reference_visitor(char const* name)
{
    segment       s(open_only, name);
    pool<leaf>    leaves(open_only, s, "leaves");
    named<common> both(open_only, s, "both");
    int           length = 0;
    for (auto const* at = both->chain.get(); at != nullptr; at = at->next.get(), ++length)
        REQUIRE(at->text == long_text);
    REQUIRE(length == 3 && leaves.statistics().outstanding == 3);
    auto const last = both->chain->next->next.share().value();
    REQUIRE(last.use_count() == 2);
    both->chain = nullptr;
    REQUIRE(last.use_count() == 1 && leaves.statistics().outstanding == 1);

    both->answer       = leaves.make(long_text).value();
    both->answer->next = last;
    auto const left    = make_shared<heir>(s, both->destroyed.share().value()).value();
    REQUIRE(left.use_count() == 1 && counted_objects(s).value().outstanding == 2);
    ::_exit(0); // with the references
}

void host_references(char const* other);
void host_memory(char const* other);

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
    // Behind the lanes that participants share; the host has the first.
    REQUIRE(s.attached()->lane().value() == s.attached()->participant_count() + 1);
    REQUIRE(s.grow_flat_memory(2u << 20).has_value());
    auto const more = s.flat_memory().value();
    std::memset(more.data() + more.size() - 8, 7, 8);
    s.attached()->add_callback([](recovery_report const&) {});
    ::_exit(0); // without leaving: the host recovers for us
}

int run(char const* other, char const* role, char const* name)
{
    pid_t const started = ::fork();
    if (started == 0)
    {
        ::execl(other, other, role, name, nullptr);
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
    REQUIRE(s.attached()->lane().value() == s.attached()->participant_count());
    auto const said  = state(s);
    auto const bytes = s.flat_memory().value();
    std::memcpy(bytes.data(), &said, sizeof(said));

    REQUIRE(run(other, "--visitor", name.c_str()) == 0);
    auto const more = s.flat_memory().value();
    REQUIRE(more.size() >= 2u << 20);
    REQUIRE(more[more.size() - 1] == std::byte{7});
    auto const report = s.recover(5s).value();
    REQUIRE(report.dead.size() == 1 && report.lanes_released == 1);
    REQUIRE(s.participants().size() == 1);
    host_memory(other);
    host_references(other);
    return 0;
}

void host_memory(char const* other)
{
    std::string const name = "cross_build.memory." + std::to_string(::getpid());
    segment           s(create_only, name, {.maximum_size = 16u << 20, .detection_time = 5ms});
    heap              own(s);
    {
        named<guarded<shelf>> books(create_only, s, "books");
        named<counts>         numbers(create_only, s, "numbers");
        named<line>           samples(create_only, s, "samples");
        numbers->emplace("made by the host", 1u);
        samples->push_back({42, 0.5, "across builds"});
        REQUIRE(put(*books, 0, 50) == 50);
        REQUIRE(run(other, "--memory-visitor", name.c_str()) == 0);
        REQUIRE(numbers->at("made by the visitor") == 2);
        REQUIRE(samples->size() == 2 && samples->back().number == 43);
        REQUIRE(books->lock(5s).error() == errc::owner_died);
        REQUIRE(s.recoveries() == 1);
        REQUIRE(books->lock_or_rebuild(5s).value()->empty());
        REQUIRE(put(*books, 0, 10) == 10);
        REQUIRE(own.check(5s).empty());
    }
    REQUIRE(own.statistics(5s).value().used_bytes == 0);
}

void host_references(char const* other)
{
    std::string const name = "cross_build.references." + std::to_string(::getpid());
    segment           s(create_only, name, {.maximum_size = 16u << 20, .detection_time = 5ms});
    pool<leaf>        leaves(create_only, s, "leaves", {.capacity = 8});
    named<common>     both(create_only, s, "both");
    auto const        destroyed = make_shared<std::uint64_t>(s, 0u).value();
    both->destroyed             = destroyed;
    for (int n = 0; n < 3; ++n)
    {
        auto const one = leaves.make(long_text).value();
        one->next      = std::move(both->chain);
        both->chain    = one;
    }
    REQUIRE(run(other, "--reference-visitor", name.c_str()) == 0);
    REQUIRE(both->chain == nullptr && leaves.statistics().outstanding == 2);

    auto const report = s.recover(5s).value();
    REQUIRE(report.dead.size() == 1 && report.references_released == 2); // to `last` and `left`
    REQUIRE(report.objects_destroyed == 0 && report.objects_pending == 1);
    REQUIRE(counted_objects(s).value().pending == 1 && *destroyed == 0);
    REQUIRE(make_shared<heir>(s, destroyed).has_value()); // from now on this process knows the type
    REQUIRE(*destroyed == 2 && counted_objects(s).value().outstanding == 1);
    REQUIRE(destroyed.use_count() == 2);

    REQUIRE(both->answer->text == long_text && both->answer->next->text == long_text);
    auto const seen = pools(s).value();
    REQUIRE(seen.size() == 1 && seen[0].references.in_segment == 2 && seen[0].references.participants.empty());
    both->answer = nullptr;
    REQUIRE(leaves.statistics().outstanding == 0);
    REQUIRE(heap(s).check(5s).empty());
}

} // namespace

int main(int argc, char** argv)
{
    try
    {
        if (argc == 3 && std::string(argv[1]) == "--visitor")
            return visitor(argv[2]);
        if (argc == 3 && std::string(argv[1]) == "--memory-visitor")
            return memory_visitor(argv[2]);
        if (argc == 3 && std::string(argv[1]) == "--reference-visitor")
            return reference_visitor(argv[2]);
        REQUIRE(argc == 2);
        return host(argv[1]);
    }
    catch (std::exception const& e)
    {
        std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
        return 1;
    }
}
