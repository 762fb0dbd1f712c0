/// Guarded values in counted objects: as in named ones, in heap objects and in the elements of pools.
#include <atrium/memory/guarded.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/pool.hpp>

#include <array>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

using pointers = vector<segment_ptr<node>>;

/// References in the value itself, and in blocks of it.
struct contents
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit contents(std::allocator_arg_t, allocator_type const& a) : many(a), texts(a) {}

    segment_ptr<node> one;
    pointers          many;
    vector<string>    texts;
};

/// Guards within a guarded value.
struct nested
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit nested(std::allocator_arg_t, allocator_type const& a)
        : first(std::allocator_arg, a), second(std::allocator_arg, a)
    {}

    guarded<contents> first;
    guarded<contents> second;
};

/// Two guarded values, one of which guards others.
struct vault
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit vault(std::allocator_arg_t, allocator_type const& a)
        : plain(a), inside(std::allocator_arg, a), deep(std::allocator_arg, a)
    {
        counts->constructed.fetch_add(1);
    }
    vault(vault const&)            = delete;
    vault& operator=(vault const&) = delete;
    ~vault() { counts->destruction_ended.fetch_add(1); }

    vector<string>    plain;
    guarded<contents> inside;
    guarded<nested>   deep;
};

struct vault_root
{
    static constexpr bool is_shareable = true;

    segment_ptr<vault> object;
};

/// A guarded value so many bytes behind the object's beginning.
template <std::size_t Before> struct distant
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit distant(std::allocator_arg_t, allocator_type const& a) : texts(a), far_off(std::allocator_arg, a) {}

    vector<string>                texts;
    std::array<std::byte, Before> before = {};
    guarded<vector<string>>       far_off;
};

/// Wants to guard what lies in its containers.
struct with_guards_in_containers
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    explicit with_guards_in_containers(std::allocator_arg_t, allocator_type const& a) : all(a), by_number(a) {}

    list<guarded<int>>     all;
    map<int, guarded<int>> by_number;
};

} // namespace atrium::test

namespace {

void fill(contents& value, segment const& s)
{
    value.one = make_shared<node>(s, 1u).value();
    for (std::uint64_t n = 0; n < 20; ++n)
        value.many.emplace_back(make_shared<node>(s, n).value());
    value.many.emplace_back(value.one);
    value.texts.emplace_back(long_text);
}

constexpr std::uint64_t nodes_of_one      = 21;
constexpr std::uint64_t references_of_one = 22;

// Fills what the root's vault guards, again and again.
ATRIUM_TEST_ROLE(filler)
{
    segment const           s(open_only, arguments.at(0));
    counted const           all(s);
    named<vault_root> const found(open_only, s, "root");
    for (int n = 0; n < 50; ++n)
    {
        auto const held = found->object->inside.lock(30s).value();
        held->many.clear();
        held->texts.clear();
        fill(*held, s);
    }
    return 0;
}

// To be killed with all of them in its hands.
ATRIUM_TEST_ROLE(grabber)
{
    segment const           s(open_only, arguments.at(0));
    counted const           all(s);
    named<vault_root> const found(open_only, s, "root");
    auto const              handle = found->object.share().value();
    auto                    inside = handle->inside.lock(30s).value();
    fill(*inside, s);
    auto deep = handle->deep.lock(30s).value();
    fill(*deep->first.lock(30s).value(), s);
    auto second = deep->second.lock(30s).value();
    fill(*second, s);
    be_ready_until_told();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("guarded") {}

    /// A vault in the heap, or in a pool beside others, torn by the death of who held what it guards.
    template <class Look> void with_torn_vault(bool from_pool, Look const& look)
    {
        {
            pool<vault>             places(create_only, s, "vaults", {.capacity = 3});
            auto const              before = from_pool ? places.make().value() : make_shared<vault>(s).value();
            named<vault_root> const found(create_only, s, "root");
            found->object    = from_pool ? places.make().value() : make_shared<vault>(s).value();
            auto const after = from_pool ? places.make().value() : make_shared<vault>(s).value();
            fill(*before->inside.lock(5s).value(), s);
            fill(*after->deep.lock(5s).value()->first.lock(5s).value(), s);
            found->object->plain.emplace_back(long_text);
            child c = ready_child("grabber", {name});
            census_is(s, 3 + 5 * nodes_of_one, 4 + 5 * references_of_one);
            c.kill();
            BOOST_TEST((found->object->plain.back() == long_text));
            look(*found->object);
            BOOST_TEST(before->inside.lock(5s).value()->many.back()->value == 1u);
            BOOST_TEST(after->deep.lock(5s).value()->first.lock(5s).value()->one->value == 1u);
            BOOST_TEST(heap(s).check(5s) == "");
        }
        is_as_before();
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_guarded_counted, one_segment)

BOOST_AUTO_TEST_CASE(processes_change_the_value_one_at_a_time)
{
    {
        named<vault_root> const found(create_only, s, "root");
        found->object = make_shared<vault>(s).value();
        std::vector<child> children;
        for (int n = 0; n < 3; ++n)
            children.emplace_back("filler", arguments{name});
        for (child& c : children)
            BOOST_TEST(c.wait(60s) == exited(0));
        auto const held = found->object->inside.lock(5s).value();
        BOOST_TEST(held->many.size() == 21u);
        census_is(s, 1 + nodes_of_one, 1 + references_of_one);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(what_a_torn_value_referred_to_goes_when_it_is_rebuilt)
{
    for (bool const from_pool : {false, true})
        with_torn_vault(from_pool, [&](vault& torn) {
            BOOST_TEST(torn.inside.lock(5s).error() == errc::owner_died);
            BOOST_TEST(torn.deep.lock(5s).error() == errc::owner_died);
            census_is(s, 3 + 5 * nodes_of_one, 3 + 5 * references_of_one); // but its process's own is gone
            auto inside = torn.inside.lock_or_rebuild(5s).value();
            BOOST_TEST(inside->many.empty());
            BOOST_TEST((inside->one == nullptr));
            census_is(s, 3 + 4 * nodes_of_one, 3 + 4 * references_of_one);
            auto deep = torn.deep.lock_or_rebuild(5s).value();
            BOOST_TEST(deep->second.lock(5s).value()->many.empty());
            census_is(s, 3 + 2 * nodes_of_one, 3 + 2 * references_of_one);
            fill(*inside, s);
            fill(*deep->second.lock(5s).value(), s);
            census_is(s, 3 + 4 * nodes_of_one, 3 + 4 * references_of_one);
        });
}

BOOST_AUTO_TEST_CASE(an_inner_value_is_rebuilt_alone_when_the_outer_is_declared_whole)
{
    with_torn_vault(true, [&](vault& torn) {
        auto deep = torn.deep.lock_for_repair(5s).value();
        deep.mark_repaired();
        BOOST_TEST(deep->first.lock(5s).value()->texts.size() == 1u); // nobody was in there
        BOOST_TEST(deep->second.lock(5s).error() == errc::owner_died);
        BOOST_TEST(deep->second.lock_or_rebuild(5s).value()->texts.empty());
        census_is(s, 3 + 4 * nodes_of_one, 3 + 4 * references_of_one);
        BOOST_TEST((deep->first.lock(5s).value()->texts.back() == long_text));
    });
}

BOOST_AUTO_TEST_CASE(torn_values_go_with_their_object_and_all_that_was_in_them)
{
    for (bool const from_pool : {false, true})
    {
        with_torn_vault(from_pool, [&](vault& torn) {
            BOOST_TEST(torn.inside.lock_for_repair(5s).value().is_torn());
            BOOST_TEST(torn.deep.lock_for_repair(5s).value().is_torn());
        });
        with_torn_vault(from_pool, [&](vault&) { // nobody has looked, and the last reference is the dead one's
            named<vault_root>(open_only, s, "root")->object = nullptr;
            census_is(s, 3 + 5 * nodes_of_one, 3 + 5 * references_of_one);
            BOOST_TEST(s.recover(5s).value().objects_destroyed == 1u);
            census_is(s, 2 + 2 * nodes_of_one, 2 + 2 * references_of_one);
        });
    }
}

BOOST_AUTO_TEST_CASE(objects_of_a_run_have_guarded_values_of_their_own)
{
    {
        array_pool<vault> places(create_only, s, "runs", 4, {.capacity = 2});
        auto const        run   = places.make().value();
        auto const        other = places.make().value();
        for (std::size_t n = 0; n < 4; ++n)
            fill(*run[n].inside.lock(5s).value(), s);
        fill(*other[3].inside.lock(5s).value(), s);
        std::uint64_t const before = used_bytes(s);
        auto                held   = run[2].inside.lock_for_repair(5s).value();
        held.rebuild();
        BOOST_TEST(used_bytes(s) < before);
        census_is(s, 2 + 4 * nodes_of_one, 2 + 4 * references_of_one);
        for (std::size_t n : {0u, 1u, 3u})
            BOOST_TEST((run[n].inside.lock(5s).value()->texts.back() == long_text));
        BOOST_TEST((other[3].inside.lock(5s).value()->texts.back() == long_text));
        BOOST_TEST(heap(s).check(5s) == "");
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(one_too_far_from_the_beginning_is_refused)
{
    constexpr std::size_t limit = 512u << 10;
    {
        auto const near = make_shared<distant<limit - 1024>>(s).value();
        near->far_off.lock(5s).value()->emplace_back(long_text);
        near->texts.emplace_back(long_text);
        near->far_off.lock_for_repair(5s).value().rebuild();
        BOOST_TEST((near->texts.back() == long_text));
    }
    for (int n = 0; n < 20; ++n)
        BOOST_TEST(code_of([&] { static_cast<void>(make_shared<distant<limit>>(s)); }) == errc::too_many_owners);
    {
        pool<distant<limit>> places(create_only, s, "distant", {.capacity = 2});
        BOOST_TEST(code_of([&] { static_cast<void>(places.make()); }) == errc::too_many_owners);
        BOOST_TEST(places.statistics().outstanding == 0u);
        array_pool<distant<limit / 4>> runs(create_only, s, "runs", 3, {.capacity = 2});
        BOOST_TEST(runs.make().has_value());
        array_pool<distant<limit / 4>> longer(create_only, s, "longer", 4, {.capacity = 2});
        BOOST_TEST(code_of([&] { static_cast<void>(longer.make()); }) == errc::too_many_owners);
        BOOST_TEST(longer.statistics().outstanding == 0u);
    }
    is_as_before();
}

BOOST_AUTO_TEST_CASE(one_in_a_container_is_refused)
{
    {
        pool<with_guards_in_containers> places(create_only, s, "containers", {.capacity = 2});
        for (bool const from_pool : {false, true})
        {
            auto const object = from_pool ? places.make().value() : make_shared<with_guards_in_containers>(s).value();
            BOOST_TEST(code_of([&] { object->all.emplace_back(3); }) == errc::too_many_owners);
            BOOST_TEST(code_of([&] { object->by_number.try_emplace(1, 3); }) == errc::too_many_owners);
            BOOST_TEST(object->all.empty());
            BOOST_TEST(object->by_number.empty());
        }
    }
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
