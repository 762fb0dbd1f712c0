/// Objects found by name: made once, held by many, destroyed once, whoever dies.
#include <atrium/memory/named.hpp>

#include "memory/memory_fixture.hpp"

#include <barrier>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

// Names like "camera", of one type that other programs think of otherwise.
struct first_version
{
    std::uint64_t number;
};
struct second_version
{
    std::uint64_t number;
};
struct longer
{
    std::uint64_t number;
    std::uint64_t more;
};
struct alignas(32) aligned
{
    std::uint64_t number[4];
};
struct not_aligned
{
    std::uint64_t number[4];
};

struct throws_when_told
{
    using allocator_type = allocator<std::byte>;
    throws_when_told(std::allocator_arg_t, allocator_type const& a, bool told) : texts(a)
    {
        for (int n = 0; n < 20; ++n)
            texts.emplace_back("a text that is too long to lie in the string itself");
        if (told)
            throw std::runtime_error("told to");
    }
    vector<string> texts;
};

segment const* outer_segment = nullptr;

struct makes_another
{
    using allocator_type = allocator<std::byte>;
    makes_another(std::allocator_arg_t, allocator_type const& a)
        : text("a text that is too long for the string itself", a)
    {
        named<noted> const inner(open_or_create, *outer_segment, "inner", 5u);
        value = inner->value;
    }
    std::uint64_t value = 0;
    string        text;
};

} // namespace

template <> struct atrium::type_identity<first_version>
{
    static constexpr std::string_view name    = "versioned";
    static constexpr std::uint32_t    version = 1;
};
template <> struct atrium::type_identity<second_version>
{
    static constexpr std::string_view name    = "versioned";
    static constexpr std::uint32_t    version = 2;
};
template <> struct atrium::type_identity<longer>
{
    static constexpr std::string_view name    = "versioned";
    static constexpr std::uint32_t    version = 1;
};
template <> struct atrium::type_identity<aligned>
{
    static constexpr std::string_view name = "thirty-two";
};
template <> struct atrium::type_identity<not_aligned>
{
    static constexpr std::string_view name = "thirty-two";
};
template <> inline constexpr bool atrium::is_shareable<throws_when_told> = true;
template <> inline constexpr bool atrium::is_shareable<makes_another>    = true;

namespace {

constexpr int rounds = 40;

// Opens or makes many objects at the same time as others, some by create_only, and holds all.
ATRIUM_TEST_ROLE(racer)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    std::uint64_t made = 0;
    say("ready");
    static_cast<void>(hear());
    for (int round = 0; round < rounds; ++round)
    {
        std::string const           name = "r" + std::to_string(round % 5);
        std::optional<named<noted>> object;
        if (arguments.at(1) == "creates")
        {
            try
            {
                object.emplace(create_only, s, name);
            }
            catch (system_error const& e)
            {
                require(e.code() == errc::already_exists, e.what());
            }
        }
        if (!object)
            object.emplace(open_or_create, s, name);
        made += object->created() ? 1 : 0;
        (*object)->value.fetch_add(1);
        require((*object)->texts.size() == 3);
    }
    say(std::to_string(made));
    static_cast<void>(hear());
    return 0;
}

ATRIUM_TEST_ROLE(keeper)
{
    segment const      s(open_only, arguments.at(0));
    counted const      all(s);
    named<noted> const object(open_or_create, s, "kept", named_options{.keep = true}, 17u);
    return object->value == 17 ? 0 : 1;
}

// Goes through everything that a process has at its end.
ATRIUM_TEST_ROLE(static_holder)
{
    static segment const       s(open_only, arguments.at(0));
    static named<noted> const  object(open_or_create, s, "static");
    static named<noted>        copy(object);
    thread_local named<noted>  of_thread(object);
    static named<string> const text(open_or_create, s, "text", "a text that is too long to lie in the string itself");
    say("ready");
    static_cast<void>(hear());
    return object->texts.size() == 3 && copy.get() == of_thread.get() ? 0 : 1;
}

struct one_segment : leaves_nothing
{
    std::string   name = unique_name("named");
    segment       s{create_only, name, small_segment()};
    counted       all{s};
    std::uint64_t used = used_bytes(s);
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_named, one_segment)

BOOST_AUTO_TEST_CASE(of_many_processes_one_constructs_and_one_destroys)
{
    std::vector<child> racers;
    for (int n = 0; n < 6; ++n)
        racers.push_back(ready_child("racer", {name, n % 2 == 0 ? "creates" : "opens"}));
    for (child& c : racers)
        c.send_line("go");
    std::uint64_t made = 0;
    for (child& c : racers)
        made += std::stoul(c.line(60s).value());
    BOOST_TEST(made == all->constructed.load());
    BOOST_TEST(all->alive.load() == 0u);
    BOOST_TEST(all->destruction_ended.load() == made);
    for (child& c : racers)
        let_end(c);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(threads_that_open_and_drop_one_name_make_one_object_at_a_time)
{
    std::barrier             start(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            start.arrive_and_wait();
            for (int n = 0; n < 300; ++n)
            {
                named<noted> const object(open_or_create, s, "one");
                named<noted> const copy(object);
                if (copy->texts.size() != 3)
                    fail("an object that is not whole");
            }
        });
    for (std::thread& t : threads)
        t.join();
    BOOST_TEST(all->most_alive.load() == 1u);
    BOOST_TEST(all->destruction_ended.load() == all->constructed.load());
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(what_is_not_there_is_not_found)
{
    BOOST_TEST(code_of([&] { named<noted> const n(open_only, s, "nothing"); }) == errc::not_found);
    BOOST_TEST(code_of([&] { named<noted> const n(open_or_create, s, ""); }) == errc::name_invalid);
    BOOST_TEST(code_of([&] { named<noted> const n(open_or_create, s, std::string(5000, 'x')); }) == errc::name_invalid);
    BOOST_TEST(code_of([&] { named<noted> const n(open_or_create, s, "a/b"); }) == errc::name_invalid);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(the_longest_name_is_found_again)
{
    std::string const  longest(max_name_length, 'n');
    named<noted> const made(create_only, s, longest);
    named<noted> const found(open_only, s, longest);
    BOOST_TEST(made.get() == found.get());
    BOOST_TEST(code_of([&] { named<noted> const n(open_only, s, longest.substr(1)); }) == errc::not_found);
}

BOOST_AUTO_TEST_CASE(another_type_is_refused_with_both_sides_in_the_message)
{
    named<first_version> const object(create_only, s, "camera");
    auto const                 refusal = [&](auto const& open) -> std::string {
        try
        {
            open();
        }
        catch (system_error const& e)
        {
            BOOST_TEST(e.code() == errc::type_mismatch);
            return e.what();
        }
        return "opened";
    };
    auto const says = [](std::string const& text, char const* part) {
        BOOST_TEST((text.find(part) != std::string::npos), text << " does not say " << part);
    };
    auto const version = refusal([&] { named<second_version> const n(open_or_create, s, "camera"); });
    says(version, "versioned (8 bytes, alignment 8, version 1)");
    says(version, "versioned (8 bytes, alignment 8, version 2)");
    auto const size = refusal([&] { named<longer> const n(open_only, s, "camera"); });
    says(size, "versioned (8 bytes, alignment 8, version 1)");
    says(size, "versioned (16 bytes, alignment 8, version 1)");
    auto const type = refusal([&] { named<vector<int>> const n(open_only, s, "camera"); });
    says(type, "versioned (8 bytes");
    says(type, "vector<int");
    named<aligned> const wide(create_only, s, "wide");
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(wide.get()) % 32 == 0u);
    auto const alignment = refusal([&] { named<not_aligned> const n(open_only, s, "wide"); });
    says(alignment, "thirty-two (32 bytes, alignment 32, version 0)");
    says(alignment, "thirty-two (32 bytes, alignment 8, version 0)");
    BOOST_TEST(info_of(s, "camera")->holders == 1u); // nobody who was refused holds it
}

BOOST_AUTO_TEST_CASE(what_is_kept_stays_until_it_is_no_longer_kept)
{
    {
        child c("keeper", {name});
        BOOST_TEST(c.wait(30s) == exited(0));
    }
    BOOST_TEST(all->destruction_began.load() == 0u);
    BOOST_TEST(info_of(s, "kept")->kept);
    BOOST_TEST(info_of(s, "kept")->holders == 0u);
    {
        named<noted> object(open_only, s, "kept");
        BOOST_TEST(object->value.load() == 17u);
        BOOST_TEST(object.set_keep(false, 5s).has_value());
    }
    BOOST_TEST(all->destruction_ended.load() == 1u);
    BOOST_TEST(!info_of(s, "kept"));
    heap_is_as_before(s, used);
    {
        named<noted> object(create_only, s, "kept");
        BOOST_TEST(object.set_keep(true, 5s).has_value());
    }
    BOOST_TEST(info_of(s, "kept").has_value());
    BOOST_TEST(all->constructed.load() == 2u);
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_leaves_nothing)
{
    for (int n = 0; n < 50; ++n) // more often than there are places
        BOOST_CHECK_THROW(named<throws_when_told>(open_or_create, s, "throws" + std::to_string(n), true),
                          std::runtime_error);
    BOOST_TEST(code_of([&] { named<throws_when_told> const n(open_only, s, "throws0"); }) == errc::not_found);
    heap_is_as_before(s, used);
    named<throws_when_told> const object(open_or_create, s, "throws0", false);
    BOOST_TEST(object->texts.size() == 20u);
}

BOOST_AUTO_TEST_CASE(an_object_that_does_not_fit_leaves_nothing)
{
    using large = std::array<std::byte, (8u << 20)>;
    for (int n = 0; n < 20; ++n)
        BOOST_TEST(code_of([&] { named<large> const o(open_or_create, s, "l" + std::to_string(n)); }) ==
                   errc::out_of_memory);
    heap_is_as_before(s, used);
    BOOST_TEST(named_objects(s).value().size() == 1u); // the counts
}

BOOST_AUTO_TEST_CASE(a_full_directory_says_so)
{
    std::vector<named<first_version>> objects;
    for (int n = 0; n < 11; ++n) // and the counts
        objects.emplace_back(create_only, s, "o" + std::to_string(n));
    BOOST_TEST(code_of([&] { named<first_version> const n(open_or_create, s, "more"); }) == errc::directory_full);
    named<first_version> const again(open_or_create, s, "o3");
    objects.pop_back();
    named<first_version> const fits(open_or_create, s, "more");
    BOOST_TEST(fits.created());
}

BOOST_AUTO_TEST_CASE(two_segments_have_the_same_names_for_different_objects)
{
    segment const      other(create_only, unique_name("other"), small_segment());
    named<noted> const here(create_only, s, "same", 1u);
    named<noted> const there(create_only, other, "same", 2u);
    BOOST_TEST(here->value.load() == 1u);
    BOOST_TEST(there->value.load() == 2u);
    BOOST_TEST((named<noted>(open_only, s, "same").get() == here.get()));
    BOOST_TEST((named<noted>(open_only, other, "same").get() == there.get()));
}

BOOST_AUTO_TEST_CASE(an_object_makes_another_in_its_constructor)
{
    outer_segment = &s;
    {
        named<makes_another> const outer(create_only, s, "outer");
        BOOST_TEST(outer->value == 5u);
    }
    BOOST_TEST(all->destruction_ended.load() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(handles_are_copied_moved_and_assigned)
{
    {
        named<noted> first(create_only, s, "first", 1u);
        named<noted> second(create_only, s, "second", 2u);
        named<noted> copy(first);
        named<noted> moved(std::move(copy));
        BOOST_TEST(copy.get() == nullptr);
        BOOST_TEST(moved->value.load() == 1u);
        named<noted> const& itself(moved);
        moved = itself;
        BOOST_TEST(moved->value.load() == 1u);
        first = second; // the first object lives by `moved`
        BOOST_TEST(first->value.load() == 2u);
        BOOST_TEST(all->destruction_began.load() == 0u);
        moved = std::move(first);
        BOOST_TEST(all->destruction_ended.load() == 1u);
        BOOST_TEST(moved->value.load() == 2u);
        copy = std::move(moved);
        BOOST_TEST(copy->value.load() == 2u);
    }
    BOOST_TEST(all->destruction_ended.load() == 2u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_handle_keeps_the_segment)
{
    std::optional<named<noted>> object;
    std::string const           other = unique_name("kept_by_handle");
    {
        segment const made(create_only, other, small_segment());
        object.emplace(create_only, made, "object", 3u);
    }
    BOOST_TEST(is_there(other));
    BOOST_TEST((*object)->value.load() == 3u);
    object.reset();
    BOOST_TEST(!is_there(other));
}

BOOST_AUTO_TEST_CASE(a_forked_child_has_handles_that_do_nothing)
{
    std::optional<named<noted>> object(std::in_place, create_only, s, "mine");
    heap                        blocks(s);
    vector<int>                 own{allocator<int>(s)};
    pid_t const                 pid = ::fork();
    if (pid == 0)
    {
        bool refused = false;
        try
        {
            named<noted> copy(*object);
            auto const   kept = copy.set_keep(true, 1s);
            refused =
                kept.has_error() && kept.error() == errc::forked && blocks.allocate(10, 1s).error() == errc::forked &&
                code_of([&] { named<noted> const n(open_or_create, s, "mine"); }) == errc::forked &&
                code_of([&] { named<noted> const n(open_or_create, s, "other"); }) == errc::forked &&
                code_of([&] { heap const h(s); }) == errc::forked && code_of([&] { own.push_back(1); }) == errc::forked;
            named<noted> const gone(std::move(copy));
            object.reset();
        }
        catch (...)
        {
            refused = false;
        }
        ::_exit(refused ? 0 : 1);
    }
    int status = 0;
    BOOST_TEST(::waitpid(pid, &status, 0) == pid);
    BOOST_TEST(status == 0);
    BOOST_TEST((*object)->texts.size() == 3u);
    BOOST_TEST(info_of(s, "mine")->holders == 1u);
    object.reset();
    BOOST_TEST(all->destruction_ended.load() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(handles_in_static_storage_are_dropped_at_the_end_of_the_process)
{
    child c = ready_child("static_holder", {name});
    BOOST_TEST(info_of(s, "static")->holders == 1u);
    let_end(c);
    BOOST_TEST(named_objects(s).value().size() == 1u);
    BOOST_TEST(s.participants().size() == 1u);
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_place_that_has_used_up_its_owners_is_passed_over)
{
    auto const memory = detail::memory_of(*s.attached()).value();
    for (std::uint32_t index = 0; index < 5; ++index) // 0 has the counts, and is left as it is
        memory->entry(index + 1).next_sub.store(std::uint64_t{1} << 32);
    named<noted> const n(create_only, s, "object");
    BOOST_TEST(n->texts.size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
