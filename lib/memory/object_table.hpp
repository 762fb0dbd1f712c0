/// \file
/// One table of counted objects: the elements of a pool, or a chunk of the records of heap objects.
#pragma once

#include "memory/control_word.hpp"
#include "memory/place_hints.hpp"

#include <atrium/base/fingerprint.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_layout.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace atrium::detail {

/// What a table is made for.
struct table_shape
{
    std::uint64_t capacity     = 0; ///< places
    std::uint64_t stride       = 0; ///< bytes from one place to the next
    std::uint64_t alignment    = 0; ///< of the places
    std::uint64_t length       = 1; ///< objects in a place
    std::uint64_t element_size = 0;
    std::uint64_t type         = 0; ///< fingerprint of the objects
    std::uint64_t flags        = 0; ///< table_flag
    std::uint64_t first        = 0;
    bool          has_peaks    = false;
};

/// A process's view of a table; the offsets in its header were checked when the view was made. Copies are the same
/// table.
/// \par Thread safety  Safe, as the words are.
class object_table
{
public:
    object_table() = default;

    /// Bytes of a table; nothing where they are more than a segment can have.
    [[nodiscard]] static std::optional<std::uint64_t> size(table_shape const& shape, std::uint32_t lanes) noexcept;

    /// Writes an empty table where nobody looks yet.
    [[nodiscard]] static object_table format(std::byte* at, table_shape const& shape, std::uint32_t lanes) noexcept;

    /// Looks at a table of somebody else's.
    /// \par Errors  `corrupted`: it does not fit into `room`
    [[nodiscard]] static result<object_table> attach(std::byte* at, std::uint64_t room, std::uint32_t lanes) noexcept;

    [[nodiscard]] std::uint64_t      capacity() const noexcept { return capacity_; }
    [[nodiscard]] control_word&      word(std::uint64_t index) const noexcept { return words_[index]; }
    [[nodiscard]] std::byte*         place(std::uint64_t index) const noexcept { return places_ + index * stride_; }
    [[nodiscard]] std::uint64_t      stride() const noexcept { return stride_; }
    [[nodiscard]] place_hints const& hints() const noexcept { return hints_; }
    [[nodiscard]] table_header&      header() const noexcept { return *header_; }
    [[nodiscard]] std::uint64_t      length() const noexcept { return length_; }
    [[nodiscard]] std::uint64_t      element_size() const noexcept { return element_size_; }
    [[nodiscard]] std::uint64_t      type() const noexcept { return header_->type.load(std::memory_order_relaxed); }
    [[nodiscard]] bool               has(table_flag flag) const noexcept { return (flags_ & flag) != 0; }
    [[nodiscard]] std::uint64_t      first() const noexcept { return first_; }
    [[nodiscard]] object_record&     record(std::uint64_t index) const noexcept
    {
        return *reinterpret_cast<object_record*>(place(index));
    }

    /// What the lane is to the hints while it frees a place of a pool that its process has not open: somebody else, so
    /// that this is not mixed up with what it keeps.
    [[nodiscard]] std::uint32_t visitor(std::uint32_t lane) const noexcept { return lanes_ + lane; }

    /// The lane's lane_peak::word(); null in a table without.
    [[nodiscard]] atomic<std::uint64_t>* peak(std::uint32_t lane) const noexcept
    {
        return peaks_ == nullptr ? nullptr : peaks_ + lane;
    }

    /// A place that is not free; nothing where all are.
    /// \par Complexity  Constant while the place that was noted the last time is not free still.
    [[nodiscard]] std::optional<std::uint64_t> find_object() const noexcept;

    /// The same, noting what was found.
    [[nodiscard]] bool has_objects() const noexcept;

    /// Sets a hint for every free place: what dead lanes kept is found again.
    void hint_all_free() const noexcept;

private:
    table_header*          header_ = nullptr;
    control_word*          words_  = nullptr;
    std::byte*             places_ = nullptr;
    atomic<std::uint64_t>* peaks_  = nullptr;
    place_hints            hints_;
    std::uint64_t          capacity_     = 0;
    std::uint64_t          stride_       = 0;
    std::uint64_t          length_       = 1;
    std::uint64_t          element_size_ = 0;
    std::uint64_t          flags_        = 0;
    std::uint64_t          first_        = 0;
    std::uint32_t          lanes_        = 0;
};

} // namespace atrium::detail
