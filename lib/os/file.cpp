#include "os/file.hpp"

#include "os/error.hpp"
#include "os/fork.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace atrium::os {

namespace {

constexpr char          directory[]  = "/dev/shm";
constexpr std::uint64_t commit_chunk = 16u << 20;

std::string path_of(std::string const& name)
{
    return std::string(directory) + '/' + name;
}

file_status to_status(struct stat const& s) noexcept
{
    file_status status;
    status.device    = s.st_dev;
    status.inode     = s.st_ino;
    status.size      = static_cast<std::uint64_t>(s.st_size);
    status.allocated = static_cast<std::uint64_t>(s.st_blocks) * 512;
    status.links     = s.st_nlink;
    status.owner     = s.st_uid;
    status.mode      = s.st_mode & 07777u;
    status.regular   = S_ISREG(s.st_mode);
    return status;
}

struct flock byte_range(short type, std::uint64_t first, std::uint64_t count) noexcept
{
    struct flock range = {};
    range.l_type       = type;
    range.l_whence     = SEEK_SET;
    range.l_start      = static_cast<off_t>(first);
    range.l_len        = static_cast<off_t>(count);
    return range;
}

result<bool> set_lock(file const& on, short type, std::uint64_t byte) noexcept
{
    struct flock range = byte_range(type, byte, 1);
    if (::fcntl(on.descriptor(), F_OFD_SETLK, &range) == 0)
        return true;
    if (errno == EAGAIN || errno == EACCES)
        return false;
    return {boost::system::in_place_error, last_error()};
}

} // namespace

file::file(file&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), note_(std::exchange(other.note_, 0))
{}

file& file::operator=(file&& other) noexcept
{
    if (this != &other)
    {
        close();
        descriptor_ = std::exchange(other.descriptor_, -1);
        note_       = std::exchange(other.note_, 0);
    }
    return *this;
}

file::~file()
{
    close();
}

void file::adopt(int descriptor)
{
    if (descriptor < 0)
        return;
    try
    {
        note_ = close_in_child(descriptor);
    }
    catch (...)
    {
        ::close(descriptor); // a descriptor that cannot be noted is not kept
        throw;
    }
    descriptor_ = descriptor;
}

void file::close() noexcept
{
    if (descriptor_ < 0)
        return;
    auto const held = hold_off_forks();
    forget_descriptor(std::exchange(note_, 0));
    ::close(std::exchange(descriptor_, -1));
}

void file::abandon() noexcept
{
    if (descriptor_ < 0)
        return;
    auto const held = hold_off_forks();
    forget_descriptor(std::exchange(note_, 0));
    descriptor_ = -1;
}

result<file> open_existing(std::string const& name, bool writable)
{
    auto const held = hold_off_forks();
    file       f;
    // Non-blocking: a FIFO somebody put under the name must not hang us.
    int const flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    f.adopt(::open(path_of(name).c_str(), flags));
    if (!f.is_open())
        return last_error();
    return f;
}

result<file> create_unnamed(std::uint32_t permissions)
{
    auto const held = hold_off_forks();
    file       f;
    f.adopt(::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    // The umask does not apply to fchmod: the permissions are what was asked for.
    if (!f.is_open() || ::fchmod(f.descriptor_, permissions) != 0)
    {
        error_code const error = last_error();
        if (f.is_open())
        {
            forget_descriptor(std::exchange(f.note_, 0));
            ::close(std::exchange(f.descriptor_, -1));
        }
        return error;
    }
    return f;
}

error_code publish(file const& what, std::string const& name) noexcept
{
    std::string const self = "/proc/self/fd/" + std::to_string(what.descriptor());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_of(name).c_str(), AT_SYMLINK_FOLLOW) != 0)
        return last_error();
    return {};
}

error_code remove_name(std::string const& name) noexcept
{
    return ::unlink(path_of(name).c_str()) == 0 ? error_code() : last_error();
}

std::vector<std::string> list_names(std::string const& prefix)
{
    std::vector<std::string>                  names;
    std::unique_ptr<DIR, int (*)(DIR*)> const stream(::opendir(directory), &::closedir);
    while (stream)
    {
        dirent const* const entry = ::readdir(stream.get());
        if (entry == nullptr)
            break;
        std::string const name = entry->d_name;
        if (name.starts_with(prefix))
            names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

result<file_status> status_of(file const& what) noexcept
{
    struct stat s = {};
    if (::fstat(what.descriptor(), &s) != 0)
        return last_error();
    return to_status(s);
}

result<file_status> status_of_name(std::string const& name) noexcept
{
    struct stat s = {};
    if (::lstat(path_of(name).c_str(), &s) != 0)
        return last_error();
    return to_status(s);
}

error_code commit(file const& what, std::uint64_t begin, std::uint64_t end) noexcept
{
    while (begin < end)
    {
        std::uint64_t const size = std::min(commit_chunk, end - begin);
        int const error = ::posix_fallocate(what.descriptor(), static_cast<off_t>(begin), static_cast<off_t>(size));
        if (error == EINTR)
            continue;
        if (error != 0)
            return error_from(error);
        begin += size;
    }
    return {};
}

error_code resize(file const& what, std::uint64_t size) noexcept
{
    return ::ftruncate(what.descriptor(), static_cast<off_t>(size)) == 0 ? error_code() : last_error();
}

result<std::size_t> read_at(file const& from, std::uint64_t offset, std::span<std::byte> into) noexcept
{
    std::size_t done = 0;
    while (done < into.size())
    {
        auto const got =
            ::pread(from.descriptor(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return last_error();
        if (got == 0)
            break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

result<bool> try_lock(file const& on, std::uint64_t byte) noexcept
{
    return set_lock(on, F_WRLCK, byte);
}

result<bool> try_guard(file const& on, std::uint64_t byte) noexcept
{
    return set_lock(on, F_RDLCK, byte); // the kernel's shared lock: in the way of exclusive ones only
}

error_code unlock(file const& on, std::uint64_t byte) noexcept
{
    struct flock range = byte_range(F_UNLCK, byte, 1);
    return ::fcntl(on.descriptor(), F_OFD_SETLK, &range) == 0 ? error_code() : last_error();
}

result<bool> is_locked_by_other(file const& on, std::uint64_t first, std::uint64_t count) noexcept
{
    // What would be in the way of a shared lock: exclusive ones.
    struct flock range = byte_range(F_RDLCK, first, count);
    if (::fcntl(on.descriptor(), F_OFD_GETLK, &range) != 0)
        return {boost::system::in_place_error, last_error()};
    return range.l_type != F_UNLCK;
}

} // namespace atrium::os
