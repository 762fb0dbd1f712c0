/// \file
/// Whom a heap block belongs to.
#pragma once

#include <atrium/memory/detail/object_layout.hpp>

#include <boost/assert.hpp>

#include <cstdint>
#include <optional>

namespace atrium::detail {

/// The kinds of owner a heap block can have.
enum class owner_kind : std::uint8_t
{
    participant,     ///< A process attached to the segment; its blocks go when it dies.
    directory_entry, ///< A named object.
    object,          ///< A counted object.
    library,         ///< A structure of the library's own, which lives as long as the segment.
};

/// The owner of a heap block in 62 bits, as the block's tag has it; a small value.
///
/// | participant        | directory_entry | object                | library              |
/// | ------------------ | --------------- | --------------------- | -------------------- |
/// | kind, 61..60       | kind, 61..60    | kind, 61..60          | kind, 61..60         |
/// | row, 59..48        | index, 59..32   | pool, 59..44; 0: heap | structure id, 59..0  |
/// | incarnation, 47..0 | sub, 31..0      | index, 43..16         |                      |
/// |                    |                 | sub, 15..0            |                      |
class owner
{
public:
    static constexpr unsigned row_bits         = 12;
    static constexpr unsigned incarnation_bits = 48;
    static constexpr unsigned index_bits       = 28;
    static constexpr unsigned sub_bits         = 32;
    static constexpr unsigned id_bits          = 60;
    static constexpr unsigned object_sub_bits  = 16;

    /// The sub-owner of an entry's rings of references, which is never drawn.
    static constexpr std::uint64_t ring_sub = (std::uint64_t{1} << sub_bits) - 1;

    /// The process in that row of the participant table; `incarnation` tells it from others that had the row.
    [[nodiscard]] static constexpr owner participant(std::uint64_t row, std::uint64_t incarnation) noexcept
    {
        BOOST_ASSERT(row < bit(row_bits) && incarnation < bit(incarnation_bits));
        return owner(owner_kind::participant, row << incarnation_bits | incarnation);
    }

    /// An entry of the directory; `sub` tells apart what belongs to different parts or lives of it.
    [[nodiscard]] static constexpr owner directory_entry(std::uint64_t index, std::uint64_t sub) noexcept
    {
        BOOST_ASSERT(index < bit(index_bits) && sub < bit(sub_bits));
        return owner(owner_kind::directory_entry, index << sub_bits | sub);
    }

    /// A counted object; `sub` 0 is the object itself, others are guarded values in it.
    [[nodiscard]] static constexpr owner object(object_id id, std::uint64_t sub) noexcept
    {
        BOOST_ASSERT(id && id.index() < bit(index_bits) && sub < bit(object_sub_bits));
        std::uint64_t const pool = id.is_in_pool() ? std::uint64_t{id.pool()} + 1 : 0;
        return owner(owner_kind::object, pool << (index_bits + object_sub_bits) | id.index() << object_sub_bits | sub);
    }

    /// A structure of the library; 0 is the heap's own sentinel.
    [[nodiscard]] static constexpr owner library(std::uint64_t structure) noexcept
    {
        BOOST_ASSERT(structure < bit(id_bits));
        return owner(owner_kind::library, structure);
    }

    [[nodiscard]] constexpr owner_kind    kind() const noexcept { return static_cast<owner_kind>(bits_ >> id_bits); }
    [[nodiscard]] constexpr std::uint64_t row() const noexcept { return id() >> incarnation_bits; }
    [[nodiscard]] constexpr std::uint64_t incarnation() const noexcept { return id() & (bit(incarnation_bits) - 1); }
    [[nodiscard]] constexpr std::uint64_t index() const noexcept { return id() >> sub_bits; }
    [[nodiscard]] constexpr std::uint64_t sub() const noexcept { return id() & (bit(sub_bits) - 1); }
    [[nodiscard]] constexpr std::uint64_t object_sub() const noexcept { return id() & (bit(object_sub_bits) - 1); }
    [[nodiscard]] constexpr object_id     as_object() const noexcept
    {
        std::uint64_t const pool  = id() >> (index_bits + object_sub_bits);
        std::uint64_t const index = id() >> object_sub_bits & (bit(index_bits) - 1);
        return pool == 0 ? object_id::in_heap(index) : object_id::in_pool(static_cast<std::uint32_t>(pool - 1), index);
    }
    [[nodiscard]] constexpr std::uint64_t structure() const noexcept { return id(); }

    /// True of a ring of references.
    [[nodiscard]] constexpr bool is_ring() const noexcept
    {
        return kind() == owner_kind::directory_entry && sub() == ring_sub;
    }

    /// True of a participant.
    [[nodiscard]] constexpr bool is_participant() const noexcept { return kind() == owner_kind::participant; }

    /// The 62 bits; `unpack` is the way back.
    [[nodiscard]] constexpr std::uint64_t packed() const noexcept { return bits_; }

    /// Nothing where more than 62 bits are set, which no owner has.
    [[nodiscard]] static constexpr std::optional<owner> unpack(std::uint64_t bits) noexcept
    {
        if (bits >= bit(id_bits + 2))
            return std::nullopt;
        return owner(static_cast<owner_kind>(bits >> id_bits), bits & (bit(id_bits) - 1));
    }

    /// The same entry or object, whatever the sub; owners without sub must be equal.
    [[nodiscard]] constexpr bool same_index(owner other) const noexcept
    {
        if (kind() == owner_kind::directory_entry)
            return bits_ >> sub_bits == other.bits_ >> sub_bits;
        if (kind() == owner_kind::object)
            return bits_ >> object_sub_bits == other.bits_ >> object_sub_bits;
        return bits_ == other.bits_;
    }

    /// Exactly the same owner.
    friend constexpr bool operator==(owner, owner) noexcept = default;

private:
    constexpr owner(owner_kind kind, std::uint64_t id) noexcept
        : bits_(static_cast<std::uint64_t>(kind) << id_bits | id)
    {}

    static constexpr std::uint64_t bit(unsigned position) noexcept { return std::uint64_t{1} << position; }

    constexpr std::uint64_t id() const noexcept { return bits_ & (bit(id_bits) - 1); }

    std::uint64_t bits_;
};

} // namespace atrium::detail
