#include "memory/place_hints.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <atomic>
#include <bit>

namespace atrium::detail {

namespace {

// A hint orders nothing, the control word that is asked next does; but hints must not be lost. Whoever sets a bit looks at
// the summary afterwards, and whoever clears the summary looks at the bits afterwards: in one order of all (L3), one of
// them sees the other. And a lane says that it keeps places before it takes any, or frees one, which who finds none must
// see (L2).
constexpr auto in_order = std::memory_order_seq_cst;

constexpr std::uint32_t nobody = ~std::uint32_t{0}; // no lane

constexpr std::uint64_t bit(std::uint64_t position) noexcept
{
    return std::uint64_t{1} << (position % 64);
}

} // namespace

place_hints::place_hints(std::byte* at, std::uint64_t places, std::uint32_t lanes) noexcept
    : bits_(reinterpret_cast<atomic<std::uint64_t>*>(at)),
      summary_(bits_ + words(places)),
      keeping_(summary_ + words(words(places))),
      keepers_(keeping_ + words(lanes)),
      places_(places),
      words_(words(places)),
      lanes_(words(lanes))
{}

void place_hints::set(std::uint64_t place) const noexcept
{
    std::uint64_t const word = place / 64;
    bits_[word].fetch_or(bit(place), in_order); // L3
    ATRIUM_CRASH_POINT("hints.bit_set");
    mend_summary(word);
}

// There are bits in the word: they are to be found. A look is cheap.
void place_hints::mend_summary(std::uint64_t word) const noexcept
{
    if ((summary_[word / 64].load(in_order) & bit(word)) != 0) // L3
        return;
    summary_[word / 64].fetch_or(bit(word), in_order);
    ATRIUM_CRASH_POINT("hints.summary_set");
}

std::size_t place_hints::take_word(std::uint64_t word, std::span<std::uint32_t> into) const noexcept
{
    std::uint64_t taken = bits_[word].exchange(0, in_order); // L2, L3
    ATRIUM_CRASH_POINT("hints.word_taken");
    if (places_ - word * 64 < 64)
        taken &= bit(places_) - 1; // there are no more places, whatever a damaged word says
    std::size_t count = 0;
    for (; taken != 0 && count < into.size(); taken &= taken - 1)
        into[count++] = static_cast<std::uint32_t>(word * 64 + static_cast<std::uint64_t>(std::countr_zero(taken)));
    if (taken != 0)
    {
        bits_[word].fetch_or(taken, in_order); // no room for these; L3
        ATRIUM_CRASH_POINT("hints.rest_given_back");
        mend_summary(word); // another lane may have found the word empty meanwhile
        return count;
    }
    summary_[word / 64].fetch_and(~bit(word), in_order); // L3
    ATRIUM_CRASH_POINT("hints.summary_cleared");
    if (bits_[word].load(in_order) != 0) // L3; set meanwhile, by somebody who found the summary's bit still there
        mend_summary(word);
    return count;
}

std::size_t place_hints::take(std::uint64_t& cursor, std::span<std::uint32_t> into) const noexcept
{
    std::size_t         count    = 0;
    std::uint64_t const outer    = words(words_);
    std::uint64_t       at       = cursor % words_;
    std::uint64_t       examined = 0; // words of the summary; the first one is met twice, for the bits in front
    while (examined <= outer && count < into.size())
    {
        std::uint64_t const ahead = summary_[at / 64].load(in_order) >> (at % 64); // L2
        std::uint64_t const next  = at + static_cast<std::uint64_t>(std::countr_zero(ahead));
        if (ahead == 0 || next >= words_)
        {
            at = (at / 64 + 1) % outer * 64;
            ++examined;
            continue;
        }
        at = next;
        count += take_word(at, into.subspan(count));
        if (count < into.size() && ++at % 64 == 0)
        {
            at = at / 64 % outer * 64;
            ++examined;
        }
    }
    cursor = at;
    return count;
}

void place_hints::set_keeping(std::uint32_t lane, bool keeping) const noexcept
{
    if (keeping)
    {
        keeping_[lane / 64].fetch_or(bit(lane), in_order); // L2
        ATRIUM_CRASH_POINT("hints.keeper");
        keepers_->fetch_add(1, in_order); // L2
    }
    else
    {
        // L2, as a release for the acquire in anybody_keeps(): who sees that the lane keeps none sees the hints.
        keeping_[lane / 64].fetch_and(~bit(lane), in_order);
    }
    ATRIUM_CRASH_POINT("hints.keeping");
}

bool place_hints::is_keeping(std::uint32_t lane) const noexcept
{
    return (keeping_[lane / 64].load(std::memory_order_relaxed) & bit(lane)) != 0;
}

bool place_hints::anybody_keeps() const noexcept
{
    return anybody_else_keeps(nobody);
}

bool place_hints::anybody_else_keeps(std::uint32_t lane) const noexcept
{
    for (std::uint64_t n = 0; n < lanes_; ++n)
    {
        std::uint64_t const own = n == lane / 64 ? bit(lane) : 0;
        if ((keeping_[n].load(in_order) & ~own) != 0) // L2
            return true;
    }
    return false;
}

std::uint64_t place_hints::keepers_so_far() const noexcept
{
    return keepers_->load(in_order); // L2
}

} // namespace atrium::detail
