#include "file.hpp"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace transfer {

namespace fs = std::filesystem;

namespace {

void check(int outcome)
{
    if (outcome != 1)
        throw std::runtime_error("OpenSSL cannot compute a SHA-256");
}

} // namespace

std::array<unsigned char, 32> sha256_of(fs::path const& path)
{
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    check(context == nullptr ? 0 : EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr));

    std::ifstream     file(path, std::ios::binary);
    std::vector<char> buffer(1u << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0)
        check(EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(file.gcount())));
    if (!file.eof())
        throw std::runtime_error("cannot read " + path.string());

    std::array<unsigned char, 32> digest{};
    check(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr));
    return digest;
}

temporary_file::temporary_file(std::string const& name) : path_(fs::temp_directory_path() / name)
{
    if (!std::ofstream(path_, std::ios::binary | std::ios::trunc))
        throw std::runtime_error("cannot create " + path_.string());
}

temporary_file::~temporary_file()
{
    std::error_code ignored;
    fs::remove(path_, ignored);
}

fs::path find_large_file()
{
    fs::path        largest;
    std::uintmax_t  size = 8u << 20;
    std::error_code error;
    for (fs::recursive_directory_iterator at("/usr/lib/gcc", fs::directory_options::skip_permission_denied, error), end;
         !error && at != end; at.increment(error))
    {
        std::error_code skip;
        if (auto const found = at->is_regular_file(skip) ? at->file_size(skip) : 0; !skip && found > size)
        {
            largest = at->path();
            size    = found;
        }
    }
    return largest;
}

void fill(fs::path const& path, std::uint64_t size)
{
    std::ofstream   file(path, std::ios::binary);
    std::mt19937_64 numbers(20); // any seed will do, if it stays
    for (std::uint64_t written = 0; written < size; written += sizeof(std::uint64_t))
    {
        std::uint64_t const number = numbers();
        file.write(reinterpret_cast<char const*>(&number), sizeof number);
    }
    file.flush();
    if (!file)
        throw std::runtime_error("cannot write " + path.string());
}

} // namespace transfer
