/// References from object to object within a segment: exact through all that is done with pointers and containers.
#include <atrium/memory/segment_ptr.hpp>

#include "memory/counted_fixture.hpp"

#include <algorithm>
#include <sys/wait.h>
#include <unistd.h>

using namespace atrium;
using namespace atrium::test;

namespace {

using pointers = vector<segment_ptr<node>>;

// Takes and gives nodes in the vector that everybody has.
ATRIUM_TEST_ROLE(shuffler)
{
    segment const                  s(open_only, arguments.at(0));
    counted const                  all(s);
    named<guarded<pointers>> const found(open_only, s, "pointers");
    for (unsigned n = 0; n < 200; ++n)
    {
        auto const made = make_shared<node>(s, n * 7919 % 101).value();
        auto const held = found->lock(30s).value();
        held->insert(held->begin() + static_cast<std::ptrdiff_t>(n % (held->size() + 1)), made);
        if (n % 10 == 9)
            std::sort(held->begin(), held->end(), [](auto const& a, auto const& b) { return a->value < b->value; });
        if (n % 3 == 2)
            held->erase(held->begin() + static_cast<std::ptrdiff_t>(n % held->size()));
    }
    return 0;
}

// Has one in ordinary memory while it is killed.
ATRIUM_TEST_ROLE(ordinary_holder)
{
    segment const           s(open_only, arguments.at(0));
    counted const           all(s);
    named<root> const       found(open_only, s, "root");
    segment_ptr<node> const mine(found->object);
    pointers                many(3, mine);
    be_ready_until_told();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("segment_ptr") {}

    shared_ptr<node> make(std::uint64_t value = 0) { return make_shared<node>(s, value).value(); }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_segment_ptr, one_segment)

BOOST_AUTO_TEST_CASE(each_one_is_a_reference)
{
    {
        auto const holder = make(1);
        auto       object = make(2);
        BOOST_TEST((holder->next == nullptr));
        BOOST_TEST(holder->next.share().error() == errc::expired);
        holder->next  = object;
        holder->other = holder->next;
        BOOST_TEST((holder->next == holder->other));
        BOOST_TEST(object.use_count() == 3u);
        BOOST_TEST(holder->next->value == 2u);
        BOOST_TEST((*holder->other).value == 2u);
        object.reset();
        census_is(s, 2, 3);
        BOOST_TEST(all->destruction_ended.load() == 0u);
        object = holder->other.share().value();
        BOOST_TEST(object.use_count() == 3u);
        holder->next = nullptr;
        BOOST_TEST(!holder->next);
        holder->other = shared_ptr<node>();
        BOOST_TEST(object.use_count() == 1u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(moving_and_swapping_change_no_count)
{
    {
        auto const a = make(1);
        auto const b = make(2);
        a->next      = make(10);
        b->next      = make(20);
        std::swap(a->next, b->next);
        BOOST_TEST(a->next->value == 20u);
        BOOST_TEST(b->next->value == 10u);
        a->other = std::move(a->next);
        BOOST_TEST((a->next == nullptr));
        BOOST_TEST(a->other->value == 20u);
        census_is(s, 4, 4);
        segment_ptr<node> ordinary(std::move(a->other));
        BOOST_TEST((a->other == nullptr));
        census_is(s, 4, 4);
        b->other = std::move(ordinary);
        BOOST_TEST((ordinary == nullptr));
        b->next = std::move(b->other); // 10 goes
        BOOST_TEST(b->next->value == 20u);
        BOOST_TEST(all->destruction_ended.load() == 1u);
        census_is(s, 3, 3);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(assigning_it_to_itself_changes_nothing)
{
    auto const               holder = make();
    auto const               object = make(5);
    segment_ptr<node> const& itself(holder->next);
    segment_ptr<node>&       also_itself(holder->next);
    for (int given = 0; given < 2; ++given)
    {
        holder->next = itself;
        holder->next = std::move(also_itself);
        std::swap(holder->next, also_itself);
        BOOST_TEST((holder->next.get() == (given == 0 ? nullptr : object.get())));
        BOOST_TEST(object.use_count() == 1u + static_cast<unsigned>(given));
        holder->next = object;
    }
}

BOOST_AUTO_TEST_CASE(a_list_is_walked_and_shortened_by_assignment)
{
    {
        auto const head = make();
        for (std::uint64_t n = 0; n < 10; ++n)
        {
            auto const made = make(n);
            made->next      = std::move(head->next);
            head->next      = made;
        }
        census_is(s, 11, 11);
        head->next = head->next->next; // 9 goes, what it held stays
        BOOST_TEST(head->next->value == 8u);
        census_is(s, 10, 10);
        head->next = std::move(head->next->next);
        BOOST_TEST(head->next->value == 7u);
        census_is(s, 9, 9);
        segment_ptr<node> at(head->next);
        for (std::uint64_t n = 7; at != nullptr; at = at->next)
            BOOST_TEST(at->value == n--);
        census_is(s, 9, 9);
    }
    BOOST_TEST(all->constructed.load() == 11u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(containers_keep_what_is_in_them_and_nothing_else)
{
    {
        named<pointers> const many(create_only, s, "vector");
        for (std::uint64_t n = 0; n < 100; ++n)
            many->emplace_back(make(n * 37 % 101));
        census_is(s, 100, 100);
        std::sort(many->begin(), many->end(), [](auto const& a, auto const& b) { return a->value < b->value; });
        BOOST_TEST(std::is_sorted(many->begin(), many->end(), [](auto& a, auto& b) { return a->value < b->value; }));
        std::reverse(many->begin(), many->end());
        many->insert(many->begin() + 3, 5, many->back());
        census_is(s, 100, 105);
        many->erase(many->begin() + 3, many->begin() + 8);
        many->erase(std::remove_if(many->begin(), many->end(), [](auto const& p) { return p->value % 2 != 0; }),
                    many->end());
        census_is(s, many->size(), many->size());
        many->shrink_to_fit();
        pointers copy(*many); // in ordinary memory
        census_is(s, many->size(), 2 * many->size());
        copy.clear();
        many->resize(10);
        census_is(s, 10, 10);

        using by_number = map<int, segment_ptr<node>>;
        using by_text   = unordered_map<string, segment_ptr<node>>;
        named<by_number> const               tree(create_only, s, "map");
        named<by_text> const                 hashed(create_only, s, "unordered_map");
        named<list<segment_ptr<node>>> const line(create_only, s, "list");
        for (int n = 0; n < 10; ++n)
        {
            (*tree)[n] = (*many)[static_cast<std::size_t>(n)];
            hashed->emplace((long_text + std::to_string(n)).c_str(), tree->at(n));
            line->push_front(tree->at(n));
        }
        census_is(s, 10, 40);
        line->sort([](auto const& a, auto const& b) { return a->value < b->value; });
        hashed->rehash(1000);
        tree->erase(tree->begin(), std::next(tree->begin(), 5));
        many->clear();
        census_is(s, 10, 25);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(processes_insert_erase_and_sort_in_a_guarded_vector)
{
    {
        named<guarded<pointers>> const found(create_only, s, "pointers");
        std::vector<child>             children;
        for (int n = 0; n < 3; ++n)
            children.emplace_back("shuffler", arguments{name});
        for (child& c : children)
            BOOST_TEST(c.wait(60s) == exited(0));
        auto const held = found->lock(5s).value();
        BOOST_TEST(held->size() == 3u * (200 - 66));
        census_is(s, held->size(), held->size());
        for (segment_ptr<node> const& p : *held)
            BOOST_TEST(p.share().value().use_count() == 2u);
    }
    BOOST_TEST(all->constructed.load() == 600u);
    is_as_before();
}

BOOST_AUTO_TEST_CASE(what_refers_to_each_other_stays_until_the_circle_is_broken)
{
    {
        auto first        = make(1);
        first->next       = make(2);
        first->next->next = first;
        first->other      = first; // and to itself
        weak_ptr<node> weak(first);
        first.reset();
        census_is(s, 2, 3);
        first       = weak.lock().value();
        first->next = nullptr;
        BOOST_TEST(all->destruction_ended.load() == 1u);
        first->other = nullptr;
        BOOST_TEST(first.use_count() == 1u);
    }
    is_as_before();
    std::string const other = unique_name("circle");
    {
        segment const made(create_only, other, small_segment());
        auto const    one = make_shared<node>(made).value();
        one->next         = one;
    }
    BOOST_TEST(!is_there(other)); // it goes with the segment, not the other way round
}

BOOST_AUTO_TEST_CASE(an_object_of_another_segment_is_refused)
{
    segment const other(create_only, unique_name("other"), small_segment());
    auto const    there  = make_shared<node>(other, 1u).value();
    auto const    here   = make(2);
    auto const    object = make(3);
    here->next           = object;
    there->next          = there;
    BOOST_TEST(code_of([&] { here->other = there; }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { here->next = there; }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { here->next = there->next; }) == errc::invalid_argument);
    BOOST_TEST((here->other == nullptr));
    BOOST_TEST(here->next->value == 3u); // the old one stays
    BOOST_TEST(code_of([&] { named<root> const r(create_only, s, "root", there); }) == errc::invalid_argument);
    named<pointers> const many(create_only, s, "vector");
    BOOST_TEST(code_of([&] { many->emplace_back(there); }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { many->push_back(there->next); }) == errc::invalid_argument);
    BOOST_TEST(many->empty());
    BOOST_TEST(object.use_count() == 2u);
    BOOST_TEST(there.use_count() == 2u);
    census_is(s, 2, 3);
    census_is(other, 1, 2);
    there->next = nullptr;
}

BOOST_AUTO_TEST_CASE(what_lies_in_no_segment_or_has_no_reference_is_refused)
{
    auto const             here = make();
    node                   local;
    shared_ptr<node> const foreign(here, &local);                 // keeps `here`, points elsewhere
    shared_ptr<node> const loose(shared_ptr<node>(), here.get()); // points at it, keeps nothing
    BOOST_TEST(code_of([&] { here->next = foreign; }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { segment_ptr<node> const p(foreign); }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { here->next = loose; }) == errc::invalid_argument);
    BOOST_TEST(code_of([&] { segment_ptr<node> const p(loose); }) == errc::invalid_argument);
    BOOST_TEST((here->next == nullptr));
    BOOST_TEST((weak_ptr<node>(loose).lock().error() == errc::expired));
    census_is(s, 1, 1);
}

BOOST_AUTO_TEST_CASE(one_in_ordinary_memory_goes_with_its_process)
{
    {
        named<root> const found(create_only, s, "root", make());
        child             c = ready_child("ordinary_holder", {name});
        census_is(s, 1, 5);
        c.kill();
        BOOST_TEST(s.recover(10s).has_value());
        census_is(s, 1, 1);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(a_forked_child_drops_its_parents_without_a_trace)
{
    {
        auto const        object = make();
        segment_ptr<node> mine(object);
        pid_t const       pid = ::fork();
        if (pid == 0)
        {
            bool const refused = mine.share().has_error();
            {
                segment_ptr<node> const moved(std::move(mine));
            }
            ::_exit(refused ? 0 : 1);
        }
        int status = 0;
        BOOST_TEST(::waitpid(pid, &status, 0) == pid);
        BOOST_TEST(status == 0);
        BOOST_TEST(object.use_count() == 2u);
        BOOST_TEST((mine.share().value() == object));
    }
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
