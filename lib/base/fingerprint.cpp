#include <atrium/base/fingerprint.hpp>

#include <boost/core/demangle.hpp>

#include <utility>

namespace atrium {

std::string fingerprint::canonical(std::uint32_t boost_version) const
{
    return name + '|' + std::to_string(size) + '|' + std::to_string(align) + '|' + std::to_string(version) + '|' +
           std::to_string(boost_version);
}

namespace detail {

fingerprint make_fingerprint(std::string name, std::size_t size, std::size_t align, std::uint32_t version,
                             std::uint32_t boost_version)
{
    fingerprint print{0, size, static_cast<std::uint32_t>(align), version, std::move(name)};
    print.hash = fnv1a_64(print.canonical(boost_version));
    return print;
}

std::string readable_name(std::type_info const& type)
{
    return boost::core::demangle(type.name());
}

} // namespace detail

} // namespace atrium
