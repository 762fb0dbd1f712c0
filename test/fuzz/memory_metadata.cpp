/// Feeds segments whose memory lies: directory, heap header, undo log and the headers of blocks are changed as the
/// fuzzer says, and the segment is used like any other. The contents of objects are left alone: they are the users'
/// own.
///
/// The input is a row of changes of 11 bytes: which word (16 bits), how (8 bits: bit 0 replaces it, else it is XORed),
/// and the pattern.
#include "memory/memory_state.hpp"

#include <atrium/memory/heap.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/named_objects.hpp>
#include <atrium/segment/segment.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

using namespace atrium;
using namespace std::chrono_literals;

struct counter
{
    std::uint64_t value = 7;
};

// Destroyed by whoever finds it orphaned: touches nothing but the process itself.
struct counted
{
    std::uint64_t value = 7;
    ~counted() { ++destroyed; }
    static inline std::uint64_t destroyed = 0;
};
template <> inline constexpr bool atrium::is_shareable<counted> = true;

namespace {

constexpr named_options impatient{.keep = true, .holders_limit = 0, .patience = 2ms};

segment_options options()
{
    static std::string const domain = "fuzz" + std::to_string(::getpid());
    return {.size           = 64u << 10,
            .maximum_size   = 1u << 20,
            .participants   = 4,
            .lanes          = 4,
            .named_objects  = 4,
            .detection_time = 1ms,
            .domain         = domain};
}

/// A true segment's bytes, and where in them the words lie that the fuzzer may change.
struct model
{
    std::vector<std::byte>     bytes;
    std::vector<std::uint64_t> words;
    std::vector<std::uint64_t> blocks; ///< payloads of the first user's own blocks
};

model make_model()
{
    model                m;
    segment const        made(create_only, "true", options());
    heap                 own(made);
    named<counter> const plain(create_only, made, "plain", impatient);
    named<counted> const with_destructor(create_only, made, "with_destructor", impatient);
    for (std::size_t const size : {16u, 64u, 500u, 4000u, 64u, 64u})
        m.blocks.push_back(made.attached()->offset_of(*own.allocate(size, 1s)));
    for (std::size_t const freed : {1u, 3u, 4u})
        static_cast<void>(own.deallocate(made.attached()->base() + m.blocks[freed]));

    auto const area = *made.attached()->area_of(part_id::memory);
    for (std::uint64_t at = area.offset; at + 8 <= area.offset + area.size; at += 8)
        m.words.push_back(at);
    auto* const memory = *detail::memory_of(*made.attached());
    static_cast<void>(memory->core.for_each_block([&](detail::heap_block const& block) {
        m.words.insert(m.words.end(), {block.payload - 16, block.payload - 8, block.payload});
    }));
    std::byte const* const from = made.attached()->base();
    m.bytes.assign(from, from + made.size());
    return m;
}

void change(std::vector<std::byte>& bytes, model const& m, std::uint8_t const* data, std::size_t size)
{
    constexpr std::size_t one = 11;
    for (; size >= one; data += one, size -= one)
    {
        std::uint16_t which   = 0;
        std::uint64_t pattern = 0;
        std::uint64_t word    = 0;
        std::memcpy(&which, data, sizeof(which));
        std::memcpy(&pattern, data + 3, sizeof(pattern));
        std::byte* const at = bytes.data() + m.words[which % m.words.size()];
        std::memcpy(&word, at, sizeof(word));
        word = (data[2] & 1) != 0 ? pattern : word ^ pattern;
        std::memcpy(at, &word, sizeof(word));
    }
}

void write_file(std::string const& path, std::vector<std::byte> const& bytes)
{
    int const file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 || ::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        std::abort();
    ::close(file);
}

template <class F> void whatever_it_says(F&& f)
{
    try
    {
        f();
    }
    catch (system_error const&) // that it is refused is what is wanted; anything else ends the program
    {}
}

void use(model const& m)
{
    segment const s(open_only, "lying", options());
    heap          memory(s);
    whatever_it_says([&] { static_cast<void>(named_objects(s)); });
    static_cast<void>(memory.statistics(2ms));
    for (std::uint64_t const block : m.blocks)
        static_cast<void>(memory.deallocate(s.attached()->base() + block));
    for (std::size_t const size : {1u, 64u, 3000u, 100'000u})
    {
        if (auto const block = memory.allocate(size, 2ms))
        {
            std::memset(*block, 1, size); // what is given must be there
            static_cast<void>(memory.deallocate(*block));
        }
    }
    whatever_it_says([&] { named<counter> const n(open_only, s, "plain", impatient); });
    whatever_it_says([&] { named<counted> const n(open_or_create, s, "with_destructor", impatient); });
    whatever_it_says([&] { named<counter> const n(create_only, s, "another", impatient); });
    static_cast<void>(s.attached()->recover(2ms));
    static_cast<void>(memory.check(2ms));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    static model const     m     = make_model();
    std::vector<std::byte> bytes = m.bytes;
    change(bytes, m, data, size);
    std::string const path = "/dev/shm/atrium." + options().domain + ".lying";
    write_file(path, bytes);
    whatever_it_says([&] { use(m); });
    ::unlink(path.c_str());
    return 0;
}
