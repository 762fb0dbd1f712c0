/// Feeds segments that lie: a file under a segment's name, made of a true one and of what the fuzzer says, is opened
/// and used like any other.
///
/// The last byte of the input chooses how: bit 0 lets the checksum fit, bit 1 takes a flat segment, bit 2 cuts the file
/// to the input's length, bit 3 reads the input as triples (offset, 16 bits; pattern) that are XORed into the true
/// bytes instead of bytes that replace the first ones.
#include "segment/layout.hpp"
#include "segment/opening.hpp"

#include <atrium/segment/segment.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

using namespace atrium;
using namespace std::chrono_literals;

namespace {

using bytes_type = std::vector<std::byte>;

std::string const& own_domain()
{
    static std::string const domain = "fuzz" + std::to_string(::getpid());
    return domain;
}

segment_options options_for(bool flat)
{
    return {.size           = 32u << 10,
            .maximum_size   = 1u << 20,
            .participants   = 4,
            .lanes          = 4,
            .named_objects  = 4,
            .detection_time = 1ms,
            .flat           = flat,
            .domain         = own_domain()};
}

bytes_type true_bytes(bool flat)
{
    segment const          made(create_only, "true", options_for(flat));
    std::byte const* const from = made.attached()->base();
    bytes_type             bytes(from, from + made.size());
    std::memset(bytes.data() + detail::header_size, 0, sizeof(detail::participant_row)); // its user has left
    return bytes;
}

bytes_type bytes_of(std::span<std::uint8_t const> input, unsigned how)
{
    static bytes_type const models[2] = {true_bytes(false), true_bytes(true)};

    bytes_type bytes = models[(how >> 1) & 1];
    if ((how & 8) != 0)
    {
        for (; input.size() >= 3; input = input.subspan(3))
            bytes[(input[0] + 256u * input[1]) % bytes.size()] ^= std::byte{input[2]};
    }
    else
        std::memcpy(bytes.data(), input.data(), std::min(input.size(), bytes.size()));
    if ((how & 1) != 0)
    {
        detail::segment_identity identity;
        std::memcpy(&identity, bytes.data(), sizeof(identity));
        identity.crc = detail::checksum(identity);
        std::memcpy(bytes.data(), &identity, sizeof(identity));
    }
    if ((how & 4) != 0)
        bytes.resize(std::min(input.size(), bytes.size()));
    return bytes;
}

void holds(bool condition)
{
    if (!condition)
        std::abort();
}

// What is said of a header that passes must be true.
void check_reading(std::span<std::byte const> bytes)
{
    auto const header = detail::read_header(bytes, bytes.size());
    if (!header)
        return;
    detail::segment_identity const& i = header->identity;
    holds(header->committed <= bytes.size() && header->committed <= i.maximum_size);
    std::uint64_t at      = detail::header_size; // the tables follow each other, and none reaches into another
    auto const    follows = [&](std::uint64_t offset, std::uint64_t size) {
        holds(offset >= at && offset + size >= offset);
        at = offset + size;
    };
    follows(i.participants_offset, i.participants * sizeof(detail::participant_row));
    follows(i.lanes_offset, detail::lane_rows(i) * sizeof(lane_row));
    for (std::uint32_t n = 0; n < i.area_count; ++n)
        follows(i.areas[n].offset, i.areas[n].size);
    holds(at <= i.data_offset && i.data_offset <= header->committed);
}

void use(segment& s)
{
    static_cast<void>(s.participants());
    static_cast<void>(s.attached()->lane());
    static_cast<void>(s.recover(1ms));
    static_cast<void>(s.status());
    if (auto bytes = s.flat_memory(); bytes && !bytes->empty())
    {
        bytes->front() = std::byte{1};
        bytes->back()  = std::byte{1};
        static_cast<void>(s.grow_flat_memory(bytes->size() + 4096));
    }
    static_cast<void>(s.request_close(0s));
}

void open_and_use(bytes_type const& bytes)
{
    auto const file = "/dev/shm/" + detail::file_name("fuzzed", own_domain()).value();
    int const  made = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    holds(made >= 0 && ::write(made, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    ::close(made);
    try
    {
        segment reader(open_read_only, "fuzzed", {.domain = own_domain()});
        static_cast<void>(reader.participants());
        static_cast<void>(reader.flat_memory());
    }
    catch (system_error const&)
    {}
    try
    {
        segment s(open_only, "fuzzed", {.domain = own_domain()});
        use(s);
    }
    catch (system_error const&)
    {}
    ::unlink(file.c_str());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (size == 0)
        return 0;
    auto const bytes = bytes_of({data, size - 1}, data[size - 1]);
    check_reading(bytes);
    open_and_use(bytes);
    return 0;
}
