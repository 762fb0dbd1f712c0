#include <atrium/pool/pools.hpp>

#include "memory/memory_fixture.hpp"

#include <atrium/memory/counted_objects.hpp>
#include <atrium/memory/make_shared.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/weak_ptr.hpp>
#include <atrium/pool/array_pool.hpp>
#include <atrium/pool/growing_pool.hpp>
#include <atrium/pool/pool.hpp>

#include <algorithm>
#include <random>

using namespace atrium;
using namespace atrium::test;

namespace {

// What no process but the child knows the destructor of.
struct stranger
{
    static constexpr bool is_shareable = true;

    stranger() = default;
    ~stranger() { number = 0; }

    std::uint64_t number = 7;
};

using pointer = segment_ptr<std::uint64_t>;

std::optional<pool_info> pool_named(segment const& in, std::string_view name)
{
    auto const all   = pools(in).value();
    auto const found = std::find_if(all.begin(), all.end(), [&](auto const& pool) { return pool.name == name; });
    return found == all.end() ? std::nullopt : std::optional(*found);
}

std::uint64_t references_of(held_references const& held, participant_id who)
{
    std::uint64_t count = 0;
    for (auto const& [by, references] : held.participants)
        count += by == who ? references : 0;
    return count;
}

segment_options looked_at()
{
    auto options           = small_segment();
    options.detection_time = 10s; // nobody recovers unless told to
    return options;
}

} // namespace

// Refers to three elements and to a heap object.
ATRIUM_TEST_ROLE(referrer)
{
    segment const                          in(open_only, arguments.at(0));
    pool<std::uint64_t>                    numbers(open_only, in, "numbers");
    std::vector<shared_ptr<std::uint64_t>> held;
    for (std::uint64_t n = 0; n < 3; ++n)
        held.push_back(numbers.make(n).value());
    auto const copy  = held.front();
    auto const other = make_shared<stranger>(in).value();
    be_ready_until_told();
    return 0;
}

BOOST_FIXTURE_TEST_SUITE(pool_pools, leaves_nothing)

BOOST_AUTO_TEST_CASE(a_segment_without_pools_and_references_has_none)
{
    segment const in(create_only, unique_name("none"), looked_at());
    BOOST_TEST(pools(in).value().empty());
    BOOST_TEST(counted_objects(in).value().outstanding == 0u);
    segment const flat(create_only, unique_name("flat"), {.flat = true});
    BOOST_TEST(pools(flat).error() == errc::flat_segment);
    BOOST_TEST(counted_objects(flat).error() == errc::flat_segment);
}

BOOST_AUTO_TEST_CASE(a_pool_is_told_with_who_refers_to_it)
{
    segment const             in(create_only, unique_name("told"), looked_at());
    pool<std::uint64_t>       numbers(create_only, in, "numbers", {.capacity = 10});
    array_pool<std::uint16_t> arrays(create_only, in, "arrays", 16, {.capacity = 4, .keep = true});
    child                     other = ready_child("referrer", {in.name()});
    auto const                mine  = numbers.make(1u).value();
    auto const                twice = weak_ptr<std::uint64_t>(mine).lock().value(); // a reference of its own
    named<pointer> const      kept(create_only, in, "kept");
    *kept                    = mine;
    pointer const temporary  = mine; // in ordinary memory
    auto const    of_another = in.participants().at(1).id;
    segment const read_only(open_read_only, in.name());
    for (segment const* const by : {&in, &read_only})
    {
        auto const found = pool_named(*by, "numbers");
        BOOST_REQUIRE(found.has_value());
        BOOST_TEST(found->type == "unsigned long");
        BOOST_TEST(found->length == 1u);
        BOOST_TEST((found->state == pool_state::live));
        BOOST_TEST(to_string(found->state) == "live");
        BOOST_TEST(found->statistics.capacity == 10u);
        BOOST_TEST(found->statistics.outstanding == 4u);
        BOOST_TEST(found->statistics.available == 6u);
        BOOST_TEST(found->statistics.pending == 0u);
        BOOST_TEST(found->statistics.low_water == 6u);
        BOOST_TEST(found->bytes >= 10 * (8 + 16));
        BOOST_TEST(found->holders == 2u);
        BOOST_TEST(!found->kept);
        BOOST_TEST(found->references.in_segment == 1u);
        BOOST_TEST(references_of(found->references, in.self()) == 3u);
        BOOST_TEST(references_of(found->references, of_another) == 3u); // copies count as one

        auto const runs = pool_named(*by, "arrays");
        BOOST_REQUIRE(runs.has_value());
        BOOST_TEST(runs->type == "unsigned short");
        BOOST_TEST(runs->length == 16u);
        BOOST_TEST(runs->kept);
        BOOST_TEST(runs->references.participants.empty());

        auto const objects = counted_objects(*by).value();
        BOOST_TEST(objects.outstanding == 1u);
        BOOST_TEST(objects.pending == 0u);
        BOOST_TEST(references_of(objects.references, of_another) == 1u);
        BOOST_TEST(info_of(*by, "numbers")->state == named_object_state::live);
        BOOST_TEST((info_of(*by, "numbers")->kind == named_object_kind::pool));
        BOOST_TEST((info_of(*by, "kept")->kind == named_object_kind::object));
    }
    let_end(other);
    BOOST_TEST(references_of(pool_named(in, "numbers")->references, of_another) == 0u);
    BOOST_TEST(pool_named(in, "numbers")->holders == 1u);
}

BOOST_AUTO_TEST_CASE(a_dead_process_is_told_until_it_is_recovered_for)
{
    segment             in(create_only, unique_name("dead"), looked_at());
    pool<std::uint64_t> numbers(create_only, in, "numbers", {.capacity = 10});
    child               other = ready_child("referrer", {in.name()});
    auto const          dead  = in.participants().at(1).id;
    other.kill();
    BOOST_TEST(references_of(pool_named(in, "numbers")->references, dead) == 3u);
    auto const report = in.recover(5s).value();
    BOOST_TEST(report.references_released == 4u);
    BOOST_TEST(report.objects_pending == 1u);
    BOOST_TEST(pool_named(in, "numbers")->references.participants.empty());
    BOOST_TEST(pool_named(in, "numbers")->statistics.outstanding == 0u);
    auto const left = counted_objects(in).value();
    BOOST_TEST(left.outstanding == 1u);
    BOOST_TEST(left.pending == 1u);
    BOOST_TEST(left.references.participants.empty());
    BOOST_TEST(make_shared<stranger>(in).has_value()); // knows it from now on
    BOOST_TEST(counted_objects(in).value().outstanding == 0u);
}

BOOST_AUTO_TEST_CASE(a_pool_that_its_elements_keep_is_closing)
{
    segment const                      in(create_only, unique_name("closing"), looked_at());
    named<pointer> const               kept(create_only, in, "kept");
    std::optional<pool<std::uint64_t>> numbers(std::in_place, create_only, in, "numbers");
    *kept = numbers->make(1u).value();
    numbers.reset();
    auto const found = pool_named(in, "numbers");
    BOOST_REQUIRE(found.has_value());
    BOOST_TEST((found->state == pool_state::closing));
    BOOST_TEST(found->holders == 0u);
    BOOST_TEST(found->references.in_segment == 1u);
    BOOST_TEST(info_of(in, "numbers")->state == named_object_state::closing);
    *kept = nullptr;
    BOOST_TEST(pools(in).value().empty());
}

BOOST_AUTO_TEST_CASE(each_generation_of_a_growing_pool_is_one)
{
    segment const                          in(create_only, unique_name("growing"), looked_at());
    growing_pool<std::uint64_t>            numbers(create_only, in, "numbers", {.capacity = 4});
    std::vector<shared_ptr<std::uint64_t>> held;
    for (std::uint64_t n = 0; n < 6; ++n)
        held.push_back(numbers.make(n).value());
    BOOST_TEST(pool_named(in, "numbers.g0")->statistics.outstanding == 4u);
    BOOST_TEST(pool_named(in, "numbers.g1")->statistics.outstanding == 2u);
    held.erase(held.begin(), held.begin() + 4);
    BOOST_TEST(!pool_named(in, "numbers.g0").has_value());
}

BOOST_AUTO_TEST_CASE(damaged_bytes_are_an_error_or_wrong_numbers_but_never_a_crash)
{
    segment                                in(create_only, unique_name("damaged"), looked_at());
    pool<std::uint64_t>                    numbers(create_only, in, "numbers", {.capacity = 10});
    std::vector<shared_ptr<std::uint64_t>> held;
    for (std::uint64_t n = 0; n < 5; ++n)
        held.push_back(numbers.make(n).value());
    named<pointer> const kept(create_only, in, "kept");
    *kept            = held.front();
    auto const other = make_shared<std::uint64_t>(in, 1u).value();

    auto* const       bytes  = reinterpret_cast<unsigned char*>(in.attached()->base());
    auto const        area   = in.attached()->area_of(part_id::memory).value();
    std::size_t const end    = in.size();
    std::size_t       errors = 0;
    auto const        look   = [&] {
        try
        {
            segment const read_only(open_read_only, in.name());
            errors += pools(read_only).has_value() ? 0 : 1;
            errors += counted_objects(read_only).has_value() ? 0 : 1;
            static_cast<void>(named_objects(read_only));
        }
        catch (system_error const&)
        {
            ++errors;
        }
    };
    std::mt19937_64 random(seed());
    for (int round = 0; round < (long_form() ? 200'000 : 4000); ++round)
    {
        // A bit, a word, or many: of the area of the memory part, or of the heap.
        std::size_t const                from   = round % 2 == 0 ? area.offset : in.attached()->data_offset();
        std::size_t const                to     = round % 2 == 0 ? area.offset + area.size : end;
        std::size_t const                length = std::size_t{1} << (round / 2 % 6 * 2);
        std::size_t const                at     = from + random() % (to - from - length);
        std::vector<unsigned char> const before(bytes + at, bytes + at + length);
        if (round % 3 == 0)
            bytes[at] = static_cast<unsigned char>(bytes[at] ^ 1u << random() % 8);
        else
            std::generate(bytes + at, bytes + at + length, [&] { return static_cast<unsigned char>(random()); });
        look();
        std::copy(before.begin(), before.end(), bytes + at);
    }
    // Every bit of the words that say where everything is; and each as zero.
    auto& memory = *detail::memory_of(*in.attached()).value();
    auto  flip   = [&](void const* where, std::size_t length) {
        for (std::size_t bit = 0; bit < length * 8; ++bit)
        {
            auto& byte = bytes[in.attached()->offset_of(where) + bit / 8];
            byte       = static_cast<unsigned char>(byte ^ 1u << bit % 8);
            look();
            byte = static_cast<unsigned char>(byte ^ 1u << bit % 8);
        }
        for (std::size_t word = 0; word < length; word += 8)
        {
            unsigned char* const             at = bytes + in.attached()->offset_of(where) + word;
            std::vector<unsigned char> const before(at, at + 8);
            std::fill(at, at + 8, static_cast<unsigned char>(0));
            look();
            std::copy(before.begin(), before.end(), at);
        }
    };
    flip(&memory.first_cells[in.self().row()], 8);
    flip(in.attached()->base() + memory.first_cells[in.self().row()].load(), sizeof(detail::process_cells));
    flip(&memory.header->record_chunks, 16);
    flip(&memory.header->cell_chunks, 16);
    flip(in.attached()->base() + memory.header->record_chunks[0].load(), sizeof(detail::table_header));
    for (std::uint32_t entry = 0; entry < memory.entry_count; ++entry)
    {
        if ((memory.entry(entry).flags.load() & detail::entry_pool) != 0)
            flip(in.attached()->base() + memory.entry(entry).block.load() - 16, 16 + sizeof(detail::table_header));
    }
    BOOST_TEST(errors > 100u);
    BOOST_TEST(pool_named(in, "numbers")->statistics.outstanding == 5u);
}

BOOST_AUTO_TEST_SUITE_END()
