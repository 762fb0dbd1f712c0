/// \file
/// Files under segments' names that no segment wrote, and headers that were changed afterwards.
#pragma once

#include "segment/layout.hpp"
#include "segment/segment_file.hpp"
#include "support/descriptor.hpp"
#include "support/role.hpp"

#include <atrium/segment/detail/layout.hpp>

#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace atrium::test {

/// A file under a segment's name; its name goes with it.
class forged_file
{
public:
    explicit forged_file(std::string const& name, std::span<std::byte const> bytes = {})
        : path_(path_of(name)), file_(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600))
    {
        require(static_cast<bool>(file_), "the forged file was made");
        write(0, bytes);
    }
    forged_file(forged_file const&)            = delete;
    forged_file& operator=(forged_file const&) = delete;
    ~forged_file() { ::unlink(path_.c_str()); }

    void write(std::size_t offset, std::span<std::byte const> bytes)
    {
        auto const put = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        require(put == static_cast<ssize_t>(bytes.size()), "the forged file was written");
    }

    void resize(std::size_t size) { require(::ftruncate(file_.get(), static_cast<off_t>(size)) == 0, "resized"); }

private:
    std::string path_;
    descriptor  file_;
};

/// The bytes of a segment that nobody has attached.
inline std::vector<std::byte> bytes_of_a_segment(std::string const& name, segment_options const& options)
{
    segment const          made(create_only, name, options);
    auto const             size = static_cast<std::size_t>(made.attached()->committed());
    auto const*            from = made.attached()->base();
    std::vector<std::byte> bytes(from, from + size);
    // As if its only user had left: no row is taken.
    auto const row = made.attached()->self().row() * sizeof(detail::participant_row) + detail::header_size;
    std::memset(bytes.data() + row, 0, sizeof(detail::participant_row));
    require(segment::remove(name, true).has_value(), "the model is removed");
    return bytes;
}

/// Changes the identity, and lets the checksum fit.
template <class Change> void change_identity(std::span<std::byte> header, Change change)
{
    detail::segment_identity identity;
    std::memcpy(&identity, header.data(), sizeof(identity));
    change(identity);
    identity.crc = detail::checksum(identity);
    std::memcpy(header.data(), &identity, sizeof(identity));
}

/// Makes the checksum fit what the identity says now.
inline void fix_checksum(std::span<std::byte> header)
{
    change_identity(header, [](detail::segment_identity const&) {});
}

/// Changes one field of the identity.
template <class Field> void set_field(std::span<std::byte> header, Field detail::segment_identity::*field, Field value)
{
    change_identity(header, [&](detail::segment_identity& identity) { identity.*field = value; });
}

} // namespace atrium::test
