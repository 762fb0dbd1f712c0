/// \file
/// A file's bytes in this process's memory.
#pragma once

#include "os/file.hpp"

namespace atrium::os {

struct mapping_options
{
    bool writable   = true;
    bool huge_pages = false; ///< ask the kernel for huge pages; it may decline
};

/// A shared mapping; it may reach beyond the end of the file, and the bytes there come into being when the file grows.
/// Not inherited by forked children, not part of core dumps.
class mapping
{
public:
    mapping() = default;
    mapping(mapping&& other) noexcept;
    mapping& operator=(mapping&& other) noexcept;
    ~mapping();

    [[nodiscard]] std::byte*  data() const noexcept { return data_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void unmap() noexcept;

    /// Forgets the mapping without unmapping it: a forked child does not have it, and may have something else there.
    void abandon() noexcept;

private:
    friend result<mapping> map(file const& what, std::size_t size, mapping_options const& options);

    std::byte*  data_ = nullptr;
    std::size_t size_ = 0;
};

[[nodiscard]] result<mapping> map(file const& what, std::size_t size, mapping_options const& options);

/// Makes the pages of `[data, data + size)`, which must have been committed, present in this process.
void prefault(std::byte* data, std::size_t size) noexcept;

[[nodiscard]] std::size_t page_size() noexcept;

} // namespace atrium::os
