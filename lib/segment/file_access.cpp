#include "segment/file_access.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>
#include <utility>

namespace atrium::detail {

using namespace std::chrono_literals;

life_cycle_lock::life_cycle_lock(life_cycle_lock&& other) noexcept : file_(std::move(other.file_)) {}

life_cycle_lock& life_cycle_lock::operator=(life_cycle_lock&& other) noexcept
{
    if (this != &other)
    {
        release();
        file_ = std::move(other.file_);
    }
    return *this;
}

life_cycle_lock::~life_cycle_lock()
{
    release();
}

void life_cycle_lock::release() noexcept
{
    if (auto const file = std::exchange(file_, nullptr))
        static_cast<void>(os::unlock(*file, life_cycle_byte));
}

result<life_cycle_lock> life_cycle_lock::take(std::shared_ptr<os::file const> file, deadline until) noexcept
{
    for (auto pause = 20us;; pause = std::min(pause * 2, 2000us))
    {
        auto const got = os::try_lock(*file, life_cycle_byte);
        if (!got)
            return got.error();
        if (*got)
        {
            life_cycle_lock lock;
            lock.file_ = std::move(file);
            return lock;
        }
        if (until.passed())
            return errc::timed_out;
        std::this_thread::sleep_for(pause);
    }
}

result<locked_file> open_locked(std::string const& file_name, deadline until)
{
    for (;;)
    {
        auto file = os::open_existing(file_name, true);
        if (!file)
            return file.error();
        locked_file opened;
        opened.file = std::make_shared<os::file>(std::move(*file));
        if (auto const status = os::status_of(*opened.file); !status)
            return status.error();
        else if (!status->regular)
            return errc::not_a_segment;

        auto lock = life_cycle_lock::take(opened.file, until);
        if (!lock)
            return lock.error();
        opened.lock       = std::move(*lock);
        auto const status = os::status_of(*opened.file);
        if (!status)
            return status.error();
        if (status->links == 0 && until.passed())
            return errc::timed_out;
        if (status->links == 0)
            continue; // the last one left while we waited: the name is free, or another segment's

        opened.status = *status;
        if (auto header = read_header_of(*opened.file))
            opened.header = *header;
        else
            opened.header_error = header.error();
        return opened;
    }
}

result<header_copy> read_header_of(os::file const& file)
{
    std::array<std::byte, sizeof(segment_header)> bytes = {};

    auto const read = os::read_at(file, 0, bytes);
    if (!read)
        return read.error();
    auto const status = os::status_of(file);
    if (!status)
        return status.error();
    return read_header({bytes.data(), *read}, status->size);
}

result<bool> anybody_alive(os::file const& file) noexcept
{
    return os::is_locked_by_other(file, first_participant_byte, max_participants);
}

deadline patience(std::chrono::milliseconds open_timeout)
{
    return std::max<std::chrono::milliseconds>(open_timeout, 1s);
}

} // namespace atrium::detail
