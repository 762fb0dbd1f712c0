/// \file
/// Changing two words at once: both halves of a control word.
#pragma once

#include <atrium/memory/detail/object_layout.hpp>

#include <cstdint>
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace atrium::detail {

/// What was seen of a control word.
struct seen_word
{
    object_value value;
    swing_mark   mark;
};

/// The mark first: whoever closes a dead lane's record looks at it before the table of eras. The halves may be of
/// different times; then a swing on what was seen fails.
[[nodiscard]] inline seen_word look_at(control_word const& word) noexcept
{
    // Acquire O1, pairs with the swings and with the release O1 in publish() and in freeing.
    std::uint64_t const mark = word.mark.load(std::memory_order_acquire);
    return {object_value(word.value.load(std::memory_order_acquire)), swing_mark(mark)};
}

/// Compare-and-swap of two neighbouring words at once, the first of them aligned to 16 bytes; a full barrier.
[[nodiscard]] inline bool swing_both(atomic<std::uint64_t>& first, std::uint64_t first_seen, std::uint64_t second_seen,
                                     std::uint64_t first_wanted, std::uint64_t second_wanted) noexcept
{
#if defined(__SANITIZE_THREAD__) && defined(__x86_64__)
    // What the thread sanitizer makes of the builtin is one exchange among the threads of this process only.
    struct alignas(16) pair
    {
        std::uint64_t words[2];
    };
    auto& both = reinterpret_cast<pair&>(first);
    __tsan_release(&both);
    bool swung = false;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(swung), "+m"(both), "+a"(first_seen), "+d"(second_seen)
                     : "b"(first_wanted), "c"(second_wanted)
                     : "memory");
    __tsan_acquire(&both);
    return swung;
#else
    // The builtin, and not std::atomic: the latter is not lock-free for 16 bytes in every build. The low half comes
    // first in memory on the little-endian machines in use.
    __extension__ using both = unsigned __int128;
    auto const expected      = both{second_seen} << 64 | first_seen;
    auto const wanted        = both{second_wanted} << 64 | first_wanted;
    return __sync_bool_compare_and_swap(reinterpret_cast<both*>(&first), expected, wanted);
#endif
}

/// Compare-and-swap of the whole word; a full barrier: what the lane noted and recorded before is seen by whoever sees
/// the swing.
[[nodiscard]] inline bool swing(control_word& word, seen_word const& from, object_value value, swing_mark mark) noexcept
{
    return swing_both(word.value, from.value.word(), from.mark.word(), value.word(), mark.word());
}

} // namespace atrium::detail
