/// What is under the name is not what it should be: each its own error, never a crash, a hang or SIGBUS.
#include <atrium/segment/segment.hpp>

#include "segment/forged_file.hpp"
#include "segment/segment_file.hpp"
#include "support/child.hpp"
#include "support/leak_check.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <limits>
#include <random>
#include <sys/stat.h>
#include <thread>
#include <vector>

using namespace atrium;
using namespace atrium::test;
using namespace std::chrono_literals;

namespace {

// Small, so that every bit can be flipped in a moment.
segment_options small(bool flat = false)
{
    return {.size           = 16u << 10,
            .maximum_size   = 1u << 20,
            .participants   = 4,
            .lanes          = 4,
            .named_objects  = 4,
            .detection_time = 5ms,
            .flat           = flat,
            .keep           = true};
}

// What all ways of opening say; they must agree.
error_code opening_all_ways(std::string const& name)
{
    auto const code = opening(open_only, name);
    BOOST_TEST(opening(open_or_create, name, small()) == code);
    BOOST_TEST(opening(open_read_only, name) == code);
    return code;
}

// Opens and uses whatever is there; all that is asked is that it ends.
void use_what_is_there(std::string const& name)
{
    try
    {
        segment s(open_only, name);
        static_cast<void>(s.participants());
        static_cast<void>(s.attached()->lane());
        static_cast<void>(s.recover(20ms));
        if (auto bytes = s.flat_memory(); bytes && !bytes->empty())
        {
            bytes->front() = std::byte{1};
            bytes->back()  = std::byte{1};
        }
        static_cast<void>(s.request_close(0s));
    }
    catch (system_error const&)
    {}
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_bad_input, leaves_nothing)

BOOST_AUTO_TEST_CASE(names_are_checked)
{
    for (std::string const& name :
         {std::string(), std::string(64, 'a'), std::string("a/b"), std::string("/"), std::string(".hidden"),
          std::string(".."), std::string("a b"), std::string("\n"), std::string("a\0b", 3), std::string("\xc3\xa4")})
    {
        BOOST_TEST_CONTEXT("name '" << name << "'")
        {
            BOOST_TEST(opening(create_only, name) == errc::name_invalid);
            BOOST_TEST(opening_all_ways(name) == errc::name_invalid);
            BOOST_TEST(segment::remove(name).error() == errc::name_invalid);
        }
    }
    BOOST_TEST(opening(create_only, unique_name("d"), {.domain = "a.b"}) == errc::name_invalid);
    BOOST_TEST(opening(create_only, unique_name("d"), {.domain = std::string(32, 'a')}) == errc::name_invalid);
    BOOST_TEST(opening(create_only, std::string(63, 'z')) == error_code());
}

BOOST_AUTO_TEST_CASE(settings_are_checked)
{
    auto const name = unique_name("settings");
    auto const with = [&](auto change) {
        segment_options options;
        change(options);
        return opening(create_only, name, options);
    };
    BOOST_TEST(with([](auto& o) { o.size = SIZE_MAX; }) == errc::too_large);
    BOOST_TEST(with([](auto& o) { o.size = SIZE_MAX - 4095; }) == errc::too_large);
    BOOST_TEST(with([](auto& o) { o.maximum_size = SIZE_MAX; }) == errc::too_large);
    BOOST_TEST(with([](auto& o) { o.participants = 0; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.participants = 1025; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.participants = std::numeric_limits<std::uint32_t>::max(); }) ==
               errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.lanes = 0; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.lanes = 8193; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.named_objects = 0; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.permissions = 010000; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.detection_time = 0ms; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.detection_time = -1ms; }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) { o.detection_time = std::chrono::milliseconds::max(); }) == errc::invalid_argument);
    BOOST_TEST(with([](auto& o) {
                   o.participants = 1024;
                   o.lanes        = 8192;
               }) == error_code());
    BOOST_TEST(with([](auto& o) { o.size = 0; }) == error_code());
    BOOST_TEST(with([](auto& o) { o.open_timeout = -1ms; }) == error_code());
}

BOOST_AUTO_TEST_CASE(short_files_are_too_short)
{
    auto const  name  = unique_name("short");
    auto const  whole = bytes_of_a_segment(unique_name("model"), {});
    forged_file file(name);
    BOOST_TEST(opening_all_ways(name) == errc::too_short);
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    for (std::size_t const size :
         {std::size_t{1}, std::size_t{7}, std::size_t{8}, std::size_t{311}, std::size_t{312},
          sizeof(detail::segment_header) - 1, sizeof(detail::segment_header), detail::header_size, whole.size() - 1})
    {
        BOOST_TEST_CONTEXT(size << " bytes")
        {
            file.resize(0);
            file.write(0, std::span(whole).first(size));
            BOOST_TEST(opening_all_ways(name) == errc::too_short);
            BOOST_TEST(segment::remove(name).error() == errc::too_short);
        }
    }
    file.write(0, whole);
    BOOST_TEST(opening_as_another(name) == error_code());
}

BOOST_AUTO_TEST_CASE(what_is_no_segment_is_removed_by_force_only)
{
    auto const        name = unique_name("foreign");
    std::vector const bytes(std::size_t{8192}, std::byte{0x5a});
    forged_file const file(name, bytes);
    BOOST_TEST(opening_all_ways(name) == errc::not_a_segment);
    BOOST_TEST(opening(create_only, name) == errc::already_exists);
    BOOST_TEST(segment::remove(name).error() == errc::not_a_segment);
    BOOST_TEST(is_there(name));
    BOOST_TEST(segment::remove(name, true).has_value());
    BOOST_TEST(!is_there(name));
}

BOOST_AUTO_TEST_CASE(a_link_a_directory_and_a_pipe_are_no_segments)
{
    auto const    name = unique_name("irregular");
    auto const    path = path_of(name);
    auto const    kept = unique_name("target");
    segment const target(create_only, kept);

    BOOST_REQUIRE(::symlink(path_of(kept).c_str(), path.c_str()) == 0);
    BOOST_TEST(opening_all_ways(name) == errc::not_a_segment);
    BOOST_TEST(segment::remove(name).error() == errc::not_a_segment);
    BOOST_TEST(segment::remove(name, true).has_value());
    BOOST_TEST(!is_there(name));
    BOOST_TEST(is_there(kept));

    BOOST_REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    BOOST_TEST(opening_all_ways(name) == errc::not_a_segment);
    BOOST_TEST(segment::remove(name, true).has_value());
    BOOST_TEST(!is_there(name));

    BOOST_REQUIRE(::mkdir(path.c_str(), 0700) == 0);
    BOOST_TEST(opening_all_ways(name) == errc::not_a_segment);
    BOOST_TEST(segment::remove(name, true).error() == errc::not_a_segment); // a directory is not ours to remove
    BOOST_REQUIRE(::rmdir(path.c_str()) == 0);
}

BOOST_AUTO_TEST_CASE(other_versions_and_platforms_are_told_apart)
{
    using detail::segment_identity;
    auto const name  = unique_name("version");
    auto const whole = bytes_of_a_segment(unique_name("model"), {});
    auto const with  = [&](auto field, auto value) {
        auto bytes = whole;
        set_field(bytes, field, value);
        forged_file const file(name, bytes);
        return opening_all_ways(name);
    };
    BOOST_TEST(with(&segment_identity::layout_version, detail::segment_layout_version + 1) == errc::version_mismatch);
    BOOST_TEST(with(&segment_identity::layout_version, std::uint32_t{0}) == errc::version_mismatch);
    BOOST_TEST(with(&segment_identity::magic, __builtin_bswap64(detail::segment_magic)) == errc::platform_mismatch);
    BOOST_TEST(with(&segment_identity::byte_order, std::uint32_t{0x04030201}) == errc::platform_mismatch);
    BOOST_TEST(with(&segment_identity::word_size, std::uint32_t{4}) == errc::platform_mismatch);
    BOOST_TEST(with(&segment_identity::page_size, std::uint32_t{65536}) == errc::platform_mismatch);
    BOOST_TEST(with(&segment_identity::owner, std::uint32_t{12345}) == errc::wrong_owner);
    BOOST_TEST(with(&segment_identity::flags, std::uint32_t{1u << 31}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::participants, std::uint32_t{0}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::participants, std::uint32_t{1025}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::lanes, std::uint32_t{0xffffffff}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::area_count, std::uint32_t{9}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::participants_offset, ~std::uint64_t{127}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::lanes_offset, ~std::uint64_t{63}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::lanes_offset, std::uint64_t{0}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::lanes_offset, std::uint64_t{detail::header_size}) ==
               errc::corrupted);                                                       // the rows'
    BOOST_TEST(with(&segment_identity::lanes, std::uint32_t{512}) == errc::corrupted); // into the next area
    BOOST_TEST(with(&segment_identity::data_offset, ~std::uint64_t{4095}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::data_offset, std::uint64_t{4097}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::initial_size, ~std::uint64_t{0}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::maximum_size, ~std::uint64_t{4095}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::maximum_size, std::uint64_t{4096}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::detection_time, std::uint64_t{0}) == errc::corrupted);
    BOOST_TEST(with(&segment_identity::detection_time, ~std::uint64_t{0}) == errc::corrupted);
}

BOOST_AUTO_TEST_CASE(a_part_without_its_area_or_the_areas_of_others_is_corrupted)
{
    auto const name  = unique_name("areas");
    auto const whole = bytes_of_a_segment(unique_name("model"), small());
    auto const with  = [&](auto change) {
        auto bytes = whole;
        change_identity(bytes, change);
        forged_file const file(name, bytes);
        return opening_all_ways(name);
    };
    BOOST_TEST(with([](auto&) {}) == error_code());
    detail::segment_identity identity;
    std::memcpy(&identity, whole.data(), sizeof(identity));
    for (std::uint32_t n = 0; n < identity.area_count; ++n)
    {
        BOOST_TEST_CONTEXT("area " << n << " is nobody's")
        {
            BOOST_TEST(with([n](auto& i) { i.areas[n].part = 77; }) == errc::corrupted);
        }
    }
    BOOST_TEST(with([](auto& i) { i.area_count = 1; }) == errc::corrupted);
    BOOST_TEST(with([](auto& i) { i.flags |= detail::flag_flat; }) == errc::corrupted);
}

BOOST_AUTO_TEST_CASE(a_segment_cut_anywhere_is_too_short)
{
    auto const  name  = unique_name("cut");
    auto const  whole = bytes_of_a_segment(unique_name("model"), small());
    forged_file file(name, whole);
    for (std::size_t size = sizeof(detail::segment_header); size < whole.size(); size += 1021)
    {
        file.resize(size);
        BOOST_TEST(opening_all_ways(name) == errc::too_short);
    }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_of_the_identity_is_noticed)
{
    auto const  name  = unique_name("flip");
    auto const  whole = bytes_of_a_segment(unique_name("model"), small());
    forged_file file(name, whole);
    for (std::size_t bit = 0; bit < sizeof(detail::segment_identity) * 8; ++bit)
    {
        auto byte = whole[bit / 8] ^ (std::byte{1} << bit % 8);
        file.write(bit / 8, std::span(&byte, 1));
        auto const code = opening(open_only, name);
        if (!code)
            BOOST_ERROR("bit " << bit << " was flipped, and not noticed");
        byte = whole[bit / 8];
        file.write(bit / 8, std::span(&byte, 1));
    }
    BOOST_TEST(opening(open_only, name) == error_code());
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_of_a_liar_is_survived)
{
    for (bool const flat : {false, true})
    {
        auto const  name  = unique_name("lie");
        auto const  whole = bytes_of_a_segment(unique_name("model"), small(flat));
        forged_file file(name, whole);
        for (std::size_t bit = 0; bit < offsetof(detail::segment_identity, crc) * 8; ++bit)
        {
            auto bytes = whole;
            bytes[bit / 8] ^= std::byte{1} << bit % 8;
            fix_checksum(bytes);
            file.write(0, bytes);
            use_what_is_there(name);
        }
    }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_behind_the_identity_is_survived)
{
    auto const  name  = unique_name("flip");
    auto const  whole = bytes_of_a_segment(unique_name("model"), small(true));
    forged_file file(name, whole);
    auto const  tables_end = detail::header_size + 4 * sizeof(detail::participant_row) + 4 * sizeof(atrium::lane_row);
    for (std::size_t bit = sizeof(detail::segment_identity) * 8; bit < tables_end * 8; ++bit)
    {
        if (bit / 8 >= sizeof(detail::segment_header) && bit / 8 < detail::header_size)
            continue; // nothing is kept there
        if (bit == offsetof(detail::segment_header, status) * 8 + 1)
            continue; // "retired": the opener removes the name, rightly
        auto bytes = whole;
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
        file.write(0, bytes);
        use_what_is_there(name);
    }
}

BOOST_AUTO_TEST_CASE(rows_full_of_noise_are_recovered)
{
    std::mt19937_64 random(seed());
    for (int round = 0; round < 200; ++round)
    {
        auto const name  = unique_name("noise");
        auto       bytes = bytes_of_a_segment(unique_name("model"), small(true));
        for (std::size_t at = detail::header_size; at < detail::header_size + 4 * (128 + 64); ++at)
            bytes[at] = static_cast<std::byte>(random());
        bytes[detail::header_size] |= std::byte{1}; // one of them at least seems to have attached
        forged_file const file(name, bytes);
        segment           s(open_only, name);
        BOOST_TEST(s.recover(5s).has_value());
        BOOST_TEST(s.participants().size() == 1u);
        BOOST_TEST(s.attached()->lane().has_value());
    }
}

BOOST_AUTO_TEST_CASE(a_number_of_participants_that_nobody_can_have_drawn_is_corrupted)
{
    auto const name  = unique_name("number");
    auto       bytes = bytes_of_a_segment(unique_name("model"), small());
    for (std::uint64_t const number : {std::uint64_t{0}, std::uint64_t{1} << 48, ~std::uint64_t{0}})
    {
        std::memcpy(bytes.data() + offsetof(detail::segment_header, next_incarnation), &number, sizeof(number));
        forged_file const file(name, bytes);
        BOOST_TEST(opening(open_only, name) == errc::corrupted);
    }
}

BOOST_AUTO_TEST_CASE(a_size_that_a_peer_has_scribbled_into_a_flat_segment_is_not_believed)
{
    auto const    name = unique_name("scribble");
    segment       s(create_only, name, {.maximum_size = 8u << 20, .flat = true});
    segment const reader(open_read_only, name);
    auto const    size   = s.flat_memory().value().size();
    auto&         header = *reinterpret_cast<detail::segment_header*>(s.attached()->base());
    auto const    honest = header.committed.load();
    for (std::uint64_t const lie : {~std::uint64_t{0}, std::uint64_t{8} << 20, std::uint64_t{0}, std::uint64_t{4096}})
    {
        header.committed.store(lie);
        for (segment const* handle : std::array<segment const*, 2>{&s, &reader})
        {
            auto const bytes = handle->flat_memory().value();
            BOOST_TEST(bytes.size() <= size);
            for (std::byte const& byte : bytes)
                static_cast<void>(*const_cast<std::byte const volatile*>(&byte)); // no SIGBUS
        }
    }
    header.committed.store(honest);
    BOOST_TEST(s.grow_flat_memory(1u << 20).has_value());
    BOOST_TEST(reader.flat_memory().value().size() >= 1u << 20);
}

BOOST_AUTO_TEST_CASE(the_65th_participant_is_refused_and_the_rows_of_the_dead_are_reused)
{
    auto const                     name = unique_name("full");
    segment                        s(create_only, name, {.participants = 64});
    std::vector<segment>           others;
    detail::unshared_opening const as_others;
    for (int n = 1; n < 64; ++n)
        others.emplace_back(open_only, name);
    BOOST_TEST(s.participants().size() == 64u);
    BOOST_TEST(count(s, liveness::alive) == 64u);
    BOOST_TEST(opening(open_only, name) == errc::too_many_participants);
    BOOST_TEST(opening(open_or_create, name) == errc::too_many_participants);
    others.pop_back();
    segment const again(open_only, name);
    BOOST_TEST(opening(open_only, name) == errc::too_many_participants);
}

BOOST_AUTO_TEST_CASE(all_lanes_are_taken)
{
    auto const    name = unique_name("lanes");
    segment const s(create_only, name, {.lanes = 2});
    BOOST_TEST(s.attached()->lane().has_value());
    std::thread([&] {
        BOOST_TEST(s.attached()->lane().has_value());
        BOOST_TEST(s.attached()->lane().value() == s.attached()->lane().value());
        std::thread([&] { BOOST_TEST(s.attached()->lane().error() == errc::too_many_lanes); }).join();
    }).join();
    std::thread([&] { BOOST_TEST(s.attached()->lane().has_value()); }).join(); // given back
}

BOOST_AUTO_TEST_SUITE_END()
