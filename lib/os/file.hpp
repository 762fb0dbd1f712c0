/// \file
/// Shared memory objects as files: made without a name, published, locked by byte, grown, mapped.
#pragma once

#include <atrium/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace atrium::os {

/// Which file it is, and how it is at the moment.
struct file_status
{
    std::uint64_t device    = 0;
    std::uint64_t inode     = 0;
    std::uint64_t size      = 0; ///< bytes
    std::uint64_t allocated = 0; ///< bytes for which there is memory
    std::uint64_t links     = 0; ///< 0: no name any more
    std::uint32_t owner     = 0; ///< user id
    std::uint32_t mode      = 0; ///< permission bits
    bool          regular   = false;

    [[nodiscard]] bool same_file(file_status const& other) const noexcept
    {
        return device == other.device && inode == other.inode;
    }
};

/// An open file description of a shared memory object, with all byte locks taken through it.
/// A forked child closes it at once; `exec` closes it.
class file
{
public:
    file() = default;
    file(file&& other) noexcept;
    file& operator=(file&& other) noexcept;
    ~file();

    [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
    [[nodiscard]] int  descriptor() const noexcept { return descriptor_; }

    void close() noexcept;

    /// Gives up the number without closing it: foreign code closed it, and it may be another file's now.
    void abandon() noexcept;

private:
    friend result<file> open_existing(std::string const& name, bool writable);
    friend result<file> create_unnamed(std::uint32_t permissions);

    /// Takes a descriptor over; the caller holds off forks.
    void adopt(int descriptor);

    int           descriptor_ = -1;
    std::uint64_t note_       = 0; // see close_in_child()
};

/// Opens what is under `name`; never blocks, never follows a link.
[[nodiscard]] result<file> open_existing(std::string const& name, bool writable);

/// Makes a file without a name that has exactly these permissions.
[[nodiscard]] result<file> create_unnamed(std::uint32_t permissions);

/// Gives it its name in one step.
/// \par Errors  `already_exists`
[[nodiscard]] error_code publish(file const& what, std::string const& name) noexcept;

/// Removes the name; the file lives until its last user is gone.
[[nodiscard]] error_code remove_name(std::string const& name) noexcept;

/// All names that begin with `prefix`, sorted.
[[nodiscard]] std::vector<std::string> list_names(std::string const& prefix);

[[nodiscard]] result<file_status> status_of(file const& what) noexcept;
[[nodiscard]] result<file_status> status_of_name(std::string const& name) noexcept;

/// Gets memory for the bytes `[begin, end)`, in chunks, so that signals cannot keep it from coming to an end; makes the
/// file longer where needed.
/// \par Errors  `out_of_memory`; what was got until then stays.
[[nodiscard]] error_code commit(file const& what, std::uint64_t begin, std::uint64_t end) noexcept;

/// Makes the file `size` bytes long without getting memory.
[[nodiscard]] error_code resize(file const& what, std::uint64_t size) noexcept;

/// Reads up to `into.size()` bytes at `offset`; returns how many there were.
[[nodiscard]] result<std::size_t> read_at(file const& from, std::uint64_t offset, std::span<std::byte> into) noexcept;

/// Byte locks belong to the open file description: the kernel drops them when its last user is gone, however that
/// happens. Two threads on one description never conflict: callers exclude each other.
/// \returns false when another description holds the byte, in whichever way.
[[nodiscard]] result<bool> try_lock(file const& on, std::uint64_t byte) noexcept;
[[nodiscard]] error_code   unlock(file const& on, std::uint64_t byte) noexcept;

/// Keeps others from locking the byte, without counting as locked itself.
/// \returns false when another description has locked the byte.
[[nodiscard]] result<bool> try_guard(file const& on, std::uint64_t byte) noexcept;

/// True when another description has locked one of the bytes; guarded ones do not count.
[[nodiscard]] result<bool> is_locked_by_other(file const& on, std::uint64_t first, std::uint64_t count) noexcept;

} // namespace atrium::os
