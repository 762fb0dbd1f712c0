/// \file
/// The crash-consistent heap of a segment, below mutex, growth and handles.
#pragma once

#include "memory/heap_space.hpp"
#include "memory/undo_log.hpp"

#include <atrium/base/result.hpp>
#include <atrium/memory/detail/block_tag.hpp>
#include <atrium/memory/detail/heap_layout.hpp>
#include <atrium/memory/detail/owner.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace atrium::detail {

/// What a heap holds. A block given back counts as used until the holder of the mutex has drained it.
struct heap_statistics
{
    std::uint64_t capacity;    ///< Bytes of all blocks, headers included.
    std::uint64_t used_bytes;  ///< Of these, in blocks that are not free.
    std::uint64_t used_blocks; ///< Number of blocks that are not free.
    std::uint64_t free_bytes;  ///< `capacity - used_bytes`.
};

/// What a walk meets.
struct heap_block
{
    std::uint64_t payload;      ///< Offset of the payload from the base of the segment.
    std::uint64_t payload_size; ///< Its bytes, which may be more than were asked for.
    block_tag     tag;
};

/// What `reclaim` has freed.
struct reclaimed
{
    std::uint64_t blocks = 0;
    std::uint64_t bytes  = 0; ///< Headers included.
};

/// One process's view of a heap: two-level segregated fit with 64-bit offsets, every change of which happens as a
/// whole or, after a death, not at all. Has no state of its own; copies are the same heap.
///
/// \par Thread safety  The caller holds the heap mutex, except where it says otherwise.
/// \par Errors  `errc::corrupted` from any function: the bytes contradict themselves; the operation left no change.
/// \par If a process dies  A holder of the mutex that finds its predecessor dead calls `recover` first of all.
class heap_core
{
public:
    static constexpr std::uint64_t granule              = heap_space::granule;
    static constexpr std::uint64_t maximum_alignment    = 4096;
    static constexpr std::uint64_t maximum_size         = std::uint64_t{1} << 46; ///< Of one block.
    static constexpr unsigned      drained_per_allocate = 4;

    /// Smallest `end - begin` that `format` takes.
    static constexpr std::uint64_t minimum_capacity = 2 * sizeof(block_header) + heap_space::minimum_block;

    /// Makes an empty heap in `[begin, end)` with its header at `header_offset`; nobody else sees the memory yet.
    /// \par Errors  `errc::invalid_argument`: offsets not aligned (16, header 64), or too small.
    [[nodiscard]] static result<> format(std::byte* base, std::uint64_t header_offset, std::uint64_t begin,
                                         std::uint64_t end) noexcept;

    /// Looks at an existing heap. `limit` is the size of the mapping: no offset beyond it will be believed.
    /// \par Thread safety  Needs no mutex.
    /// \par Errors  `errc::corrupted`.
    [[nodiscard]] static result<heap_core> attach(std::byte* base, std::uint64_t header_offset,
                                                  std::uint64_t limit) noexcept;

    /// Gives the offset of a payload of at least `size` bytes (0: the smallest there is).
    /// \param merge_limit When memory is short, at most so many blocks given back are merged. Where that was not enough
    ///                    (`out_of_memory`, and `has_given_back()`), the caller may let others have the mutex for a
    ///                    moment and call again.
    /// \par Errors  `errc::out_of_memory`, `errc::too_large`, `errc::invalid_argument` (alignment no power of two, or
    ///              above `maximum_alignment`).
    /// \par Complexity  Constant, plus what was given back: at most `drained_per_allocate` blocks while memory is
    ///                  there; when it is short, as many as it takes.
    [[nodiscard]] result<std::uint64_t> allocate(std::uint64_t size, std::uint64_t alignment, owner of,
                                                 std::uint64_t merge_limit = ~std::uint64_t{0}) noexcept;

    /// Whether blocks were given back that are not merged yet.
    /// \par Thread safety  Needs no mutex, but is then a guess.
    [[nodiscard]] bool has_given_back() const noexcept;

    /// Gives a block back. \param self The participant that does so.
    /// \par Thread safety  Needs no mutex; lock-free.
    /// \par Errors  `errc::not_owned`: no block in use under that owner begins there; nothing was changed.
    /// \par If a process dies  Before its step the block is in use, after it `reclaim` finds it.
    [[nodiscard]] result<> push_free(std::uint64_t payload, owner of, owner self) const noexcept;

    /// Hands a block in use from one owner to another in one step.
    /// \par Thread safety  Needs no mutex; lock-free.
    /// \par Errors  `errc::not_owned`.
    [[nodiscard]] result<> change_owner(std::uint64_t payload, owner from, owner to) const noexcept;

    /// Bytes that may be used at a payload; at least what was asked for.
    /// \par Thread safety  Needs no mutex, if the block stays in use.
    /// \par Errors  `errc::not_owned`: no block in use begins there.
    [[nodiscard]] result<std::uint64_t> payload_size(std::uint64_t payload) const noexcept;

    /// The tag of the block with that payload; nothing of it is believed by the heap itself.
    /// \par Thread safety  Needs no mutex.
    /// \par Errors  `errc::not_owned`: no block can begin there.
    [[nodiscard]] result<block_tag> tag_of(std::uint64_t payload) const noexcept;

    /// Merges up to `limit` blocks given back into the free memory and says how many; all that were given back
    /// before the call if there are no more than `limit`.
    [[nodiscard]] result<std::uint64_t> drain(std::uint64_t limit = ~std::uint64_t{0}) noexcept;

    /// Bytes by which `extend` must at least be called for `allocate(size, alignment)` to find room; what is there
    /// already is used. A multiple of 16.
    [[nodiscard]] result<std::uint64_t> needed_growth(std::uint64_t size, std::uint64_t alignment) const noexcept;

    /// The heap reaches to `new_end` from now on. The caller has made sure that the memory is there.
    /// \par Errors  `errc::invalid_argument`: not aligned, beyond the mapping, or less than 32 bytes more.
    [[nodiscard]] result<> extend(std::uint64_t new_end) noexcept;

    /// Undoes what a holder of the mutex left half-done when it died; does nothing where there is nothing.
    /// \param accessible Bytes of the segment that can be touched (what is committed).
    /// \par If a process dies  The next one starts over.
    [[nodiscard]] result<> recover(std::uint64_t accessible) noexcept;

    /// Frees every block (in use or freeing, never free) for which `goes(heap_block const&)` is true. Everything given
    /// back before the call is drained first; a tag `freeing(p)` of a dead participant p therefore means that p died
    /// between marking the block and giving it back. `goes` must not be true of `freeing(p)` for a living p.
    /// \param self The participant that does it.
    /// \par If a process dies  What is freed stays freed; the next one does the rest, and what is marked
    ///                         `freeing(self)`.
    template <class Goes> [[nodiscard]] result<reclaimed> reclaim(owner self, Goes goes) noexcept
    {
        static_assert(std::is_nothrow_invocable_r_v<bool, Goes&, heap_block const&>);
        return reclaim_if(
            self, [](void* context, heap_block const& block) noexcept { return (*static_cast<Goes*>(context))(block); },
            &goes);
    }

    /// Calls `visit(heap_block const&)` for every block, free ones included, in the order of their addresses.
    template <class Visit> [[nodiscard]] result<> for_each_block(Visit visit) const
    {
        return visit_blocks([](void* context, heap_block const& block) { (*static_cast<Visit*>(context))(block); },
                            &visit);
    }

    /// Exact under the mutex once drained; without it (a read-only mapping) each number is true for itself.
    /// \par Thread safety  Needs no mutex.
    [[nodiscard]] result<heap_statistics> statistics() const noexcept;

    /// Compares everything with everything: blocks, lists, bitmaps, counters, chains. Empty if all is well, else what
    /// is wrong, with offsets.
    /// \par Complexity  Linear in the number of blocks; needs memory for the offsets of the free ones.
    [[nodiscard]] std::string check() const;

    /// A change of other words of the segment that is undone by `recover` as the heap's own are. No other function
    /// that writes may be called until it is committed or destroyed.
    [[nodiscard]] transaction begin_transaction() const noexcept;

    /// Where the heap ends now.
    /// \par Thread safety  Needs no mutex.
    [[nodiscard]] std::uint64_t end() const noexcept;

private:
    heap_core(std::byte* base, heap_header* header, std::uint64_t limit) noexcept
        : base_(base), header_(header), limit_(limit)
    {}

    using goes_function  = bool (*)(void* context, heap_block const& block) noexcept;
    using visit_function = void (*)(void* context, heap_block const& block);

    result<reclaimed> reclaim_if(owner self, goes_function goes, void* context) noexcept;
    result<>          visit_blocks(visit_function visit, void* context) const;

    std::byte*    base_;
    heap_header*  header_;
    std::uint64_t limit_;
};

} // namespace atrium::detail
