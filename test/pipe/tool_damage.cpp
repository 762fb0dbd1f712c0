// Routers and pipes whose bytes somebody has damaged, looked at through a mapping for reading: there are wrong numbers, or
// problems, but nothing crashes and nothing hangs.
#include "pipe/tool_fixture.hpp"

#include "memory/memory_state.hpp"
#include "pipe/router_view.hpp"

#include <atrium/memory/named_objects.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

using namespace atrium;
using namespace atrium::test;

namespace {

struct bytes_at
{
    std::uint64_t offset;
    std::uint64_t size;
};

detail::router_view view_of_the_router(segment const& in)
{
    for (std::uint32_t entry = 0; entry < looked_at().named_objects; ++entry)
    {
        auto const place = detail::structure_at(*in.attached(), part_id::pipe, entry);
        auto const view  = place ? detail::router_view::attach(*in.attached(), place->block, place->size)
                                 : result<detail::router_view>(errc::not_found);
        if (view)
            return *view;
    }
    throw std::runtime_error("there is no router");
}

// The rings of its pipes.
std::vector<detail::reference_ring> rings_of(detail::router_view const& view)
{
    std::vector<detail::reference_ring> all;
    detail::for_each_slot(view, [&](std::uint64_t, detail::pipe_slot const& slot) {
        auto const lanes = view.lanes_of(slot);
        for (std::uint64_t sender = 0; lanes && sender < view.shape().senders(); ++sender)
        {
            if (auto const ring = view.ring_of(lanes, sender, slot.generation.load()))
                all.push_back(ring);
        }
    });
    return all;
}

// All that routers and pipes consist of, with the heads of the blocks in which it lies.
std::vector<bytes_at> bytes_of_the_router(segment const& in)
{
    constexpr std::uint64_t   head = 16;
    detail::router_view const view = view_of_the_router(in);
    std::vector<bytes_at>     all{{view.block() - head, head + view.shape().bytes()}};
    detail::for_each_slot(view, [&](std::uint64_t, detail::pipe_slot const& slot) {
        if (!view.lanes_of(slot))
            return;
        all.push_back({slot.lanes.load() - head, head + detail::lane_table::bytes(view.shape().senders())});
        all.push_back({slot.block.load() - head, head + sizeof(detail::pipe_header)});
    });
    for (detail::reference_ring const& ring : rings_of(view))
        all.push_back({ring.offset() - head, head + detail::reference_ring::bytes(ring.capacity())});
    for (std::uint64_t sender = 0; sender < view.shape().senders(); ++sender)
    {
        if (std::uint64_t const block = view.sender_link(sender).load(); block != 0)
            all.push_back({block - head, head + sizeof(detail::sender_block)});
    }
    return all;
}

void look(segment const& in)
{
    try
    {
        segment const read_only(open_read_only, in.name());
        static_cast<void>(routers(read_only));
        static_cast<void>(named_objects(read_only));
    }
    catch (system_error const&)
    {}
}

std::uint64_t& word_at(segment const& in, std::uint64_t offset)
{
    return *reinterpret_cast<std::uint64_t*>(in.attached()->base() + offset);
}

// What a damaged word may be: anything, or nearly right.
std::uint64_t damaged(std::uint64_t word, segment const& in, std::mt19937_64& random)
{
    switch (random() % 7)
    {
    case 0:
        return word ^ std::uint64_t{1} << random() % 64;
    case 1:
        return random();
    case 2:
        return random() % (2 * in.attached()->maximum_size()) / 64 * 64;
    case 3:
        return in.attached()->committed() - random() % 64 * 16; // as an offset: at the very end
    case 4:
        return ~std::uint64_t{0} >> random() % 64;
    case 5:
        return std::uint64_t{1} << random() % 64;
    default:
        return word + random() % 256;
    }
}

// A scene that is damaged and looked at again and again, and is as before in the end.
struct damaged_scene
{
    scene           s;
    child           sender = s.start_sender(false);
    std::mt19937_64 random{seed()};

    // Some words of it, for as long as somebody looks.
    template <class Look> void damage(std::size_t words, std::vector<bytes_at> const& parts, Look look_at_it)
    {
        std::vector<std::pair<std::uint64_t, std::uint64_t>> before;
        for (std::size_t n = 0; n < words; ++n)
        {
            bytes_at const      part = parts[random() % parts.size()];
            std::uint64_t const at   = part.offset + random() % (part.size / 8) * 8;
            before.emplace_back(at, word_at(s.in, at));
            word_at(s.in, at) = damaged(word_at(s.in, at), s.in, random);
        }
        look_at_it();
        for (; !before.empty(); before.pop_back())
            word_at(s.in, before.back().first) = before.back().second;
    }
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(pipe_tool_damage, leaves_nothing)

BOOST_AUTO_TEST_CASE(damaged_words_are_wrong_numbers_but_never_a_crash)
{
    damaged_scene all;
    auto const    parts = bytes_of_the_router(all.s.in);
    BOOST_TEST(parts.size() == 1u + 3 * 2 + 1);
    for (int round = 0; round < (long_form() ? 400'000 : 30'000); ++round)
        all.damage(std::size_t{1} << round % 8, parts, [&] { look(all.s.in); });
    BOOST_TEST(routers(all.s.in).value().at(0).pipes.size() == 2u);
    end(all.sender);
}

BOOST_AUTO_TEST_CASE(every_word_may_be_too_large_or_an_offset_of_the_end)
{
    damaged_scene  all;
    segment const& in = all.s.in;
    for (bytes_at const part : bytes_of_the_router(in))
    {
        for (std::uint64_t at = part.offset; at < part.offset + part.size; at += 8)
        {
            std::uint64_t const before = word_at(in, at);
            std::uint64_t const end    = in.attached()->committed();
            for (std::uint64_t const word : {std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0} >> 2, end - 64, end,
                                             in.attached()->maximum_size() - 64, before + 64})
            {
                word_at(in, at) = word;
                look(in);
            }
            for (unsigned bit = 0; bit < 64; bit += long_form() ? 1 : 5)
            {
                word_at(in, at) = before ^ std::uint64_t{1} << bit;
                look(in);
            }
            word_at(in, at) = before;
        }
    }
    end(all.sender);
}

BOOST_AUTO_TEST_CASE(words_of_the_heap_and_of_the_directory_may_be_anything_as_well)
{
    damaged_scene  all;
    segment const& in    = all.s.in;
    auto const     area  = in.attached()->area_of(part_id::memory).value();
    auto           parts = bytes_of_the_router(in);
    parts.push_back({in.attached()->data_offset(), in.attached()->committed() - in.attached()->data_offset()});
    for (int n = 0; n < 4; ++n)
        parts.push_back({area.offset, area.size / 8 * 8});
    for (int round = 0; round < (long_form() ? 400'000 : 30'000); ++round)
        all.damage(std::size_t{1} << round % 8, parts, [&] { look(in); });
    end(all.sender);
}

// A ring that says that it is larger than the memory, and its block, and the heap.
BOOST_AUTO_TEST_CASE(a_ring_is_not_read_where_there_is_no_memory)
{
    damaged_scene  all;
    segment const& in       = all.s.in;
    auto&          heap     = detail::memory_of(*in.attached()).value()->header->heap;
    auto const     rings    = rings_of(view_of_the_router(in));
    auto const     heap_end = heap.end.exchange(in.attached()->maximum_size());
    BOOST_TEST(rings.size() == 2u);
    for (detail::reference_ring const& ring : rings)
    {
        detail::ring_header& header   = ring.header();
        std::uint64_t const  size     = std::exchange(word_at(in, ring.offset() - 16), 2u << 20);
        auto const           capacity = header.capacity.exchange(1u << 14);
        auto const           head     = header.head.position.exchange((1u << 14) - 2);
        auto const           tail     = header.tail.exchange((1u << 14) - 1);
        look(in);
        word_at(in, ring.offset() - 16) = size;
        header.capacity.store(capacity);
        header.head.position.store(head);
        header.tail.store(tail);
    }
    heap.end.store(heap_end);
    end(all.sender);
}

// A heap that says that it is larger than its memory believes in blocks that are not there.
BOOST_AUTO_TEST_CASE(nothing_is_read_that_has_no_memory)
{
    damaged_scene         all;
    segment const&        in     = all.s.in;
    auto&                 memory = *detail::memory_of(*in.attached()).value();
    std::vector<bytes_at> parts;
    for (bytes_at const part : bytes_of_the_router(in))
        parts.push_back({part.offset, std::min<std::uint64_t>(part.size, 16 + sizeof(detail::ring_header))});
    for (std::uint32_t entry = 0; entry < 4; ++entry)
        parts.push_back({in.attached()->offset_of(&memory.entry(entry).block), sizeof(std::uint64_t)});
    std::uint64_t const heap_end = memory.header->heap.end.load();
    for (int round = 0; round < (long_form() ? 400'000 : 30'000); ++round)
    {
        memory.header->heap.end.store(in.attached()->maximum_size());
        all.damage(std::size_t{1} << round % 8, parts, [&] { look(in); });
        memory.header->heap.end.store(heap_end);
    }
    end(all.sender);
}

BOOST_AUTO_TEST_CASE(show_of_a_damaged_router_tells_all_the_rest)
{
    damaged_scene all;
    auto& places = word_at(all.s.in, view_of_the_router(all.s.in).block() + offsetof(detail::router_header, pipes));
    std::uint64_t const pipes  = std::exchange(places, std::uint64_t{1} << 40);
    auto const          run    = run_tool({"show", all.s.in.name(), "--json"});
    auto const          people = run_tool({"show", all.s.in.name()});
    places                     = pipes;
    BOOST_TEST_CONTEXT(run)
    {
        BOOST_TEST(run.status == 1);
        auto const document = run.json();
        BOOST_TEST(document.at("problems").as_array().size() == 1u);
        BOOST_REQUIRE(document.at("routers").as_array().size() == 1u);
        auto const& router = document.at("routers").at(0);
        BOOST_TEST(text(router.at("name")) == "frames");
        BOOST_TEST(router.at("damaged").as_bool());
        BOOST_TEST(document.at("pools").as_array().size() == 1u);
    }
    BOOST_TEST(people.says("damaged"));
    BOOST_TEST(people.says("Cannot be told: router 'frames'"));
    BOOST_TEST(run_tool({"show", all.s.in.name()}).status == 0);
    end(all.sender);
}

BOOST_AUTO_TEST_CASE(show_comes_to_its_end_whatever_is_damaged)
{
    damaged_scene all;
    auto const    parts = bytes_of_the_router(all.s.in);
    for (int round = 0; round < (long_form() ? 1000 : 30); ++round)
    {
        all.damage(std::size_t{1} << round % 10, parts, [&] {
            auto const run = run_tool({"show", all.s.in.name(), "--json"});
            BOOST_TEST_CONTEXT("round " << round << " " << run)
            {
                BOOST_TEST((run.status == 0 || run.status == 1));
                BOOST_CHECK_NO_THROW(static_cast<void>(run.json()));
            }
            BOOST_TEST((run_tool({"show", all.s.in.name()}).status <= 1));
        });
    }
    end(all.sender);
}

BOOST_AUTO_TEST_SUITE_END()
