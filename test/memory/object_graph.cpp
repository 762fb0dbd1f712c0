/// Graphs of objects: all that is no longer referred to goes, however large, and no stack is too small for it.
#include <atrium/memory/segment_ptr.hpp>

#include "memory/counted_fixture.hpp"

#include <atrium/pool/pool.hpp>

#include <functional>
#include <pthread.h>

using namespace atrium;
using namespace atrium::test;

namespace atrium::test {

/// Refers to as many as it likes.
struct hub
{
    static constexpr bool is_shareable = true;
    using allocator_type               = allocator<std::byte>;

    hub(std::allocator_arg_t, allocator_type const& a) : spokes(a), name(long_text, a)
    {
        counts->constructed.fetch_add(1);
    }
    hub(hub const&)            = delete;
    hub& operator=(hub const&) = delete;
    ~hub() { counts->destruction_ended.fetch_add(1); }

    vector<segment_ptr<hub>> spokes;
    string                   name;
};

} // namespace atrium::test

namespace {

// In a thread with 128 KiB of stack, where ten thousand nested destructors would not fit, let alone a million.
void with_a_small_stack(std::function<void()> run)
{
    pthread_attr_t attributes;
    require(::pthread_attr_init(&attributes) == 0 && ::pthread_attr_setstacksize(&attributes, 128u << 10) == 0);
    pthread_t  thread = 0;
    auto const run_it = [](void* what) -> void* {
        (*static_cast<std::function<void()>*>(what))();
        return nullptr;
    };
    require(::pthread_create(&thread, &attributes, run_it, &run) == 0);
    require(::pthread_join(thread, nullptr) == 0 && ::pthread_attr_destroy(&attributes) == 0);
}

// Each node refers to the one before and to the one at half its number; the root to the last.
template <class Make> void grow(segment_ptr<node>& root, std::uint64_t size, Make const& make)
{
    std::vector<shared_ptr<node>> nodes;
    for (std::uint64_t n = 0; n < size; ++n)
    {
        auto const made = make(n);
        if (n != 0)
        {
            made->next  = std::move(root);
            made->other = nodes[n / 2];
        }
        root = made;
        if (2 * nodes.size() < size + 1)
            nodes.push_back(made);
    }
}

// The root of a graph, dropped by the next process: this one ends with it there.
ATRIUM_TEST_ROLE(grower)
{
    segment const     s(open_only, arguments.at(0));
    counted const     all(s);
    named<root> const found(open_only, s, "root");
    grow(found->object, std::stoul(arguments.at(1)), [&](auto n) { return make_shared<node>(s, n).value(); });
    return 0;
}

ATRIUM_TEST_ROLE(holder_of_all)
{
    segment const s(open_only, arguments.at(0));
    counted const all(s);
    auto const    mine = named<root>(open_only, s, "root")->object.share().value();
    be_ready_until_told();
    return 0;
}

struct one_segment : counted_segment
{
    one_segment() : counted_segment("graph", roomy_segment(512u << 20)) {}

    /// All nodes are gone; the tables that so many needed stay.
    void all_are_gone(std::uint64_t nodes)
    {
        census_is(s, 0, 0);
        BOOST_TEST(all->constructed.load() == nodes);
        BOOST_TEST(all->destruction_ended.load() == nodes);
        BOOST_TEST(heap(s).check(10s) == "");
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(memory_object_graph, one_segment)

BOOST_AUTO_TEST_CASE(a_million_nodes_go_on_a_small_stack)
{
    constexpr std::uint64_t size = 1'000'000;
    segment_ptr<node>       root;
    grow(root, size, [&](auto n) { return make_shared<node>(s, n).value(); });
    census_is(s, size, size + size - 1); // the root's, the chain's, and halves
    auto handle = root.share().value();
    root        = nullptr;
    BOOST_TEST(all->destruction_ended.load() == 0u);
    with_a_small_stack([&] { handle.reset(); });
    all_are_gone(size);
}

BOOST_AUTO_TEST_CASE(so_do_a_hundred_thousand_in_a_pool_whose_handle_is_gone)
{
    constexpr std::uint64_t size = 100'000;
    {
        segment_ptr<node> root;
        {
            pool<node> places(create_only, s, "nodes", {.capacity = size});
            grow(root, size, [&](auto n) { return places.make(n).value(); });
            BOOST_TEST(places.statistics().available == 0u);
            BOOST_TEST(places.make().error() == errc::exhausted);
        }
        BOOST_TEST(info_of(s, "nodes").has_value());
        with_a_small_stack([&] { root = nullptr; });
        BOOST_TEST(!info_of(s, "nodes"));
    }
    all_are_gone(size);
}

BOOST_AUTO_TEST_CASE(a_graph_goes_with_the_named_object_that_holds_it)
{
    constexpr std::uint64_t    size = 50'000;
    std::optional<named<root>> found(std::in_place, create_only, s, "root");
    child                      c("grower", {name, std::to_string(size)});
    BOOST_TEST(c.wait(60s) == exited(0));
    census_is(s, size, 2 * size - 1);
    with_a_small_stack([&] { found.reset(); });
    all_are_gone(size);
}

BOOST_AUTO_TEST_CASE(a_graph_whose_holder_dies_is_destroyed_by_the_recoverer)
{
    constexpr std::uint64_t size = 20'000;
    {
        named<root> const found(create_only, s, "root");
        child             c("grower", {name, std::to_string(size)});
        BOOST_TEST(c.wait(60s) == exited(0));
        child holder = ready_child("holder_of_all", {name});
        census_is(s, size, 2 * size);
        found->object = nullptr;
        census_is(s, size, 2 * size - 1);
        holder.kill();
        with_a_small_stack([&] { BOOST_TEST(s.recover(10s).value().objects_destroyed == 1u); }); // the rest follows it
        census_is(s, 0, 0);
    }
    all_are_gone(size);
}

BOOST_AUTO_TEST_CASE(hubs_with_containers_go_with_all_their_spokes)
{
    {
        auto first = make_shared<hub>(s).value();
        for (int n = 0; n < 100; ++n)
        {
            auto const inner = make_shared<hub>(s).value();
            for (int m = 0; m < 100; ++m)
                inner->spokes.emplace_back(make_shared<hub>(s).value());
            inner->spokes.insert(inner->spokes.end(), first->spokes.begin(), first->spokes.end());
            first->spokes.emplace_back(inner);
        }
        census_is(s, 1 + 100 + 10'000, 1 + 100 + 10'000 + 99 * 100 / 2);
        auto const kept = first->spokes[50].share().value();
        with_a_small_stack([&] { first.reset(); });
        census_is(s, 51 + 51 * 100, 1 + 51 * 100 + 51 * 50 / 2); // it refers to all before it, and these to theirs
    }
    all_are_gone(1 + 100 + 10'000);
}

BOOST_AUTO_TEST_SUITE_END()
