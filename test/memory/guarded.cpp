/// A value behind a mutex: whole or known to be torn, and torn ones cost no memory.
#include <atrium/memory/guarded.hpp>

#include "memory/memory_fixture.hpp"

#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const* long_text = "a text that is too long to lie in the string itself";

using texts      = vector<string>;
using safe_texts = guarded<texts>;

// Throws when told, with memory in its hands.
struct throwing
{
    using allocator_type = allocator<std::byte>;
    explicit throwing(std::allocator_arg_t, allocator_type const& a, bool told = false) : all(a)
    {
        all.emplace_back(long_text);
        if (told)
            throw std::runtime_error("told to");
    }
    texts all;
};

// Two guarded values of one object, and many in its containers.
struct several
{
    using allocator_type = allocator<std::byte>;
    explicit several(std::allocator_arg_t, allocator_type const& a)
        : one(std::allocator_arg, a), other(std::allocator_arg, a), by_number(a), in_line(a)
    {}
    safe_texts           one;
    safe_texts           other;
    map<int, safe_texts> by_number;
    list<safe_texts>     in_line;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<throwing> = true;
template <> inline constexpr bool atrium::is_shareable<several>  = true;

namespace {

ATRIUM_TEST_ROLE(adder)
{
    segment const           s(open_only, arguments.at(0));
    named<safe_texts> const object(open_only, s, "texts");
    for (int n = 0; n < 500; ++n)
        object->lock_for_repair(30s).value()->emplace_back(long_text);
    return 0;
}

// To be killed with the value in its hands.
ATRIUM_TEST_ROLE(grabber)
{
    segment const           s(open_only, arguments.at(0));
    named<safe_texts> const object(open_only, s, "texts");
    auto                    held = object->lock_for_repair(30s).value();
    held->emplace_back(long_text);
    be_ready_until_told();
    return 0;
}

ATRIUM_TEST_ROLE(grabber_of_several)
{
    segment const        s(open_only, arguments.at(0));
    named<several> const object(open_only, s, "several");
    auto                 one     = object->one.lock_for_repair(30s).value();
    auto                 in_map  = object->by_number.at(2).lock_for_repair(30s).value();
    auto                 in_list = object->in_line.back().lock_for_repair(30s).value();
    one->emplace_back(long_text);
    in_map->emplace_back(long_text);
    in_list->emplace_back(long_text);
    be_ready_until_told();
    return 0;
}

struct one_segment : leaves_nothing
{
    std::string   name = unique_name("guarded");
    segment       s{create_only, name, small_segment()};
    std::uint64_t used = used_bytes(s);

    /// Leaves the value of `texts` torn.
    void tear()
    {
        child c = ready_child("grabber", {name});
        c.kill();
    }

    /// After a death: exactly as before, once it was recovered for.
    void is_as_before(std::uint64_t before)
    {
        BOOST_TEST(s.recover(5s).has_value());
        heap_is_as_before(s, before);
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_guarded, one_segment)

BOOST_AUTO_TEST_CASE(processes_change_the_value_one_at_a_time)
{
    {
        named<safe_texts> const object(create_only, s, "texts");
        std::vector<child>      children;
        for (int n = 0; n < 3; ++n)
            children.emplace_back("adder", arguments{name});
        for (child& c : children)
            BOOST_TEST(c.wait(60s) == exited(0));
        auto const held = object->lock_for_repair(5s).value();
        BOOST_TEST(!held.is_torn());
        BOOST_TEST(held->size() == 1500u);
        BOOST_TEST((held->back() == long_text));
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_holder_that_dies_leaves_the_value_torn_until_it_is_rebuilt)
{
    {
        named<safe_texts> const object(create_only, s, "texts");
        std::uint64_t const     fresh = used_bytes(s);
        tear();
        {
            auto held = object->lock_for_repair(5s).value();
            BOOST_TEST(held.is_torn());
        }
        {
            auto held = object->lock_for_repair(5s).value(); // it is not healed by being looked at
            BOOST_TEST(held.is_torn());
            held.rebuild();
            BOOST_TEST(!held.is_torn());
            BOOST_TEST(held->empty());
        }
        is_as_before(fresh);
        auto held = object->lock_for_repair(5s).value();
        BOOST_TEST(!held.is_torn());
        held.rebuild(3u, string(long_text)); // also what is whole
        BOOST_TEST(held->size() == 3u);
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(nobody_gets_at_a_torn_value_by_mistake)
{
    {
        named<safe_texts> const object(create_only, s, "texts");
        tear();
        BOOST_TEST(object->lock(5s).error() == errc::owner_died);
        BOOST_TEST(object->lock(5s).error() == errc::owner_died); // and the lock is free again
        BOOST_TEST(object->lock_or_rebuild(5s, 2u, string(long_text)).value()->size() == 2u);
        BOOST_TEST(object->lock_or_rebuild(5s).value()->size() == 2u); // what is whole is left alone
        BOOST_TEST(object->lock(5s).value()->size() == 2u);
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(who_knows_better_declares_it_repaired)
{
    {
        named<safe_texts> const object(create_only, s, "texts");
        tear();
        {
            auto held = object->lock_for_repair(5s).value();
            BOOST_TEST(held.is_torn());
            held.mark_repaired();
            BOOST_TEST(!held.is_torn());
            BOOST_TEST(held->size() == 1u);
        }
        BOOST_TEST(!object->lock_for_repair(5s).value().is_torn());
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_torn_value_goes_with_its_object)
{
    {
        named<safe_texts> const object(create_only, s, "texts");
        tear();
    }
    is_as_before(used);
    {
        named<safe_texts> const object(create_only, s, "texts"); // the name is usable
        tear();
        BOOST_TEST(object->lock_for_repair(5s).value().is_torn());
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_constructor_that_throws_leaves_the_value_torn)
{
    {
        named<guarded<throwing>> const object(create_only, s, "throwing");
        std::uint64_t const            fresh = used_bytes(s);
        auto                           held  = object->lock_for_repair(5s).value();
        BOOST_CHECK_THROW(held.rebuild(true), std::runtime_error);
        BOOST_TEST(held.is_torn());
        held.rebuild(false);
        BOOST_TEST(!held.is_torn());
        BOOST_TEST(held->all.size() == 1u);
        is_as_before(fresh);
        BOOST_CHECK_THROW(held.rebuild(true), std::runtime_error);
    }
    is_as_before(used);
    BOOST_CHECK_THROW(named<guarded<throwing>>(create_only, s, "throwing", true), std::runtime_error);
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(each_guarded_value_of_an_object_is_rebuilt_alone)
{
    {
        named<several> const object(create_only, s, "several");
        for (int n = 0; n < 4; ++n)
        {
            object->by_number.try_emplace(n).first->second.lock_for_repair(5s).value()->emplace_back(long_text);
            object->in_line.emplace_back();
            object->in_line.back().lock_for_repair(5s).value()->emplace_back(long_text);
        }
        object->other.lock_for_repair(5s).value()->emplace_back(long_text);
        std::uint64_t const before = used_bytes(s);
        child               c      = ready_child("grabber_of_several", {name});
        c.kill();
        BOOST_TEST(object->one.lock_for_repair(5s).value().is_torn());
        BOOST_TEST(object->by_number.at(2).lock_for_repair(5s).value().is_torn());
        BOOST_TEST(object->in_line.back().lock_for_repair(5s).value().is_torn());
        BOOST_TEST(!object->other.lock_for_repair(5s).value().is_torn());
        BOOST_TEST(!object->by_number.at(1).lock_for_repair(5s).value().is_torn());
        object->one.lock_for_repair(5s).value().rebuild();
        object->by_number.at(2).lock_for_repair(5s).value().rebuild(1u, string(long_text));
        object->in_line.back().lock_for_repair(5s).value().rebuild(1u, string(long_text));
        for (int n = 0; n < 4; ++n)
            BOOST_TEST((object->by_number.at(n).lock_for_repair(5s).value()->at(0) == long_text));
        BOOST_TEST((object->other.lock_for_repair(5s).value()->at(0) == long_text));
        is_as_before(before);
        object->by_number.erase(2);
        object->in_line.pop_front();
        BOOST_TEST(used_bytes(s) < before);
        BOOST_TEST(heap(s).check(5s) == "");
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_torn_element_that_is_erased_takes_its_memory_along)
{
    {
        named<several> const object(create_only, s, "several");
        object->in_line.emplace_back();
        object->by_number.try_emplace(2);
        object->by_number.try_emplace(3);
        std::uint64_t const before = used_bytes(s);
        object->in_line.emplace_back();
        child c = ready_child("grabber_of_several", {name});
        c.kill();
        object->in_line.pop_back();
        object->one.lock_for_repair(5s).value().rebuild();
        object->by_number.at(2).lock_for_repair(5s).value().rebuild();
        is_as_before(before);
    }
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_stopped_holder_is_waited_for_up_to_the_deadline)
{
    named<safe_texts> const object(create_only, s, "texts");
    child                   c = ready_child("grabber", {name});
    c.stop();
    BOOST_TEST(object->lock_for_repair(30ms).error() == errc::timed_out);
    BOOST_TEST(count(s, liveness::dead) == 0u);
    c.resume();
    let_end(c);
    auto const held = object->lock_for_repair(5s).value();
    BOOST_TEST(!held.is_torn());
    BOOST_TEST(held->size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_process_cannot_own_a_guarded_value)
{
    using list_of_guarded = list<safe_texts>;
    list_of_guarded own{allocator<safe_texts>(s)};
    BOOST_TEST(code_of([&] { own.emplace_back(); }) == errc::invalid_argument);
    BOOST_TEST(own.empty());
    is_as_before(used);
}

BOOST_AUTO_TEST_CASE(a_forked_child_drops_what_its_parent_holds_without_a_trace)
{
    named<safe_texts> const object(create_only, s, "texts");
    {
        auto        held = object->lock_for_repair(5s).value();
        pid_t const pid  = ::fork();
        if (pid == 0)
        {
            error_code again;
            {
                auto const moved = std::move(held);
                again = object->lock_for_repair(1s).has_error() ? object->lock_for_repair(1s).error() : error_code();
            }
            ::_exit(again == errc::forked ? 0 : 1);
        }
        int status = 0;
        BOOST_TEST(::waitpid(pid, &status, 0) == pid);
        BOOST_TEST(status == 0);
        held->emplace_back(long_text);
    }
    BOOST_TEST(object->lock_for_repair(5s).value()->size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
