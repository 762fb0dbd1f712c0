/// \file
/// What two programs compare before they use the same bytes as the same type.
#pragma once

#include <boost/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <typeinfo>

namespace atrium {

/// Specialise to name a type explicitly, or to count its versions:
/// \code
/// template <> struct atrium::type_identity<frame> { static constexpr std::string_view name = "frame";
///                                                   static constexpr std::uint32_t version = 2; };
/// \endcode
/// `name` must be given for types that go on the network or to another language; without it the compiler's own name
/// is used, which g++ and clang++ agree on. `version` may be left out (0).
template <class T> struct type_identity
{
};

/// True for types whose layout depends on Boost's: the containers, and user types that say so.
template <class T> inline constexpr bool depends_on_boost_layout = false;

/// A type as it is recorded beside its bytes: the hash decides, the rest explains.
struct fingerprint
{
    std::uint64_t hash    = 0; ///< FNV-1a, 64 bit, of the canonical string.
    std::uint64_t size    = 0; ///< sizeof, bytes
    std::uint32_t align   = 0; ///< alignof, bytes
    std::uint32_t version = 0; ///< the user's version, 0 where none was given
    std::string   name;        ///< readable name

    /// The canonical string, as `lib/base/DESIGN.md` has it: `name|size|align|version|boost`.
    [[nodiscard]] std::string canonical(std::uint32_t boost_version) const;

    friend bool operator==(fingerprint const& a, fingerprint const& b) noexcept { return a.hash == b.hash; }
};

/// FNV-1a with 64 bits (Fowler, Noll, Vo; RFC 9923).
[[nodiscard]] constexpr std::uint64_t fnv1a_64(std::string_view text) noexcept
{
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (char const c : text)
    {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3u;
    }
    return hash;
}

namespace detail {

/// Builds a fingerprint; `boost_version` is 0 for types that do not depend on Boost's layout.
fingerprint make_fingerprint(std::string name, std::size_t size, std::size_t align, std::uint32_t version,
                             std::uint32_t boost_version);

/// The compiler's name of a type, made readable.
std::string readable_name(std::type_info const& type);

} // namespace detail

/// The fingerprint of `T`.
template <class T> [[nodiscard]] fingerprint fingerprint_of()
{
    std::string   name;
    std::uint32_t version = 0;
    if constexpr (requires { type_identity<T>::name; })
        name = std::string(std::string_view(type_identity<T>::name));
    else
        name = detail::readable_name(typeid(T));
    if constexpr (requires { type_identity<T>::version; })
        version = type_identity<T>::version;
    // Boost keeps container layouts within a minor release (major * 1000 + minor).
    constexpr std::uint32_t boost_version = depends_on_boost_layout<T> ? BOOST_VERSION / 100 : 0;
    return detail::make_fingerprint(std::move(name), sizeof(T), alignof(T), version, boost_version);
}

} // namespace atrium
