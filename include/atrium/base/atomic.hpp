/// \file
/// The one alias through which all shared words are declared.
#pragma once

#include <atomic>

namespace atrium {

/// An atomic word of shared memory; an alias, so that a test can swap in one that explores orders.
template <class T> using atomic = std::atomic<T>;

} // namespace atrium
