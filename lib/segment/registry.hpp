/// \file
/// The attachments of this process.
#pragma once

#include "os/file.hpp"

#include <atrium/segment/attachment.hpp>

#include <functional>
#include <memory>

namespace atrium::detail {

/// The attachment to that file, or what `make` returns (noted) where there is none yet. The registry is held during
/// `make`, and a fork waits for it: it maps and claims, and waits for nobody.
/// \param shared  false makes a further participant of this process; tests only.
[[nodiscard]] result<std::shared_ptr<attachment>>
find_or_attach(os::file_status const& file, bool shared,
               std::function<result<std::shared_ptr<attachment>>()> const& make);

/// Forgets an attachment that is leaving.
void forget(attachment const& leaving) noexcept;

} // namespace atrium::detail
