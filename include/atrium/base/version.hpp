/// \file
/// The version of the library; the build and the package recipe read it from here.
#pragma once

#define ATRIUM_VERSION_MAJOR 0
#define ATRIUM_VERSION_MINOR 1
#define ATRIUM_VERSION_PATCH 0

/// The version as text.
#define ATRIUM_VERSION "0.1.0"
