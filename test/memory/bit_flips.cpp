/// Any bit of heap header, undo log or directory is flipped, and the segment is used: there are errors, or it goes on,
/// but nothing crashes and nothing hangs. What the bits mean is not guarded: an object may be lost, or be in use for
/// ever.
#include <atrium/memory/named.hpp>

#include "memory/memory_fixture.hpp"
#include "support/role.hpp"

#include <csignal>
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const* long_text = "a text that is too long to lie in the string itself";

segment_options tiny_segment()
{
    auto options          = small_segment();
    options.named_objects = 4;
    options.maximum_size  = 512u << 10;
    return options;
}

using texts = vector<string>;

// What a program does: errors are its lot, whatever they are.
template <class Action> void try_to(Action const& action)
{
    try
    {
        action();
    }
    catch (system_error const&)
    {}
}

void use(segment& s)
{
    named_options const hasty{.patience = 20ms};
    try_to([&] {
        named<texts> const kept(open_only, s, "kept", hasty);
        kept->emplace_back(long_text);
        require(kept->back() == long_text);
        kept->clear();
        kept->shrink_to_fit();
    });
    try_to([&] { named<texts> const made(open_or_create, s, "made", hasty, 2u, string(long_text)); });
    try_to([&] {
        heap       h(s);
        auto const small = h.allocate(50, 20ms);
        auto const large = h.allocate(200'000, 20ms);
        static_cast<void>(h.statistics(20ms));
        for (auto const& block : {small, large})
        {
            if (block)
                static_cast<void>(h.deallocate(*block));
        }
        static_cast<void>(h.check(20ms));
    });
    try_to([&] { static_cast<void>(named_objects(s)); });
    static_cast<void>(s.recover(20ms));
    try_to([&] {
        named<texts> kept(open_only, s, "kept", hasty);
        static_cast<void>(kept.set_keep(false, 20ms));
    });
    try_to([&] {
        detail::unshared_opening const as_another; // validates
        segment const                  other(open_only, s.name());
        named<texts> const             made(create_only, other, "again", hasty, 1u, string(long_text));
    });
}

// With a kept object in it that nobody holds, and something that was given back. The object has no block but its own:
// an offset that comes to be another block of the same object is not told from a good one.
struct populated
{
    populated() : s(create_only, unique_name("flip"), tiny_segment())
    {
        named<texts> kept(create_only, s, "kept", named_options{.keep = true});
        heap         h(s);
        require(h.deallocate(h.allocate(100, 5s).value()).has_value());
        static_cast<void>(h.allocate(100, 5s).value());
    }
    segment s;
};

// In a forked child: makes a segment, flips one bit in the memory part's area, and uses it.
[[noreturn]] void use_with_flipped(std::uint64_t bit)
{
    for (int const fatal : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGALRM})
        std::signal(fatal, SIG_DFL); // the test's own handlers would go on with the test
    ::alarm(60);                     // kills what hangs
    int code = 1;
    try
    {
        populated  now;
        auto const area = now.s.attached()->area_of(part_id::memory).value();
        auto&      byte = reinterpret_cast<unsigned char&>(now.s.attached()->base()[area.offset + bit / 8]);
        byte            = static_cast<unsigned char>(byte ^ 1u << bit % 8);
        use(now.s);
        code = 0;
    }
    catch (std::exception const& e)
    {
        std::fprintf(stderr, "bit %llu: %s\n", static_cast<unsigned long long>(bit), e.what());
    }
    ::_exit(code);
}

void flip(std::uint64_t first, std::uint64_t last, std::uint64_t step)
{
    int failures = 0;
    for (std::uint64_t bit = first; bit < last && failures < 5; bit += step)
    {
        pid_t const pid = ::fork();
        if (pid == 0)
            use_with_flipped(bit);
        int status = 0;
        BOOST_TEST_REQUIRE(::waitpid(pid, &status, 0) == pid);
        BOOST_TEST(status == 0, "bit " << bit % 8 << " of byte " << bit / 8 << " of the area: status " << status);
        failures += status == 0 ? 0 : 1;
    }
}

// Every bit in the long form; else some of each word, always others.
std::uint64_t step()
{
    return long_form() ? 1 : 13;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_bit_flips, leaves_nothing)

BOOST_AUTO_TEST_CASE(any_bit_of_mutex_doorbell_heap_header_and_undo_log)
{
    flip(0, sizeof(detail::memory_header) * 8, step() * 3);
}

BOOST_AUTO_TEST_CASE(every_bit_of_the_heaps_bounds_and_counters)
{
    auto const first = offsetof(detail::memory_header, heap) * 8;
    flip(first, first + offsetof(detail::heap_header, undo) * 8 + 128, 1);
}

BOOST_AUTO_TEST_CASE(every_bit_of_the_entry_in_use)
{
    auto const first = sizeof(detail::memory_header) * 8;
    flip(first, first + sizeof(detail::directory_entry) * 8, long_form() ? 1 : 3);
}

BOOST_AUTO_TEST_CASE(any_bit_of_the_free_entries)
{
    auto const first = (sizeof(detail::memory_header) + sizeof(detail::directory_entry)) * 8;
    flip(first, first + 3 * sizeof(detail::directory_entry) * 8, step());
}

BOOST_AUTO_TEST_SUITE_END()
