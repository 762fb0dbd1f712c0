/// Counted references in processes that fork: a child that opens the segment itself has references of its own, and one
/// that is forked where nobody expects it goes on as far as it can.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/reference_objects.hpp"
#include "segment/segment_file.hpp"
#include "support/forked.hpp"

#include <optional>
#include <sys/wait.h>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

// Forks in its constructor, and waits for the child, which returns from there as well; the object is not there then.
struct forking
{
    static constexpr bool is_shareable    = true;
    static inline int     status_of_child = -1;
    static inline int     destroyed       = 0;

    forking()
    {
        pid_t const forked = ::fork();
        if (forked == 0)
            be_a_forked_child();
        else
            static_cast<void>(::waitpid(forked, &status_of_child, 0));
    }
    forking(forking const&)            = delete;
    forking& operator=(forking const&) = delete;
    ~forking() { ++destroyed; }

    std::uint64_t value = 1;
};

struct one_segment : leaves_nothing
{
    one_segment() : s(std::in_place, create_only, unique_name("forked"), small_segment()) {}

    // The child has left in order, and nothing of the parent's was touched.
    void is_the_parents()
    {
        BOOST_TEST(s->participants().size() == 1u);
        BOOST_TEST(s->recoveries() == 0u);
        BOOST_TEST(reference_problems(*s) == "");
        BOOST_TEST(heap(*s).check(10s) == "");
    }

    // `make` makes a `forking` and lets `look` see it, in the parent only: in the child it is not there.
    void parent_and_child_go_on(std::function<void(std::function<void(forking const&)> const& look)> const& make)
    {
        forking::status_of_child = -1;
        forking::destroyed       = 0;
        pid_t const   parent     = ::getpid();
        std::uint64_t seen       = 0;
        try
        {
            make([&](forking const& made) { seen = ::getpid() == parent ? made.value : 0; });
        }
        catch (system_error const&) // as the child may be told
        {}
        if (::getpid() != parent)
            ::_exit(0);
        BOOST_TEST(seen == 1u);
        BOOST_TEST(forking::status_of_child == 0);
        BOOST_TEST(forking::destroyed == 1);
        BOOST_TEST(make_shared<plain>(*s).has_value());
        is_the_parents();
    }

    std::optional<segment> s;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_reference_fork, one_segment)

BOOST_AUTO_TEST_CASE(references_of_a_forked_child_keep_the_segment_that_it_has_opened_itself)
{
    auto const name = s->name();
    BOOST_TEST(holds_in_a_child([&] {
        s.reset(); // the parent's
        shared_ptr<node> object;
        {
            segment const own(open_only, name);
            object = make_shared<node>(own, 7u).value();
        }
        bool const is_whole = object->value == 7 && object.use_count() == 1 && object->text.size() > 20;
        object.reset();
        return is_whole;
    }));
    is_the_parents();
}

BOOST_AUTO_TEST_CASE(elements_and_weak_references_of_a_forked_child_keep_the_segment_that_it_has_opened_itself)
{
    auto const name = s->name();
    pool<item> items(create_only, *s, "items", {.capacity = 4});
    auto const parents = items.make(1u).value();
    BOOST_TEST(holds_in_a_child([&] {
        s.reset();
        shared_ptr<item> element;
        {
            segment const own(open_only, name);
            pool<item>    same(open_only, own, "items");
            element = same.make(7u).value();
        }
        bool                 is_whole = element->is_whole() && element->value == 7 && element.use_count() == 1;
        weak_ptr<item> const weak(element);
        is_whole = is_whole && weak.lock().value() == element;
        element.reset();
        return is_whole && weak.expired() && weak.lock().error() == errc::expired;
    }));
    BOOST_TEST(parents->is_whole());
    BOOST_TEST(parents.use_count() == 1u);
    is_the_parents();
}

BOOST_AUTO_TEST_CASE(what_a_forked_child_asks_of_the_parents_references_says_so)
{
    auto              items   = std::make_optional<pool<item>>(create_only, *s, "items", pool_options{.capacity = 4});
    auto const        element = items->make(1u).value();
    auto const        object  = make_shared<node>(*s, 1u).value();
    segment_ptr<node> pointer(object); // in ordinary memory: the child has a copy
    BOOST_TEST(holds_in_a_child([&] {
        weak_ptr<item> const weak(element);
        weak_ptr<node> const other(object);
        return weak.lock().error() == errc::forked && weak.expired() && other.lock().error() == errc::forked &&
               pointer.share().error() == errc::forked &&
               code_of([&] { segment_ptr<node> const copy(pointer); }) == errc::forked;
    }));
    BOOST_TEST(holds_in_a_child([&] {
        weak_ptr<item> const weak(element);
        items.reset();
        s.reset();
        return weak.lock().error() == errc::forked && pointer.share().error() == errc::forked;
    }));
    pointer = nullptr;
    BOOST_TEST(object.use_count() == 1u);
    is_the_parents();
}

BOOST_AUTO_TEST_CASE(a_forked_child_drops_the_parents_references_before_and_after_the_parents_segment)
{
    std::optional<pool<item>> items(std::in_place, create_only, *s, "items", pool_options{.capacity = 4});
    auto                      object  = make_shared<node>(*s, 1u).value();
    auto                      element = items->make(1u).value();
    weak_ptr<item>            weak(element);
    BOOST_TEST(holds_in_a_child([&] {
        object.reset();
        element.reset();
        items.reset();
        s.reset();
        return weak.expired();
    }));
    BOOST_TEST(holds_in_a_child([&] {
        s.reset();
        items.reset();
        bool const is_expired = weak.expired();
        weak.reset();
        element.reset();
        object.reset();
        return is_expired;
    }));
    BOOST_TEST(element->is_whole());
    BOOST_TEST((weak.lock().value() == element));
    BOOST_TEST(object->value == 1u);
    BOOST_TEST(object.use_count() == 1u);
    is_the_parents();
}

BOOST_AUTO_TEST_CASE(a_forked_child_leaves_its_own_segment_in_order_whatever_references_the_parent_has)
{
    auto       object           = make_shared<node>(*s, 1u).value();
    auto const other            = unique_name("own");
    auto const is_left_in_order = [&] {
        {
            segment const own(create_only, other);
            static_cast<void>(make_shared<node>(own, 2u).value());
        }
        return !is_there(other);
    };
    BOOST_TEST(holds_in_a_child([&] {
        object.reset();
        s.reset();
        return is_left_in_order();
    }));
    static_cast<void>(segment::remove(other, true));
    BOOST_TEST(holds_in_a_child([&] {
        s.reset(); // and the parent's object is there for longer
        return is_left_in_order();
    }));
    static_cast<void>(segment::remove(other, true));
    BOOST_TEST(holds_in_a_child([&] {
        s.reset();
        object.reset();
        return is_left_in_order();
    }));
    static_cast<void>(segment::remove(other, true));
    BOOST_TEST(object.use_count() == 1u);
    is_the_parents();
}

BOOST_AUTO_TEST_CASE(a_process_may_fork_in_the_constructor_of_an_element)
{
    pool<forking> places(create_only, *s, "places", {.capacity = 2});
    parent_and_child_go_on([&](auto const& look) {
        if (auto const made = places.make())
            look(**made);
    });
    BOOST_TEST(places.statistics().available == 2u);
}

BOOST_AUTO_TEST_CASE(a_process_may_fork_in_the_constructor_of_an_object_of_the_heap)
{
    parent_and_child_go_on([&](auto const& look) {
        if (auto const made = make_shared<forking>(*s))
            look(**made);
    });
}

BOOST_AUTO_TEST_CASE(a_process_may_fork_in_the_constructor_of_an_array)
{
    array_pool<forking> runs(create_only, *s, "runs", 1, {.capacity = 2});
    parent_and_child_go_on([&](auto const& look) {
        if (auto const made = runs.make())
            look((*made)[0]);
    });
}

BOOST_AUTO_TEST_CASE(a_process_may_fork_in_the_constructor_of_a_named_object)
{
    parent_and_child_go_on([&](auto const& look) {
        named<forking> const made(create_only, *s, "forking");
        look(*made);
    });
}

BOOST_AUTO_TEST_SUITE_END()
