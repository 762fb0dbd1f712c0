/// \file
/// Receiving references to objects in a segment.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pipe/detail/handing_over.hpp>
#include <atrium/pipe/routers.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace atrium {

/// A receiver of a bounded queue of references; `router::subscribe` makes it. What is received is the sender's object
/// itself, wherever it lies in the segment. Each sender's references come in the order in which it sent them, those of
/// several senders in turn. Copies, and others who subscribe to the same name, compete for what comes: each reference goes
/// to one of them.
/// \par Thread safety  Different receivers may be used at the same time, also of one pipe; one receiver by one thread at a
/// time.
/// \par Lifetime  Keeps the router and the segment. The pipe is closed when its last receiver goes; what is in it is
/// dropped.
/// \par If a process dies  What it had received is given up with its other references; if it was the last to receive, the
/// pipe is closed. The death of a sender is told once, after all that it sent.
template <class T> class pipe
{
public:
    /// A further receiver of the same pipe.
    pipe(pipe const& other) : core_(detail::subscribe_again(*other.core_)) {}
    pipe(pipe&&) noexcept = default;
    pipe& operator=(pipe other) noexcept
    {
        core_.swap(other.core_);
        return *this;
    }
    ~pipe() = default;

    /// The next reference, once there is one.
    /// \par Errors  `timed_out`; `closed`: nothing will come any more; `peer_dead`: a sender has died, and all that it sent
    /// was received (the pipe goes on); `forked`; where this process needs memory for more references: `out_of_memory`
    [[nodiscard]] result<shared_ptr<T>> receive(deadline until, wait_policy const& how = {})
    {
        detail::taken_reference taken;
        if (error_code const error = detail::receive(*core_, taken, until, how))
            return error;
        return typed(taken);
    }

    /// The same without waiting.
    /// \par Errors  `empty`; else as receive(), but for `timed_out`
    [[nodiscard]] result<shared_ptr<T>> try_receive()
    {
        detail::taken_reference taken;
        if (error_code const error = detail::try_receive(*core_, taken, true))
            return error;
        return typed(taken);
    }

    /// Waits for at least one, and takes as many more as there are and `into` has room for.
    /// \returns how many
    /// \par Errors  as above; only where there is none
    [[nodiscard]] result<std::size_t> receive(std::span<shared_ptr<T>> into, deadline until,
                                              wait_policy const& how = {})
    {
        if (into.empty())
            return std::size_t{0};
        return take_more(into, receive(until, how));
    }

    /// The same without waiting.
    [[nodiscard]] result<std::size_t> try_receive(std::span<shared_ptr<T>> into)
    {
        if (into.empty())
            return std::size_t{0};
        return take_more(into, try_receive());
    }

    /// Senders are refused from now on; receivers get what is left, and then `closed`.
    void close() noexcept { detail::close_pipe(*core_); }

    /// Without the router's; a number where it was given none.
    [[nodiscard]] std::string const& name() const noexcept { return detail::name_of(*core_); }

    /// Its number in the router, as `refusal::pipe` has it.
    [[nodiscard]] std::uint32_t number() const noexcept { return detail::number_of(*core_); }

    [[nodiscard]] pipe_info info() const { return detail::info_of(*core_); }

    /// For the library.
    explicit pipe(std::shared_ptr<detail::pipe_core> core) noexcept : core_(std::move(core)) {}
    [[nodiscard]] detail::pipe_core& core() const noexcept { return *core_; }

private:
    static shared_ptr<T> typed(detail::taken_reference const& taken) noexcept
    {
        return detail::reference_access::make<T>(taken.pointee, taken.reference);
    }

    result<std::size_t> take_more(std::span<shared_ptr<T>> into, result<shared_ptr<T>> first)
    {
        if (!first)
            return first.error();
        into[0]           = std::move(*first);
        std::size_t count = 1;
        for (; count < into.size(); ++count)
        {
            detail::taken_reference next;
            if (detail::try_receive(*core_, next, false))
                break;
            into[count] = typed(next);
        }
        return count;
    }

    std::shared_ptr<detail::pipe_core> core_;
};

} // namespace atrium
