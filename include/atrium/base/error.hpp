/// \file
/// The library's error codes.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <string>
#include <type_traits>

namespace atrium {

/// What can go wrong. Every failure has a code of its own; 0 is success and no enumerator.
enum class errc
{
    // What a caller asked for.
    invalid_argument = 1, ///< A setting is out of its range.
    name_invalid,         ///< A name is empty, too long, or has a character other than letters, digits, `_`, `-`, `.`.
    too_large,            ///< The size asked for can never fit.

    // Finding and opening.
    already_exists,        ///< `create_only`, and the name is taken.
    not_found,             ///< `open_only`, and there is nothing under the name.
    permission_denied,     ///< The file's permissions do not let this process in.
    wrong_owner,           ///< The file belongs to another user and `any_owner` was not set.
    not_a_segment,         ///< What is under the name was not made by atrium.
    too_short,             ///< The file is shorter than a header, or than its header says.
    version_mismatch,      ///< Made by an incompatible layout version.
    platform_mismatch,     ///< Made by a program with another byte order, word or page size.
    corrupted,             ///< Bytes in shared memory contradict themselves.
    larger_maximum,        ///< The opener asks for a larger maximum size than the creator chose.
    segment_in_use,        ///< The segment has living participants, and force was not asked for.
    segment_retired,       ///< The segment was removed by force; whoever has it may finish with it.
    closing,               ///< Somebody asked all holders to leave, and nobody new is let in.
    too_many_participants, ///< All participant rows are taken by living processes.
    too_many_holders,      ///< The holders limit is reached.
    too_many_lanes,        ///< All lanes are taken by living threads.
    flat_segment,          ///< A flat segment has no heap, directory or references.
    read_only,             ///< The segment was attached for looking only.

    // Memory.
    out_of_memory,       ///< No memory: the maximum size is reached, or the machine has no more.
    not_owned,           ///< The block is not in use under that owner.
    directory_full,      ///< All entries for named objects are taken.
    type_mismatch,       ///< The named object is of another type, size, alignment or version.
    under_construction,  ///< The named object is being constructed by a living process, and the deadline passed.
    too_many_owners,     ///< An object has made all the sub-owners it can make.
    exhausted,           ///< All places of the pool are taken.
    expired,             ///< The object is gone, or was never whole.
    too_many_references, ///< More references to one object than can be counted.

    // Handing over.
    empty,              ///< There is nothing to receive at the moment.
    full,               ///< The pipe is full, and its senders are not to wait.
    closed,             ///< The pipe or router was closed; what was queued has been received.
    no_receivers,       ///< The router has no pipes at the moment.
    too_many_receivers, ///< The router has as many pipes as it can have.
    too_many_senders,   ///< The router has as many ordered senders as it can have.

    // Waiting and peers.
    timed_out,     ///< The deadline passed.
    owner_died,    ///< The process that held the lock died; what the lock guards may be half-changed.
    peer_dead,     ///< The process waited for is dead.
    recovery_busy, ///< Another process is recovering (or was stopped while it did).

    // This process.
    forked,          ///< The handle was made before a fork, and this is the child.
    descriptor_lost, ///< Foreign code closed the segment's descriptor.
    system_failure,  ///< A system call failed in a way that has no code of its own.
};

using boost::system::error_code;
using boost::system::system_error;

/// The category of `errc`; its messages are sentences without a full stop.
[[nodiscard]] boost::system::error_category const& category() noexcept;

/// Found by argument-dependent lookup when an `errc` becomes an `error_code`.
[[nodiscard]] error_code make_error_code(errc code) noexcept;

/// Throws `system_error` with that code; `what` says what was being done, with names and numbers.
[[noreturn]] void throw_error(error_code code, std::string const& what);

} // namespace atrium

template <> struct boost::system::is_error_code_enum<atrium::errc> : std::true_type
{
};
