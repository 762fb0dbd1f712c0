/// \file
/// All places of a local pool that no thread has.
#pragma once

#include <atrium/pool/detail/local_cache.hpp>
#include <atrium/pool/detail/local_source.hpp>

#include <cstddef>

namespace atrium::detail {

/// What the places of a local pool are like, and how many there are.
struct local_shape
{
    std::size_t size      = 0; ///< Bytes of a place, a multiple of its alignment.
    std::size_t alignment = 0; ///< A power of two.
    std::size_t capacity  = 0; ///< Places; 0: no limit.
};

/// The shape of places for so many bytes. Throws `too_large` where so many places cannot be.
[[nodiscard]] local_shape shape_of_places(std::size_t size, std::size_t alignment, std::size_t capacity,
                                          bool pad_to_cache_line);

/// The free places of a pool: whole lists as threads gave them back, single places, and memory that was never used.
/// \par Thread safety  None: the pool's mutex guards it.
class local_depot
{
public:
    /// With room for the capacity, if there is one; throws what the source throws.
    local_depot(local_source& source, local_shape const& shape);
    local_depot(local_depot const&)            = delete;
    local_depot& operator=(local_depot const&) = delete;
    ~local_depot();

    /// Makes room for more places, as many as there are. Throws what the source throws.
    void grow();

    [[nodiscard]] bool        is_empty() const noexcept { return free_ == 0; }
    [[nodiscard]] std::size_t free() const noexcept { return free_; }

    /// The least that `free()` has been.
    [[nodiscard]] std::size_t fewest_free() const noexcept { return fewest_free_; }

    /// Free or not.
    [[nodiscard]] std::size_t places() const noexcept { return places_; }

    [[nodiscard]] local_shape const& shape() const noexcept { return shape_; }

    /// At least one place and at most that many, or a whole list as it was given; there is one.
    [[nodiscard]] local_list take_list(std::size_t most) noexcept;
    [[nodiscard]] void*      take() noexcept;

    void give_list(local_list list) noexcept;
    void give(void* place) noexcept;

private:
    struct chunk
    {
        chunk*      next;
        std::size_t size;
    };

    void                     add_chunk(std::size_t places);
    [[nodiscard]] local_list next_list(std::size_t most) noexcept;
    [[nodiscard]] local_list take_unused(std::size_t most) noexcept;
    [[nodiscard]] local_list take_single(std::size_t most) noexcept;
    void                     note_taken(std::size_t count) noexcept;

    local_source&     source_;
    local_shape const shape_;
    chunk*            chunks_ = nullptr;
    local_place*      lists_  = nullptr; // the first places of lists
    local_list        single_;
    std::byte*        unused_       = nullptr;
    std::size_t       unused_count_ = 0;
    std::size_t       places_       = 0;
    std::size_t       free_         = 0; // in lists, single and unused
    std::size_t       fewest_free_  = 0;
};

} // namespace atrium::detail
