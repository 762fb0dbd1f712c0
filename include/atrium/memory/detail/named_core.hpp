/// \file
/// The untyped half of named objects.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/fingerprint.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/owner.hpp>
#include <atrium/memory/named_options.hpp>
#include <atrium/segment/attachment.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace atrium {

namespace detail {

/// A type, as the directory needs it.
struct object_type
{
    fingerprint print;
    bool        trivial                  = false; ///< no destructor to run
    void (*destroy)(std::byte*) noexcept = nullptr;
    bool          pool                   = false; ///< a table of counted objects, which keep it
    std::uint64_t bytes                  = 0;     ///< of the block; 0: as many as the type has
    std::uint32_t structure              = 0;     ///< part_id of the part whose structure it is; 0: an ordinary object
};

/// Between the name of a structure and that of something that belongs to it.
inline constexpr char name_separator = ':';

enum class named_mode
{
    create_only = 1,
    open_only,
    open_or_create,
};

/// An entry that this process holds, or is to construct in.
struct named_slot
{
    std::uint32_t index        = 0;
    bool          to_construct = false;
    std::byte*    object       = nullptr;
    owner         of           = owner::library(0); ///< of the object's blocks, where it is to be constructed
};

/// Finds or claims the name. Throws `system_error` where that fails; what is thrown says both sides of a mismatch.
[[nodiscard]] named_slot acquire_named(attachment& in, named_mode mode, std::string_view name, object_type const& type,
                                       named_options const& options);

/// The object is whole: others may have it, and this process holds it. Waits for nobody.
void publish_named(attachment& in, named_slot const& slot) noexcept;

/// The constructor threw: everything goes back.
void abandon_named(attachment& in, named_slot const& slot) noexcept;

/// One more handle, or one less; the last handle of the last process destroys the object.
void hold_named(attachment& in, std::uint32_t index) noexcept;
void release_named(attachment& in, std::uint32_t index) noexcept;

[[nodiscard]] result<> set_named_keep(attachment& in, std::uint32_t index, bool keep, deadline until);

/// Lets this process destroy objects of the type that others could not.
void know_type(object_type const& type);

} // namespace detail

} // namespace atrium
