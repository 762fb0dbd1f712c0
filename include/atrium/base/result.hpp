/// \file
/// What functions return that fail in normal operation.
#pragma once

#include <atrium/base/error.hpp>

#include <boost/system/result.hpp>

namespace atrium {

/// A value, or the error code that says why there is none. Errors of normal operation are returned so, never thrown.
template <class T = void> using result = boost::system::result<T>;

} // namespace atrium
