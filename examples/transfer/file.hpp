/// \file
/// The files of the transfer.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

namespace transfer {

/// The SHA-256 of a file's content. \par Errors  throws `std::runtime_error`
std::array<unsigned char, 32> sha256_of(std::filesystem::path const& path);

/// A file in the directory for temporary files; goes with this object.
class temporary_file
{
public:
    /// An empty file of that name.
    explicit temporary_file(std::string const& name);
    temporary_file(temporary_file const&)            = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file();

    std::filesystem::path const& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A real file of some tens of megabytes: the largest program of this machine's compiler. Empty where there is none.
std::filesystem::path find_large_file();

/// Fills a file with `size` bytes, the same at each call.
void fill(std::filesystem::path const& path, std::uint64_t size);

} // namespace transfer
