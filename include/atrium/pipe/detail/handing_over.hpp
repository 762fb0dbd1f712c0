/// \file
/// The untyped half of routers and pipes.
#pragma once

#include <atrium/base/deadline.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/local_reference.hpp>
#include <atrium/memory/detail/named_core.hpp>
#include <atrium/memory/detail/reference_ring.hpp>
#include <atrium/pipe/delivery.hpp>
#include <atrium/pipe/pipe_options.hpp>
#include <atrium/pipe/routers.hpp>
#include <atrium/segment/attachment.hpp>
#include <atrium/sync/wait_policy.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace atrium::detail {

class router_core;
class pipe_core;
class sender_core;
struct target;

/// Opens or makes a router of references to objects of that type; what this process has open already is shared.
/// Throws `system_error` as `acquire_named`.
[[nodiscard]] std::shared_ptr<router_core> open_router(std::shared_ptr<attachment> const& in, named_mode mode,
                                                       std::string_view name, object_type const& element,
                                                       router_options const& options);

/// Opens or makes a pipe; one without a name of its own gets a number. Throws `system_error`.
[[nodiscard]] std::shared_ptr<pipe_core> subscribe(std::shared_ptr<router_core> const& router, named_mode mode,
                                                   std::string_view name, pipe_options const& options);

/// A further receiver of the same pipe.
[[nodiscard]] std::shared_ptr<pipe_core> subscribe_again(pipe_core const& pipe);

/// A sender that is not bound to a thread. Throws `system_error`.
[[nodiscard]] std::shared_ptr<sender_core> make_ordered_sender(std::shared_ptr<router_core> const& router);

/// How something is sent.
struct send_terms
{
    deadline           until;
    wait_policy const& how;

    /// Gets back what was moved, and what nobody has got after all, since all pipes that were to get it were closed at this
    /// moment; `item` counts the references added from 0. Null: that is dropped.
    void (*back)(void* context, std::uint64_t item, taken_reference const& taken) noexcept = nullptr;
    void* context                                                                          = nullptr;
};

/// Sends one reference to all pipes of a router. Where `may_move` and this process has but the one, the last pipe gets that,
/// and `reference` becomes null.
/// \par Errors  `no_receivers`, `closed`, `invalid_argument` (null, or of another segment), `forked`, `out_of_memory`,
/// `timed_out`
[[nodiscard]] result<delivery> send_one(router_core& through, local_reference*& reference, std::byte const* pointee,
                                        bool may_move, send_terms const& terms) noexcept;
[[nodiscard]] result<delivery> send_one(sender_core& by, local_reference*& reference, std::byte const* pointee,
                                        bool may_move, send_terms const& terms) noexcept;

/// Whether the reference can be sent: it is one, of the router's segment.
/// \par Errors  `invalid_argument`
[[nodiscard]] error_code check(router_core const& through, local_reference const* reference) noexcept;
[[nodiscard]] error_code check(sender_core const& by, local_reference const* reference) noexcept;

/// Some references on their way to all pipes of a router: what is added is handed over at once where there is room, and
/// told to those who sleep at the end, or before this waits. Process-local, on one thread.
class sending
{
public:
    static constexpr std::size_t most = 64; ///< references

    /// Of the calling thread. Router and terms outlive it.
    sending(router_core& through, send_terms const& terms) noexcept;

    /// Of an ordered sender, which is locked meanwhile; that and the terms outlive it.
    sending(sender_core& by, send_terms const& terms) noexcept;

    sending(sending const&)            = delete;
    sending& operator=(sending const&) = delete;
    ~sending();

    /// Why nothing can be sent, or nothing more: one could not be kept for late joiners. No error where it can.
    [[nodiscard]] error_code error() const noexcept { return error_; }

    /// Hands a reference over, as `send_one`.
    /// \returns how many pipes got it
    std::size_t add(local_reference*& reference, std::byte const* pointee, bool may_move) noexcept;

    /// Tells the receivers.
    /// \par Errors  `no_receivers`, `closed`: there was nobody to hand anything to; where nothing was handed over or
    /// refused before, what error() says
    [[nodiscard]] result<delivery> finish() noexcept;

private:
    struct item;

    void                     begin() noexcept;
    [[nodiscard]] error_code nobody() const noexcept;
    void                     tell(item const* on_its_way = nullptr) noexcept;
    void                     serve(target& to, item& one, bool may_move) noexcept;
    void                     push(target& to, item& one, bool may_move) noexcept;
    void                     wait_for_room(item& one) noexcept;
    bool                     any_can_go_on() const noexcept;
    void                     sleep() noexcept;
    void                     refresh_if_changed() noexcept;

    router_core*                    router_;
    sender_core*                    sender_   = nullptr;
    bool                            has_turn_ = false; // where several threads share the sender
    send_terms const&               terms_;
    error_code                      error_;
    std::size_t                     added_ = 0; // references
    std::array<std::uint32_t, most> got_;       // by how many pipes each of them
    std::uint64_t                   first_ = 0; // sequence of the first of them
    delivery                        delivery_;
};

/// Takes the next reference once there is one.
/// \par Errors  `timed_out`, `closed`, `peer_dead`, `forked`, `out_of_memory`, `corrupted`
[[nodiscard]] error_code receive(pipe_core& from, taken_reference& taken, deadline until, wait_policy const& how);

/// The next reference, if there is one. \param reports_deaths  false: a sender's death is left to the next call
/// \par Errors  `empty`; as receive(), but for `timed_out`
[[nodiscard]] error_code try_receive(pipe_core& from, taken_reference& taken, bool reports_deaths);

/// Waits until there are so many pipes.
[[nodiscard]] error_code wait_for_receivers(router_core& router, std::size_t count, deadline until) noexcept;

/// For good: senders are refused, receivers take what is left.
void close_router(router_core& router) noexcept;
void close_pipe(pipe_core& pipe) noexcept;

[[nodiscard]] router_info        info_of(router_core const& router);
[[nodiscard]] pipe_info          info_of(pipe_core const& pipe);
[[nodiscard]] std::string const& name_of(router_core const& router) noexcept;
[[nodiscard]] std::string const& name_of(pipe_core const& pipe) noexcept;
[[nodiscard]] std::uint32_t      number_of(pipe_core const& pipe) noexcept;

} // namespace atrium::detail
