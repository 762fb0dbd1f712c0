/// \file
/// Makes attachments; the only door to their private members.
#pragma once

#include "segment/implementation.hpp"

#include <atrium/segment/attachment.hpp>

#include <memory>

namespace atrium {

struct attachment_access
{
    /// An attachment that is nobody yet: not published, no row.
    [[nodiscard]] static std::shared_ptr<attachment> make(std::unique_ptr<attachment::implementation> in);

    static void set_self(attachment& of, participant_id self) noexcept { of.self_ = self; }
};

} // namespace atrium
