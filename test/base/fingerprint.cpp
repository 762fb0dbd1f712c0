#include <atrium/base/fingerprint.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>
#include <vector>

using namespace atrium;

namespace {

struct frame
{
    std::uint64_t stamp, width, height;
};

struct names
{
    std::uint64_t words[3];
};

struct plain
{
    alignas(32) char bytes[32];
};

} // namespace

template <> struct atrium::type_identity<frame>
{
    static constexpr std::string_view name    = "frame";
    static constexpr std::uint32_t    version = 2;
};

template <> struct atrium::type_identity<names>
{
    static constexpr std::string_view name = "names";
};

template <> inline constexpr bool atrium::depends_on_boost_layout<names> = true;

BOOST_AUTO_TEST_SUITE(base_fingerprint)

// The published vectors of FNV-1a with 64 bits.
BOOST_AUTO_TEST_CASE(the_hash_is_fnv_1a)
{
    BOOST_TEST(fnv1a_64("") == 0xcbf29ce484222325u);
    BOOST_TEST(fnv1a_64("a") == 0xaf63dc4c8601ec8cu);
    BOOST_TEST(fnv1a_64("foobar") == 0x85944171f73967e8u);
    BOOST_TEST(fnv1a_64("\xff") == (0xcbf29ce484222325u ^ 0xffu) * 0x100000001b3u); // bytes, whatever char is
    static_assert(fnv1a_64("a") == 0xaf63dc4c8601ec8cu);
}

// The vectors of lib/base/DESIGN.md: other languages compute the same.
BOOST_AUTO_TEST_CASE(fingerprints_are_hashes_of_the_canonical_string)
{
    fingerprint const made = fingerprint_of<frame>();
    BOOST_TEST(made.canonical(0) == "frame|24|8|2|0");
    BOOST_TEST(made.hash == 0xc62ac43a486cb012u);
    BOOST_TEST(fingerprint_of<int>().canonical(0) == "int|4|4|0|0");
    BOOST_TEST(fingerprint_of<int>().hash == 0xf3f3d2a7f8be23deu);
    BOOST_TEST(detail::make_fingerprint("names", 24, 8, 0, 1081).hash == 0x1b3474ce191c73bbu);
}

BOOST_AUTO_TEST_CASE(a_type_that_depends_on_boost_carries_boosts_minor_release)
{
    fingerprint const made = fingerprint_of<names>();
    BOOST_TEST(made.hash == fnv1a_64(made.canonical(BOOST_VERSION / 100)));
    BOOST_TEST(made.hash != fnv1a_64(made.canonical(0)));
}

BOOST_AUTO_TEST_CASE(size_alignment_and_version_are_part_of_it)
{
    fingerprint const made = fingerprint_of<plain>();
    BOOST_TEST(made.size == 32u);
    BOOST_TEST(made.align == 32u);
    BOOST_TEST(made.version == 0u);
    auto const base = detail::make_fingerprint("t", 8, 8, 0, 0);
    BOOST_TEST((base == detail::make_fingerprint("t", 8, 8, 0, 0)));
    BOOST_TEST((base != detail::make_fingerprint("u", 8, 8, 0, 0)));
    BOOST_TEST((base != detail::make_fingerprint("t", 16, 8, 0, 0)));
    BOOST_TEST((base != detail::make_fingerprint("t", 8, 4, 0, 0)));
    BOOST_TEST((base != detail::make_fingerprint("t", 8, 8, 1, 0)));
    BOOST_TEST((base != detail::make_fingerprint("t", 8, 8, 0, 1081)));
}

BOOST_AUTO_TEST_CASE(a_type_without_a_given_name_has_the_compilers)
{
    BOOST_TEST(fingerprint_of<unsigned long>().name == "unsigned long");
    BOOST_TEST(fingerprint_of<std::vector<int>>().name == "std::vector<int, std::allocator<int> >");
}

BOOST_AUTO_TEST_SUITE_END()
