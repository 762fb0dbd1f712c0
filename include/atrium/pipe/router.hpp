/// \file
/// Handing references to objects of a segment to other processes.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/name.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_construction.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pipe/delivery.hpp>
#include <atrium/pipe/detail/sending_of.hpp>
#include <atrium/pipe/ordered_sender.hpp>
#include <atrium/pipe/pipe.hpp>
#include <atrium/pipe/pipe_options.hpp>
#include <atrium/pipe/routers.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/segment/tags.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace atrium {

/// Hands references to its pipes: what is sent goes to every one of them, and each receiver gets the object itself. Nothing
/// is copied, no system call is made while nobody sleeps, and no two senders share a queue: one that is stopped delays
/// nobody.
/// \par Thread safety  Safe.
/// \par Lifetime  Keeps the segment. The router goes when nobody has it open any more, nor a pipe of it, unless it is kept.
/// \par If a process dies  What it had sent arrives, what it was sending has been sent or not. Its own pipes are closed.
template <class T> class router
{
public:
    using element_type = std::remove_extent_t<T>;

    /// \param name  at most 52 characters
    /// \par Errors  throws `already_exists`, and as open_or_create
    router(create_only_t, segment const& in, std::string_view name, router_options const& options = {})
        : core_(open(in, detail::named_mode::create_only, name, options))
    {}

    /// \par Errors  throws `not_found`, `type_mismatch`, `under_construction`, `recovery_busy`, `name_invalid`,
    /// `corrupted`, `timed_out`, `forked`, `read_only`, `flat_segment`
    router(open_only_t, segment const& in, std::string_view name, router_options const& options = {})
        : core_(open(in, detail::named_mode::open_only, name, options))
    {}

    /// Of many that try at once, one makes it.
    /// \par Errors  throws as open_only, but for `not_found`; also `invalid_argument`, `directory_full`, `out_of_memory`
    router(open_or_create_t, segment const& in, std::string_view name, router_options const& options = {})
        : core_(open(in, detail::named_mode::open_or_create, name, options))
    {}

    /// A pipe of its own, which gets all that is sent from now on.
    /// \par Errors  throws `too_many_receivers`, `closed`, `invalid_argument`, `directory_full`, `out_of_memory`,
    /// `timed_out`; where it has a history also `too_many_references`, `corrupted`
    [[nodiscard]] pipe<T> subscribe(pipe_options const& options = {})
    {
        return pipe<T>(detail::subscribe(core_, detail::named_mode::create_only, {}, options));
    }

    /// A receiver of the pipe of that name, which competes with others for what comes. Who comes first makes it.
    /// \param name  not a number alone: such names have pipes without one
    /// \par Errors  throws as above; also `name_invalid`, `too_many_holders`, `already_exists`, `not_found`. Where the
    /// history cannot be had, others who have opened the pipe meanwhile keep it
    [[nodiscard]] pipe<T> subscribe(open_or_create_t, std::string_view name, pipe_options const& options = {})
    {
        return pipe<T>(detail::subscribe(core_, detail::named_mode::open_or_create, named(name), options));
    }
    [[nodiscard]] pipe<T> subscribe(create_only_t, std::string_view name, pipe_options const& options = {})
    {
        return pipe<T>(detail::subscribe(core_, detail::named_mode::create_only, named(name), options));
    }
    [[nodiscard]] pipe<T> subscribe(open_only_t, std::string_view name, pipe_options const& options = {})
    {
        return pipe<T>(detail::subscribe(core_, detail::named_mode::open_only, named(name), options));
    }

    /// Sends a further reference to every pipe. Waits until the deadline where a full pipe wants that, and those with room
    /// have been served.
    /// \returns who has got it; refusals are no errors
    /// \par Errors  `no_receivers` (a router with a history has kept it all the same, for those who come), `closed`,
    /// `invalid_argument` (null, or of another segment), `forked`; for the first reference of a thread, and where it cannot
    /// be kept as history: `out_of_memory`, `timed_out`, and nobody gets it
    [[nodiscard]] result<delivery> send(shared_ptr<T> const& object, deadline until, wait_policy const& how = {})
    {
        return detail::send_copy(*core_, object, until, how);
    }

    /// Sends the reference itself. It stays where nobody gets it.
    [[nodiscard]] result<delivery> send(shared_ptr<T>&& object, deadline until, wait_policy const& how = {})
    {
        return detail::send_moved(*core_, object, until, how);
    }

    /// Sends all of them, and tells receivers at the end: cheaper than one by one. Those that nobody gets stay.
    [[nodiscard]] result<delivery> send(std::span<shared_ptr<T>> objects, deadline until, wait_policy const& how = {})
    {
        return detail::send_batch(*core_, objects, until, how);
    }

    /// The same without waiting: a full pipe refuses with `full`.
    [[nodiscard]] result<delivery> try_send(shared_ptr<T> const& object) { return send(object, detail::at_once); }
    [[nodiscard]] result<delivery> try_send(shared_ptr<T>&& object) { return send(std::move(object), detail::at_once); }
    [[nodiscard]] result<delivery> try_send(std::span<shared_ptr<T>> objects) { return send(objects, detail::at_once); }

    /// Waits until there are `count` pipes, or more: for who comes before its receivers.
    /// \par Errors  `timed_out`, `closed`, `forked`
    [[nodiscard]] result<> wait_for_receivers(std::size_t count, deadline until)
    {
        if (error_code const error = detail::wait_for_receivers(*core_, count, until))
            return error;
        return {};
    }

    /// A sender with an order of its own, for what runs on changing threads.
    /// \par Errors  throws `too_many_senders`, `out_of_memory`, `timed_out`, `forked`
    [[nodiscard]] ordered_sender<T> make_ordered_sender()
    {
        return ordered_sender<T>(detail::make_ordered_sender(core_));
    }

    /// For good, and for everybody: senders are refused, receivers get what is left and then `closed`.
    void close() noexcept { detail::close_router(*core_); }

    [[nodiscard]] std::string const& name() const noexcept { return detail::name_of(*core_); }

    /// The router and its pipes at the moment.
    [[nodiscard]] router_info info() const { return detail::info_of(*core_); }

private:
    static auto open(segment const& in, detail::named_mode mode, std::string_view name, router_options const& options)
    {
        return detail::open_router(in.attached(), mode, name, detail::counted_type<element_type>(), options);
    }

    static std::string_view named(std::string_view name)
    {
        if (auto const checked = check_name(name); !checked)
            throw_error(checked.error(), "pipe '" + std::string(name) + "'");
        return name;
    }

    std::shared_ptr<detail::router_core> core_;
};

} // namespace atrium
