/// \file
/// The shared bytes of counted objects: control words, cells, and the tables that they lie in. Layout version 1.
#pragma once

#include <atrium/base/atomic.hpp>

#include <boost/assert.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace atrium::detail {

/// What a counted object's place is; every transition stands in lib/memory/DESIGN.md.
enum class object_state : std::uint64_t
{
    free         = 0,
    constructing = 1, ///< by the lane in the mark
    live         = 2, ///< as many cells refer to it as it counts
    dying        = 3, ///< by the lane in the mark: its destructor runs
    pending      = 4, ///< whole, counted 0: whoever knows its type destroys it
};

/// The half of a control word that says what the object is.
class object_value
{
public:
    static constexpr unsigned      state_bits    = 3;
    static constexpr unsigned      count_bits    = 24;
    static constexpr std::uint64_t largest_count = (std::uint64_t{1} << count_bits) - 1;

    explicit constexpr object_value(std::uint64_t word) noexcept : word_(word) {}
    constexpr object_value(object_state state, std::uint64_t count, std::uint64_t generation) noexcept
        : word_(static_cast<std::uint64_t>(state) | count << state_bits | generation << (state_bits + count_bits))
    {}

    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr object_state  state() const noexcept { return static_cast<object_state>(word_ & 7); }
    [[nodiscard]] constexpr std::uint64_t count() const noexcept { return word_ >> state_bits & largest_count; }

    /// How often the place has been free again; 37 bits, so that a `weak_ptr` knows whose it was.
    [[nodiscard]] constexpr std::uint64_t generation() const noexcept { return word_ >> (state_bits + count_bits); }

    /// The same life in another state.
    [[nodiscard]] constexpr object_value with(object_state state, std::uint64_t count) const noexcept
    {
        return {state, count, generation()};
    }

    /// Free, and a generation on.
    [[nodiscard]] constexpr object_value freed() const noexcept { return {object_state::free, 0, generation() + 1}; }

    friend constexpr bool operator==(object_value, object_value) noexcept = default;

private:
    std::uint64_t word_;
};

/// The half of a control word that says which lane swung it last, in which era of that lane.
class swing_mark
{
public:
    static constexpr unsigned lane_bits = 16;

    explicit constexpr swing_mark(std::uint64_t word) noexcept : word_(word) {}
    constexpr swing_mark(std::uint32_t lane, std::uint64_t era) noexcept
        : word_((std::uint64_t{lane} + 1) | era << lane_bits)
    {}

    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }

    /// False in a word that was never swung.
    [[nodiscard]] constexpr bool has_lane() const noexcept { return (word_ & ((1u << lane_bits) - 1)) != 0; }

    [[nodiscard]] constexpr std::uint32_t lane() const noexcept
    {
        return static_cast<std::uint32_t>(word_ & ((1u << lane_bits) - 1)) - 1;
    }
    [[nodiscard]] constexpr std::uint64_t era() const noexcept { return word_ >> lane_bits; }

    friend constexpr bool operator==(swing_mark, swing_mark) noexcept = default;

private:
    std::uint64_t word_;
};

/// State, count and generation of an object, and who changed them last. Both halves change together by a 128-bit
/// compare-and-swap; the value alone is stored by the one lane to which a constructing or dying object belongs.
struct alignas(16) control_word
{
    atomic<std::uint64_t> value{0}; ///< object_value
    atomic<std::uint64_t> mark{0};  ///< swing_mark
};
static_assert(sizeof(control_word) == 16 && offsetof(control_word, mark) == 8);

/// Names an object within its segment: the pool's place in the directory and the element's in the pool, or a place in
/// the table of heap objects.
class object_id
{
public:
    static constexpr unsigned      index_bits    = 28;
    static constexpr std::uint64_t largest_index = (std::uint64_t{1} << index_bits) - 2;

    /// Nothing.
    constexpr object_id() = default;

    /// From `word()`, as it lies in cells.
    explicit constexpr object_id(std::uint64_t word) noexcept : word_(word) {}

    [[nodiscard]] static constexpr object_id in_pool(std::uint32_t entry, std::uint64_t index) noexcept
    {
        return object_id((std::uint64_t{entry} + 1) << 32 | (index + 1));
    }
    [[nodiscard]] static constexpr object_id in_heap(std::uint64_t index) noexcept { return object_id(index + 1); }

    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }
    [[nodiscard]] constexpr bool          is_in_pool() const noexcept { return word_ >> 32 != 0; }
    [[nodiscard]] constexpr std::uint32_t pool() const noexcept { return static_cast<std::uint32_t>(word_ >> 32) - 1; }
    [[nodiscard]] constexpr std::uint64_t index() const noexcept { return (word_ & 0xffff'ffff) - 1; }

    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word_ != 0; }
    friend constexpr bool            operator==(object_id, object_id) noexcept = default;

private:
    std::uint64_t word_ = 0;
};

/// A reference that lies in the segment, in a `segment_ptr`.
struct segment_cell
{
    atomic<std::uint64_t> object{0}; ///< object_id::word(); 0: refers to nothing
    atomic<std::uint64_t> holder{0}; ///< 0: free; offset of the `segment_ptr`; or cell_reserved and a lane
};
static_assert(sizeof(segment_cell) == 16);

/// In `holder`, with a lane: while `object` is 0, it is on the way from or to somebody; else it is in a `segment_ptr`
/// in ordinary memory of the process whose shared lane it is.
inline constexpr std::uint64_t cell_reserved = std::uint64_t{1} << 63;

/// The references that one process holds, in blocks of its own: a cell is 0 or an object_id::word(). Each is written by
/// that process only, and after its death by the recoverer.
struct process_cells
{
    atomic<std::uint64_t> next{0};  ///< offset of the next such block of the process; 0: none
    atomic<std::uint64_t> count{0}; ///< cells that follow
};
static_assert(sizeof(process_cells) == 16);

/// The words of a record in a lane's row: what a lane is about to do to an object.
enum record_word : std::size_t
{
    record_object  = 0, ///< object_id::word()
    record_cell    = 1, ///< offset of the cell that gets or loses the reference
    record_holder  = 2, ///< what a segment_cell's `holder` becomes, or was; or offset of a ring
    record_pointee = 3, ///< offset of what a `segment_ptr`, or a place in a ring, points at that gets the reference
    record_source  = 4, ///< the holder that loses the reference; or the position in the ring
    record_open    = 5, ///< record_kind, and above it the era of the lane in which it is open; written last
};

inline constexpr unsigned record_kind_bits = 8;

enum class record_kind : std::uint64_t
{
    attach_process = 1, ///< count + 1, then a process's cell; needs object and cell
    detach_process = 2, ///< count - 1, then a process's cell; needs object and cell
    attach_segment = 3, ///< the same with a segment_cell; needs all but source
    detach_segment = 4, ///< the same; needs object, cell and holder
    move           = 5, ///< a segment_cell from one `segment_ptr` to another, without a swing; needs all
    push = 6, ///< a process's cell into a ring, done when the slot is filled; needs object, cell, ring and position
    push_copy = 7, ///< count + 1, then a ring's slot; needs all but cell
    take      = 8, ///< a swing of a ring's head, then a process's cell; needs object, cell, ring and position
    drain     = 9, ///< count - 1, then a ring's head, which nobody else uses; needs object, ring and position
};

enum table_flag : std::uint64_t
{
    table_trivial   = 1, ///< the objects have no destructor to run
    table_is_record = 2, ///< the places are object_records, the objects lie in heap blocks
};

/// A table of counted objects: control words, hints, and as many places. Written by its maker before anybody sees it.
struct table_header
{
    atomic<std::uint64_t> capacity{0};     ///< places
    atomic<std::uint64_t> words{0};        ///< offset of the control words from this header
    atomic<std::uint64_t> hints{0};        ///< offset of the hints
    atomic<std::uint64_t> peaks{0};        ///< offset of the lanes' peaks; 0: none
    atomic<std::uint64_t> places{0};       ///< offset of the first place
    atomic<std::uint64_t> stride{0};       ///< bytes from one place to the next
    atomic<std::uint64_t> length{0};       ///< objects in a place, more than one in an array pool
    atomic<std::uint64_t> element_size{0}; ///< bytes of one object
    atomic<std::uint64_t> type{0};         ///< fingerprint of the objects; 0 in a table of records
    atomic<std::uint64_t> flags{0};        ///< table_flag
    atomic<std::uint64_t> first{0};        ///< index of the first place among all heap objects
    atomic<std::uint64_t> busy{0};         ///< a hint: the place that was last found not free
    atomic<std::uint64_t> pending{0};      ///< 1 while there may be pending objects
    std::uint64_t         reserved[3] = {};
};
static_assert(sizeof(table_header) == 128);

/// What the place of a heap object says about it; type-stable, so that a `weak_ptr` may look at it at any time.
struct object_record
{
    atomic<std::uint64_t> type{0};  ///< fingerprint of the type that was made
    atomic<std::uint64_t> block{0}; ///< offset of the object; 0: none
    atomic<std::uint64_t> size{0};  ///< bytes of the object
    atomic<std::uint64_t> flags{0}; ///< table_trivial, of this object
};
static_assert(sizeof(object_record) == 32);

/// Tables of heap objects and of segment cells come in chunks, each twice as large as the one before.
inline constexpr std::size_t   chunk_count        = 22;
inline constexpr std::uint64_t first_record_chunk = 64;
inline constexpr std::uint64_t first_cell_chunk   = 128;

} // namespace atrium::detail
