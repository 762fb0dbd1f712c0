/// \file
/// Sending in one order from changing threads.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pipe/delivery.hpp>
#include <atrium/pipe/detail/sending_of.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <memory>
#include <span>
#include <utility>

namespace atrium {

/// Sends as the router that made it, with queues of its own: what it sends is received in that order, whatever threads
/// send it. Coroutines that hop threads need one.
/// \par Thread safety  Safe: one thread after the other sends, and those that come meanwhile wait for it.
/// \par Lifetime  Keeps the router. Copies are the same sender.
/// \par If a process dies  As a router.
template <class T> class ordered_sender
{
public:
    /// \par Errors  as `router::send`
    [[nodiscard]] result<delivery> send(shared_ptr<T> const& object, deadline until, wait_policy const& how = {})
    {
        return detail::send_copy(*core_, object, until, how);
    }
    [[nodiscard]] result<delivery> send(shared_ptr<T>&& object, deadline until, wait_policy const& how = {})
    {
        return detail::send_moved(*core_, object, until, how);
    }
    [[nodiscard]] result<delivery> send(std::span<shared_ptr<T>> objects, deadline until, wait_policy const& how = {})
    {
        return detail::send_batch(*core_, objects, until, how);
    }

    /// For the library.
    explicit ordered_sender(std::shared_ptr<detail::sender_core> core) noexcept : core_(std::move(core)) {}

private:
    std::shared_ptr<detail::sender_core> core_;
};

} // namespace atrium
