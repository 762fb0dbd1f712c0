#include "os/mapping.hpp"

#include "os/error.hpp"
#include "os/fork.hpp"

#include <utility>

#include <sys/mman.h>
#include <unistd.h>

namespace atrium::os {

mapping::mapping(mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0))
{}

mapping& mapping::operator=(mapping&& other) noexcept
{
    if (this != &other)
    {
        unmap();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

mapping::~mapping()
{
    unmap();
}

void mapping::unmap() noexcept
{
    if (data_ != nullptr)
        ::munmap(std::exchange(data_, nullptr), std::exchange(size_, 0));
}

void mapping::abandon() noexcept
{
    data_ = nullptr;
    size_ = 0;
}

result<mapping> map(file const& what, std::size_t size, mapping_options const& options)
{
    // No fork may fall between mmap and MADV_DONTFORK: a child that inherits the mapping would keep our locks alive.
    auto const held       = hold_off_forks();
    int const  protection = options.writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void*      data       = ::mmap(nullptr, size, protection, MAP_SHARED, what.descriptor(), 0);
    if (data == MAP_FAILED)
        return last_error();

    mapping m;
    m.data_ = static_cast<std::byte*>(data);
    m.size_ = size;
    if (::madvise(data, size, MADV_DONTFORK) != 0)
        return last_error();
    ::madvise(data, size, MADV_DONTDUMP);
    if (options.huge_pages)
        ::madvise(data, size, MADV_HUGEPAGE);
    return m;
}

void prefault(std::byte* data, std::size_t size) noexcept
{
    // Kernels before 5.14 decline, and the pages come at first use.
    ::madvise(data, size, MADV_POPULATE_WRITE);
}

std::size_t page_size() noexcept
{
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace atrium::os
