/// \file
/// Where a local pool's memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace atrium::detail {

/// Memory from the backing allocator, whose type is forgotten.
/// \par Thread safety  None: the pool calls it under its mutex.
class local_source
{
public:
    /// Throws what the backing allocator throws. \param alignment a power of two
    [[nodiscard]] virtual void* allocate(std::size_t size, std::size_t alignment)                         = 0;
    virtual void                deallocate(void* block, std::size_t size, std::size_t alignment) noexcept = 0;

protected:
    ~local_source() = default;
};

/// Bytes of an allocator of bytes, which need not know what alignment is: `block` is preceded by what it lies in.
template <class Bytes> [[nodiscard]] void* allocate_aligned(Bytes& from, std::size_t size, std::size_t alignment)
{
    std::byte* const whole = from.allocate(sizeof(std::byte*) + alignment - 1 + size);
    auto const       begin = reinterpret_cast<std::uintptr_t>(whole) + sizeof(std::byte*);
    auto const       block = whole + sizeof(std::byte*) + ((begin + alignment - 1) / alignment * alignment - begin);
    std::memcpy(block - sizeof whole, &whole, sizeof whole);
    return block;
}

template <class Bytes> void deallocate_aligned(Bytes& to, void* block, std::size_t size, std::size_t alignment) noexcept
{
    std::byte* whole = nullptr;
    std::memcpy(&whole, static_cast<std::byte const*>(block) - sizeof whole, sizeof whole);
    to.deallocate(whole, sizeof(std::byte*) + alignment - 1 + size);
}

} // namespace atrium::detail
