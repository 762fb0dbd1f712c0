#include "segment/tool_program.hpp"

#include "segment/segment_file.hpp"
#include "support/leak_check.hpp"

#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/pool/pool.hpp>
#include <atrium/segment/detail/layout.hpp>

#include <boost/json/object.hpp>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <random>
#include <sys/stat.h>

using namespace atrium;
using namespace atrium::test;

namespace {

void write_file(std::string const& name, std::string_view bytes)
{
    std::ofstream(path_of(name), std::ios::binary) << bytes;
}

// Some that are no segments, each of another kind.
std::vector<std::string> make_garbage()
{
    std::vector<std::string> names;
    for (char const* kind : {"empty", "short", "foreign", "long", "fifo", "link"})
        names.push_back(unique_name(kind));
    write_file(names[0], "");
    write_file(names[1], "ATRIUM");
    write_file(names[2], std::string(8192, 'x'));
    write_file(names[3], std::string(1u << 20, '\xff'));
    BOOST_REQUIRE(::mkfifo(path_of(names[4]).c_str(), 0600) == 0);
    std::filesystem::create_symlink("/etc/passwd", path_of(names[5]));
    return names;
}

} // namespace

BOOST_FIXTURE_TEST_SUITE(segment_tool_damage, leaves_nothing)

BOOST_AUTO_TEST_CASE(what_is_no_segment_is_named_and_left_alone_unless_forced)
{
    auto const    names = make_garbage();
    auto const    live  = unique_name("live");
    segment const s(create_only, live);
    auto const    listed = run_here({"list", "--json"});
    BOOST_TEST(listed.status == 1);
    for (auto const& name : names)
    {
        BOOST_TEST_CONTEXT(name)
        {
            auto const found = entry(listed.json(), name);
            BOOST_REQUIRE(found.is_object());
            BOOST_TEST(text(found.at("condition")) == "unusable");
            BOOST_TEST(found.at("error").is_object());
            for (std::string const command : {"show", "recover"})
            {
                auto const run = run_tool({command, name, "--json"});
                BOOST_TEST(run.status == 4);
                BOOST_TEST(run.json().at("error").at("code") == found.at("error").at("code"));
                BOOST_TEST(run.complains(path_of(name)));
            }
        }
    }
    BOOST_TEST(run_here({"list"}).says("not an atrium segment"));
    auto const mild = run_here({"clean"});
    BOOST_TEST(mild.status == 1);
    BOOST_TEST(mild.says("--force"));
    BOOST_TEST(run_here({"clean", "--force", "--dry-run"}).says("Would remove 6 segments"));
    for (auto const& name : names)
        BOOST_TEST(is_there(name));
    BOOST_TEST(run_here({"clean", "--force"}).status == 0);
    for (auto const& name : names)
        BOOST_TEST(!is_there(name));
    BOOST_TEST(is_there(live));
    BOOST_TEST(std::filesystem::exists("/etc/passwd"));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_removed_is_a_failure_that_says_so)
{
    auto const name = unique_name("directory");
    std::filesystem::create_directory(path_of(name));
    auto const run = run_here({"clean", "--force", "--json"});
    BOOST_TEST(run.status == 4);
    BOOST_TEST(text(entry(run.json(), name).at("action")) == "failed");
    BOOST_TEST(entry(run.json(), name).at("error").is_object());
    std::filesystem::remove(path_of(name));
}

BOOST_AUTO_TEST_CASE(a_damaged_segment_never_crashes_the_tool)
{
    auto const name = unique_name("damaged");
    {
        segment const              s(create_only, name, {.keep = true});
        named<std::uint64_t> const kept(create_only, s, "counter", named_options{.keep = true}, std::uint64_t{1});
        pool<std::uint64_t>        numbers(create_only, s, "numbers", {.capacity = 100, .keep = true});
        named<segment_ptr<std::uint64_t>> const last(create_only, s, "last", named_options{.keep = true});
        *last = numbers.make(2u).value();
    }
    std::string whole(std::filesystem::file_size(path_of(name)), '\0');
    std::ifstream(path_of(name), std::ios::binary).read(whole.data(), static_cast<std::streamsize>(whole.size()));
    std::mt19937_64 random(seed());
    for (int round = 0; round < (long_form() ? 2000 : 40); ++round)
    {
        std::string bytes = whole;
        // Behind the fields that the checksum covers; every fourth time anywhere.
        std::size_t const from = round % 4 == 0 ? 0 : sizeof(detail::segment_identity);
        std::size_t const to   = round % 2 == 0 ? 4096 : bytes.size();
        for (int n = 0; n < 1 << (round % 16); ++n)
            bytes[from + random() % (to - from)] = static_cast<char>(random());
        if (round % 8 == 7)
            bytes.resize(random() % bytes.size());
        write_file(name, bytes);
        for (auto const& line :
             {std::vector<std::string>{"show", name, "--json"}, {"list", "--json", "--domain", default_domain()}})
        {
            auto const run = run_tool(line);
            BOOST_TEST_CONTEXT("round " << round << " " << run)
            {
                BOOST_TEST((run.status == 0 || run.status == 1 || run.status == 4));
                BOOST_CHECK_NO_THROW(static_cast<void>(run.json()));
            }
        }
        auto const recovered = run_tool({"recover", name, "--timeout", "1"});
        BOOST_TEST_CONTEXT("round " << round << " " << recovered)
        BOOST_TEST((recovered.status == 0 || recovered.status == 4));
    }
    BOOST_TEST(run_here({"clean", "--kept", "--force"}).status == 0);
}

BOOST_AUTO_TEST_SUITE_END()
