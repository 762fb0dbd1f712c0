/// \file
/// The processes attached to a segment.
#pragma once

#include <cstdint>
#include <string>

namespace atrium {

/// One process's attachment to one segment: its row, and which of the row's users it is. Never used twice.
class participant_id
{
public:
    static constexpr unsigned      row_bits         = 12;
    static constexpr std::uint64_t row_mask         = (std::uint64_t{1} << row_bits) - 1;
    static constexpr unsigned      word_bits        = 60; ///< how many bits `word()` may use
    static constexpr std::uint64_t last_incarnation = (std::uint64_t{1} << (word_bits - row_bits)) - 1;

    constexpr participant_id() = default;
    constexpr participant_id(std::uint32_t row, std::uint64_t incarnation) noexcept
        : word_((incarnation << row_bits) | (row & row_mask))
    {}

    /// From `word()`, as it lies in shared words.
    [[nodiscard]] static constexpr participant_id from_word(std::uint64_t word) noexcept
    {
        participant_id id;
        id.word_ = word;
        return id;
    }

    [[nodiscard]] constexpr std::uint32_t row() const noexcept { return static_cast<std::uint32_t>(word_ & row_mask); }
    [[nodiscard]] constexpr std::uint64_t incarnation() const noexcept { return word_ >> row_bits; }
    [[nodiscard]] constexpr std::uint64_t word() const noexcept { return word_; }

    /// False for the id of nobody.
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return word_ != 0; }

    friend constexpr bool operator==(participant_id, participant_id) noexcept = default;

private:
    std::uint64_t word_ = 0; // incarnations begin with 1: 0 is nobody
};

/// What is known of a participant's life.
enum class liveness
{
    alive = 1,
    dead,
    unknown, ///< this process lost its descriptor and cannot ask
};

/// A participant, for people and tools; the pid is information, nothing depends on it. Of a dead one whose row a newcomer
/// is taking over only `id` and `state` are known.
struct participant_info
{
    participant_id id;
    liveness       state              = liveness::unknown;
    std::uint32_t  pid                = 0; ///< in the participant's own pid namespace
    bool           same_pid_namespace = false;
    std::string    program;         ///< its name, at most 15 characters
    std::uint64_t  attached_at = 0; ///< nanoseconds since the epoch, wall clock
};

} // namespace atrium
