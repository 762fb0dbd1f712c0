/// Containers in a segment: whose memory they take, what their elements are made with, and other processes.
#include <atrium/memory/allocator.hpp>

#include "memory/memory_fixture.hpp"

#include <stdexcept>

using namespace atrium;
using namespace atrium::test;

namespace {

constexpr char const* long_text = "a text that is too long to lie in the string itself";

// A user's type that takes an allocator.
struct person
{
    using allocator_type = allocator<std::byte>;

    explicit person(allocator_type const& a = {}) : name(a), friends(a) {}
    person(char const* called, allocator_type const& a = {}) : name(called, a), friends(a) {}
    person(person const& other, allocator_type const& a = {})
        : name(other.name, a), friends(other.friends, a), age(other.age)
    {}
    person(person&& other, allocator_type const& a)
        : name(std::move(other.name), a), friends(std::move(other.friends), a), age(other.age)
    {}
    person& operator=(person const&) = default;
    person& operator=(person&&)      = default;

    string         name;
    vector<string> friends;
    int            age = 0;
};

// One that does not, though it has a container.
struct careless
{
    vector<int> numbers;
};

struct careless_hash
{
    unordered_map<int, int> numbers;
};

// Throws at the n-th construction, with memory in its hands.
struct fragile
{
    using allocator_type = allocator<std::byte>;

    static inline int left = 1'000'000;

    explicit fragile(allocator_type const& a = {}) : text(long_text, a) { count(); }
    fragile(fragile const& other, allocator_type const& a = {}) : text(other.text, a) { count(); }
    fragile&    operator=(fragile const&) = default;
    static void count()
    {
        if (--left == 0)
            throw std::runtime_error("fragile");
    }
    string text;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<careless>      = true;
template <> inline constexpr bool atrium::is_shareable<careless_hash> = true;
template <> inline constexpr bool atrium::is_shareable<fragile>       = true;

namespace {

// Everything at once, each inside another.
struct town
{
    using allocator_type = allocator<std::byte>;
    explicit town(allocator_type const& a) : people(a), by_name(a), numbers(a), chain(a), nested(a) {}

    vector<person>                      people;
    map<string, person>                 by_name;
    unordered_map<string, vector<int>>  numbers;
    list<string>                        chain;
    map<int, map<string, list<person>>> nested;
};

} // namespace

template <> inline constexpr bool atrium::is_shareable<town> = true;

namespace {

// Whether an element's memory is the container's owner's, whatever it was made from.
template <class Container, class Element> bool has_allocator_of(Container const& c, Element const& e)
{
    return e.get_allocator().source() == c.get_allocator().source();
}

// A second process, which has the segment somewhere else, adds what the first one checks.
ATRIUM_TEST_ROLE(builder)
{
    // Takes the addresses that would come next.
    segment const     in_the_way(create_only, unique_name("in_the_way"), small_segment());
    segment const     s(open_only, arguments.at(0));
    named<town> const there(open_only, s, "town");
    say(std::to_string(reinterpret_cast<std::uintptr_t>(s.attached()->base())));
    require(there->people.at(0).name == long_text);
    require(there->by_name.at(string("first")).friends.at(1) == long_text);
    for (int n = 0; n < 100; ++n)
    {
        there->people.emplace_back("someone with a rather long name, as names go");
        there->people.back().friends.emplace_back(long_text);
        there->by_name[string(std::to_string(n).c_str())].age = n;
        there->numbers[string(long_text)].push_back(n);
        there->chain.emplace_front(long_text);
        there->nested[n][string(long_text)].emplace_back("child");
    }
    there->chain.pop_back();
    there->by_name.erase(string("first"));
    return 0;
}

struct one_segment : leaves_nothing
{
    std::string   name = unique_name("containers");
    segment       s{create_only, name, small_segment()};
    std::uint64_t used = used_bytes(s);
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_containers, one_segment)

BOOST_AUTO_TEST_CASE(elements_are_made_with_the_containers_allocator)
{
    {
        named<town> const t(create_only, s, "town");
        t->people.emplace_back(long_text);
        t->people.resize(5);
        t->people.insert(t->people.begin(), person("temporary"));
        t->people.push_back(person("another temporary"));
        for (person& p : t->people)
        {
            p.friends.emplace_back(long_text);
            p.friends.push_back(string(long_text));
            BOOST_TEST(has_allocator_of(t->people, p.name));
            BOOST_TEST(has_allocator_of(t->people, p.friends));
            for (string const& f : p.friends)
                BOOST_TEST(has_allocator_of(t->people, f));
        }
        t->chain.emplace_back(long_text);
        t->chain.push_front(string(long_text));
        t->chain.resize(4);
        for (string const& text : t->chain)
            BOOST_TEST(has_allocator_of(t->chain, text));
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(members_of_pairs_are_made_with_the_maps_allocator)
{
    {
        named<town> const t(create_only, s, "town");
        auto&             m = t->by_name;
        string const      key(long_text); // of this process's memory, as all temporaries are
        m[string("by a temporary, whose text is too long for it")].age = 1;
        m[key].age                                                     = 2;
        m.emplace("emplaced, of two texts that are much too long", "name that is too long to lie in the string itself");
        m.emplace(string("emplaced, of two temporaries that are too long"), person("someone"));
        m.try_emplace(string("tried, with a text that is too long for it"), long_text);
        m.try_emplace(string("tried, without anything that is too long for it"));
        m.insert({string("inserted, a pair of temporaries too long for it"), person(long_text)});
        std::pair<string const, person> const pair(string("inserted, a pair that is there, too long for it"),
                                                   person(long_text));
        m.insert(pair);
        m.insert_or_assign(string("assigned, a text that is too long for the string"), person(long_text));
        m.insert_or_assign(string("assigned, a text that is too long for the string"), person("other"));
        BOOST_TEST(m.size() == 9u);
        for (auto& [k, v] : m)
        {
            BOOST_TEST(has_allocator_of(m, k), "key " << k);
            BOOST_TEST(has_allocator_of(m, v.name), "value of " << k);
            BOOST_TEST(has_allocator_of(m, v.friends), "value of " << k);
            v.friends.emplace_back(long_text);
            BOOST_TEST(has_allocator_of(m, v.friends.back()));
        }
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(members_of_pairs_are_made_with_the_hash_maps_allocator)
{
    {
        named<town> const t(create_only, s, "town");
        auto&             m = t->numbers;
        string const      key(long_text);
        m[string("by a temporary, whose text is too long for it")].push_back(1);
        m[key].push_back(2);
        m.emplace("emplaced, of a text that is much too long", vector<int>(3u));
        m.try_emplace(string("tried, with a text that is too long for it"), 5u);
        m.try_emplace(string("tried, without anything that is too long for it"));
        m.insert({string("inserted, a pair of temporaries too long for it"), vector<int>(2u)});
        std::pair<string const, vector<int>> const pair(string("inserted, a pair that is there, too long for it"),
                                                        vector<int>(2u));
        m.insert(pair);
        m.insert_or_assign(string("assigned, a text that is too long for the string"), vector<int>(2u));
        BOOST_TEST(m.size() == 8u);
        for (auto& [k, v] : m)
        {
            BOOST_TEST(has_allocator_of(m, k), "key " << k);
            BOOST_TEST(has_allocator_of(m, v), "value of " << k);
            v.resize(100);
        }
        m.rehash(1000);
        BOOST_TEST(m.at(key).size() == 100u);
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(nested_containers_share_one_owner)
{
    {
        named<town> const t(create_only, s, "town");
        t->nested[1][string("inner")].emplace_back(long_text);
        t->nested[1][string("inner")].front().friends.emplace_back(long_text);
        auto const& inner = t->nested.at(1).at(string("inner"));
        BOOST_TEST(has_allocator_of(t->nested, inner));
        BOOST_TEST(has_allocator_of(t->nested, inner.front().friends));
        BOOST_TEST(has_allocator_of(t->nested, inner.front().friends.front()));
        BOOST_TEST((inner.get_allocator().source().of().kind() == detail::owner_kind::directory_entry));
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(temporaries_live_in_the_process_and_are_copied_in)
{
    {
        named<vector<vector<string>>> const object(create_only, s, "v");
        vector<string>                      local;
        local.emplace_back(long_text);
        BOOST_TEST(!s.attached()->contains(local.data()));
        object->push_back(local);
        object->push_back(std::move(local));
        *object = vector<vector<string>>(3u, object->front());
        BOOST_TEST(object->size() == 3u);
        for (auto const& inner : *object)
        {
            BOOST_TEST(s.attached()->contains(inner.data()));
            BOOST_TEST(s.attached()->contains(inner.front().data()));
        }
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_copy_of_a_shared_container_is_the_processs_own)
{
    {
        named<vector<string>> const object(create_only, s, "v", 3u, string(long_text));
        std::uint64_t const         before = used_bytes(s);
        vector<string> const        copy(*object);
        BOOST_TEST(!s.attached()->contains(copy.data()));
        BOOST_TEST(!s.attached()->contains(copy.front().data()));
        BOOST_TEST(used_bytes(s) == before);
        string const text(object->front());
        BOOST_TEST(!s.attached()->contains(text.data()));
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_container_in_a_segment_that_was_made_without_allocator_refuses)
{
    {
        named<careless> const object(create_only, s, "careless");
        BOOST_TEST(code_of([&] { object->numbers.push_back(1); }) == errc::invalid_argument);
        BOOST_TEST(object->numbers.empty());
        named<careless_hash> const hash(create_only, s, "careless_hash");
        BOOST_TEST(code_of([&] { hash->numbers.emplace(1, 1); }) == errc::invalid_argument);
        BOOST_TEST(code_of([&] { hash->numbers.reserve(100); }) == errc::invalid_argument);
        named<vector<careless>> const all(create_only, s, "all");
        all->emplace_back();
        BOOST_TEST(code_of([&] { all->back().numbers.resize(1); }) == errc::invalid_argument);
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(nothing_changes_its_owner_by_assignment_move_or_swap)
{
    {
        named<vector<string>> const one(create_only, s, "one");
        named<vector<string>> const other(create_only, s, "other");
        auto const                  first  = one->get_allocator();
        auto const                  second = other->get_allocator();
        BOOST_TEST((first != second));
        other->resize(4, string(long_text));
        *one = *other;
        BOOST_TEST((one->get_allocator() == first));
        *one = std::move(*other);
        BOOST_TEST((one->get_allocator() == first));
        BOOST_TEST((other->get_allocator() == second));
        BOOST_TEST(one->size() == 4u);
        vector<string> local;
        local = std::move(*one);
        BOOST_TEST(!s.attached()->contains(local.data()));
        BOOST_TEST(!s.attached()->contains(local.front().data()));
        *other = std::move(local);
        BOOST_TEST(s.attached()->contains(other->data()));
        BOOST_TEST((other->get_allocator() == second));
        for (string const& text : *other)
            BOOST_TEST(has_allocator_of(*other, text));
        vector<string> const moved(std::move(*other), allocator<string>{});
        BOOST_TEST(!s.attached()->contains(moved.data()));
    }
    heap_is_as_before(s, used);
    {
        named<map<int, string>> const           one(create_only, s, "one");
        named<map<int, string>> const           other(create_only, s, "other");
        named<unordered_map<int, string>> const third(create_only, s, "third");
        named<unordered_map<int, string>> const fourth(create_only, s, "fourth");
        one->emplace(1, long_text);
        third->emplace(1, long_text);
        *other  = std::move(*one);
        *fourth = std::move(*third);
        BOOST_TEST(has_allocator_of(*other, other->at(1)));
        BOOST_TEST(has_allocator_of(*fourth, fourth->at(1)));
        BOOST_TEST((other->get_allocator() != one->get_allocator()));
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(elements_that_throw_leak_nothing)
{
    {
        named<vector<fragile>> const             line(create_only, s, "line");
        named<map<int, fragile>> const           tree(create_only, s, "tree");
        named<unordered_map<int, fragile>> const hash(create_only, s, "hash");
        named<list<fragile>> const               chain(create_only, s, "chain");
        for (int n = 0; n < 4; ++n)
        {
            line->emplace_back();
            tree->try_emplace(n);
            hash->try_emplace(n);
            chain->emplace_back();
        }
        line->shrink_to_fit();
        std::uint64_t const before = used_bytes(s);
        auto const          throws = [&](int at, auto const& action) {
            fragile::left = at;
            BOOST_CHECK_THROW(action(), std::runtime_error);
            fragile::left = 1'000'000;
            heap_is_as_before(s, before);
        };
        for (int at = 1; at < 4; ++at)
            throws(at, [&] { line->resize(line->size() + 4); });
        throws(1, [&] { tree->try_emplace(100); });
        throws(1, [&] { hash->try_emplace(100); });
        throws(1, [&] { chain->emplace_back(); });
        throws(3, [&] { named<vector<fragile>> const n(create_only, s, "n", 5u); });
        throws(2, [&] { named<vector<fragile>> const n(create_only, s, "n", *line); });
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(two_processes_use_them_at_different_addresses)
{
    {
        named<town> const t(create_only, s, "town");
        t->people.emplace_back(long_text);
        t->by_name[string("first")].friends.resize(2, string(long_text));
        t->chain.resize(3, string(long_text));
        child      c("builder", {name});
        auto const there = std::stoull(c.line(30s).value());
        BOOST_TEST(there != reinterpret_cast<std::uintptr_t>(s.attached()->base()));
        BOOST_TEST(c.wait(30s) == exited(0));
        BOOST_TEST(t->people.size() == 101u);
        BOOST_TEST((t->people.back().friends.back() == long_text));
        BOOST_TEST(t->by_name.size() == 100u);
        BOOST_TEST(t->by_name.at(string("42")).age == 42);
        BOOST_TEST(t->numbers.at(string(long_text)).size() == 100u);
        BOOST_TEST(t->chain.size() == 102u);
        BOOST_TEST((t->nested.at(7).at(string(long_text)).front().name == "child"));
        BOOST_TEST(heap(s).check(5s) == "");
        t->people.clear();
        t->nested.erase(3);
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(containers_of_a_process_go_when_it_drops_them)
{
    {
        vector<string>             line{allocator<string>(s)};
        unordered_map<int, string> hash{allocator<std::pair<int const, string>>(s)};
        line.resize(10, string(long_text));
        for (int n = 0; n < 100; ++n)
            hash.emplace(n, long_text);
        BOOST_TEST(s.attached()->contains(line.data()));
        BOOST_TEST(has_allocator_of(hash, hash.at(50)));
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_CASE(a_container_that_finds_no_memory_throws_and_stays_whole)
{
    {
        named<vector<std::uint64_t>> const object(create_only, s, "v", 10u);
        BOOST_TEST(code_of([&] { object->resize(10'000'000); }) == errc::out_of_memory);
        BOOST_TEST(object->size() == 10u);
        BOOST_CHECK_THROW(object->resize(~std::size_t{0} / 8), std::exception);
        BOOST_TEST(object->size() == 10u);
        object->push_back(1);
    }
    heap_is_as_before(s, used);
}

BOOST_AUTO_TEST_SUITE_END()
