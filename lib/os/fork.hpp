/// \file
/// What keeps a forked child from holding its parent's descriptors, mappings and locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace atrium::os {

/// Held over everything a fork must not fall into: opening a descriptor and noting it, mapping and marking the mapping.
/// The fork itself waits for it (pthread_atfork), so hold it only for a few system calls.
/// \par Lock order  After every other process-local mutex of the library.
[[nodiscard]] std::unique_lock<std::mutex> hold_off_forks();

/// Notes a descriptor that a forked child closes at once, unless foreign code has put another file there by then. The
/// caller holds off forks.
/// \returns the note's number, never used twice: descriptors are
[[nodiscard]] std::uint64_t close_in_child(int descriptor);

/// Forgets the note; the caller holds off forks, and closes the descriptor before it lets go. Nothing in a child whose
/// parent made the note.
void forget_descriptor(std::uint64_t note) noexcept;

/// Which process this is: changes at every fork. Never 0 in a process that asked before; a child that has not asked
/// finds 0 by `generation_is`, since the kernel wipes the word. Raw clone(), _Fork() and vfork() children
/// must not touch the library.
[[nodiscard]] std::uint64_t process_generation();

/// True when this process, or one that it was forked of, was forked of one that used the library.
[[nodiscard]] bool is_forked_child();

/// True while this is still the process in which `process_generation()` gave that value.
[[nodiscard]] bool generation_is(std::uint64_t generation) noexcept;

/// The word that `generation_is` compares; always there.
[[nodiscard]] std::atomic<std::uint64_t> const& generation_word();

/// Adds handlers that run around a fork; the ones added last are prepared first.
void at_fork(void (*prepare)(), void (*parent)(), void (*child)());

} // namespace atrium::os
