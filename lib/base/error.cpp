#include <atrium/base/error.hpp>

#include <array>
#include <cstddef>

namespace atrium {

namespace {

// In the order of the enumerators, the first of which is 1.
constexpr std::array messages = {
    "an argument is out of its range",
    "the name is empty, too long or has a forbidden character",
    "the size can never fit",
    "the name is taken",
    "there is nothing under that name",
    "permission denied",
    "it belongs to another user",
    "not an atrium segment",
    "the file is too short",
    "another layout version",
    "another byte order, word size or page size",
    "the shared memory contradicts itself",
    "a larger maximum size than the creator's",
    "the segment has living participants",
    "the segment was removed by force",
    "the segment is closing",
    "all participant rows are taken",
    "the holders limit is reached",
    "all lanes are taken",
    "a flat segment has no heap",
    "attached for looking only",
    "out of shared memory",
    "the block is not in use under that owner",
    "all directory entries are taken",
    "the named object is of another type",
    "the named object is still under construction",
    "no more sub-owners",
    "all places of the pool are taken",
    "the object is gone",
    "too many references to one object",
    "there is nothing to receive",
    "the pipe is full",
    "the pipe or router was closed",
    "there are no receivers",
    "the router can have no more pipes",
    "the router can have no more ordered senders",
    "the deadline passed",
    "the process that held the lock died",
    "the process waited for is dead",
    "another process is recovering",
    "the handle was made before a fork",
    "the segment's descriptor was closed by foreign code",
    "a system call failed",
};
static_assert(messages.size() == static_cast<std::size_t>(errc::system_failure));

class atrium_category final : public boost::system::error_category
{
public:
    [[nodiscard]] char const* name() const noexcept override { return "atrium"; }

    [[nodiscard]] std::string message(int value) const override
    {
        auto const index = static_cast<std::size_t>(value) - 1;
        return value > 0 && index < messages.size() ? messages[index] : "unknown error";
    }
};

} // namespace

boost::system::error_category const& category() noexcept
{
    static atrium_category const instance;
    return instance;
}

error_code make_error_code(errc code) noexcept
{
    return {static_cast<int>(code), category()};
}

void throw_error(error_code code, std::string const& what)
{
    throw system_error(code, what);
}

} // namespace atrium
