/// \file
/// A run of elements in a place of a local array pool.
#pragma once

#include <atrium/base/error.hpp>
#include <atrium/pool/detail/local_placement.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>

namespace atrium::detail {

/// Owns the elements of a run, which lie behind it and its counts in the same place.
template <class T> class local_run
{
public:
    /// Constructs each element from the same `args`; if one throws, those before it are destroyed in reverse order.
    /// \param memory for so many elements
    template <class... Args>
    local_run(std::byte* memory, std::size_t length, Args&... args) : begin_(reinterpret_cast<T*>(memory))
    {
        try
        {
            for (; length_ != length; ++length_)
                std::construct_at(begin_ + length_, args...);
        }
        catch (...)
        {
            destroy();
            throw;
        }
    }
    local_run(local_run const&)            = delete;
    local_run& operator=(local_run const&) = delete;
    ~local_run() { destroy(); }

    [[nodiscard]] T* begin() const noexcept { return begin_; }

    /// Where the elements lie in a place.
    [[nodiscard]] static std::size_t offset()
    {
        auto const size = shared_block_of<local_run>().size;
        return (size + alignof(T) - 1) / alignof(T) * alignof(T);
    }

    /// What a place must be. Throws `invalid_argument`, `too_large`.
    [[nodiscard]] static local_block block(std::size_t length)
    {
        if (length == 0)
            throw_error(errc::invalid_argument, "length of a local array pool is 0");
        if (length > std::numeric_limits<std::ptrdiff_t>::max() / 2 / sizeof(T))
            throw_error(errc::too_large, "length of a local array pool");
        return {offset() + length * sizeof(T), std::max(alignof(T), shared_block_of<local_run>().alignment)};
    }

private:
    void destroy() noexcept
    {
        while (length_ != 0)
            std::destroy_at(begin_ + --length_);
    }

    T*          begin_;
    std::size_t length_ = 0;
};

} // namespace atrium::detail
