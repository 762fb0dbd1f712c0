/// \file
/// Where free places may be found: bits that may be wrong in any state, over words that know.
#pragma once

#include <atrium/base/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace atrium::detail {

/// A set of places that may be free, shared by all processes. A bit may be set for a place that is not free, and unset
/// for one that is: whoever finds a place asks the place itself. Lanes take bits by the word, and keep what they took.
///
/// In shared memory: a bit for each place, a bit for each word of these (set when the word may not be 0), a bit for each
/// lane (set while it may keep places), and how often such a one was set.
/// \par Thread safety  Safe; lock-free.
/// \par If a process dies  What its lanes kept is in no bit: `set_all` gives them new ones.
class place_hints
{
public:
    /// Bytes in shared memory, zeroed at first.
    [[nodiscard]] static constexpr std::uint64_t size(std::uint64_t places, std::uint32_t lanes) noexcept
    {
        return 8 * (words(places) + words(words(places)) + words(lanes) + 1);
    }

    place_hints() = default;
    place_hints(std::byte* at, std::uint64_t places, std::uint32_t lanes) noexcept;

    /// A place that may be free.
    void set(std::uint64_t place) const noexcept;

    /// Takes up to `into.size()` places, beginning the search at the word `cursor`, which moves.
    /// \returns how many
    [[nodiscard]] std::size_t take(std::uint64_t& cursor, std::span<std::uint32_t> into) const noexcept;

    /// Says of a lane that it keeps places, or none any more. Said before the first is taken.
    void               set_keeping(std::uint32_t lane, bool keeping) const noexcept;
    [[nodiscard]] bool is_keeping(std::uint32_t lane) const noexcept;

    /// Whether any lane may keep places.
    [[nodiscard]] bool anybody_keeps() const noexcept;

    /// The same, that lane left out.
    [[nodiscard]] bool anybody_else_keeps(std::uint32_t lane) const noexcept;

    /// How often a lane has said that it keeps places: whoever finds none of the others keeping any, and this unchanged
    /// afterwards, knows that nobody took or set bits in between.
    [[nodiscard]] std::uint64_t keepers_so_far() const noexcept;

private:
    static constexpr std::uint64_t words(std::uint64_t bits) noexcept { return (bits + 63) / 64; }

    void mend_summary(std::uint64_t word) const noexcept;

    [[nodiscard]] std::size_t take_word(std::uint64_t word, std::span<std::uint32_t> into) const noexcept;

    atomic<std::uint64_t>* bits_    = nullptr;
    atomic<std::uint64_t>* summary_ = nullptr;
    atomic<std::uint64_t>* keeping_ = nullptr;
    atomic<std::uint64_t>* keepers_ = nullptr;
    std::uint64_t          places_  = 0;
    std::uint64_t          words_   = 0;
    std::uint64_t          lanes_   = 0; // words of keeping_
};

} // namespace atrium::detail
