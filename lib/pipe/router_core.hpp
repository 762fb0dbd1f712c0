/// \file
/// A router, as one process uses it.
#pragma once

#include "pipe/router_view.hpp"
#include "pipe/sender_core.hpp"

#include <atrium/memory/detail/named_core.hpp>
#include <atrium/pipe/detail/handing_over.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace atrium::detail {

/// Process-local, one for each router that this process has open: by handles, or by pipes. Holds the router's entry in the
/// directory while it lives.
/// \par Thread safety  Safe, but for construction and destruction.
class router_core : public std::enable_shared_from_this<router_core>
{
public:
    router_core(std::shared_ptr<attachment> in, std::uint32_t entry, router_view const& view, std::string name,
                fingerprint element);
    router_core(router_core const&)            = delete;
    router_core& operator=(router_core const&) = delete;
    ~router_core();

    [[nodiscard]] attachment&                        in() const noexcept { return *in_; }
    [[nodiscard]] std::shared_ptr<attachment> const& attached() const noexcept { return in_; }
    [[nodiscard]] std::uint32_t                      entry() const noexcept { return entry_; }
    [[nodiscard]] router_view const&                 view() const noexcept { return view_; }
    [[nodiscard]] std::string const&                 name() const noexcept { return name_; }
    [[nodiscard]] fingerprint const&                 element() const noexcept { return element_; }

    /// Which one it is; no two have had the same number.
    [[nodiscard]] std::uint64_t serial() const noexcept { return serial_; }

    /// That of the segment: references that belong there say so.
    [[nodiscard]] memory_state const* memory() const noexcept { return memory_; }

    [[nodiscard]] bool is_closed() const noexcept
    {
        return view_.header().closed.load(std::memory_order_acquire) != 0; // C2
    }

    struct calling
    {
        sender_core* sender    = nullptr;
        bool         is_shared = false; ///< with threads that have no lane either: they take turns
    };

    /// The calling thread's sender.
    [[nodiscard]] calling calling_sender();

    /// The lane is given back.
    void end_lane(std::uint32_t lane) noexcept;

private:
    [[nodiscard]] bool has_used_shared_sender();

    std::shared_ptr<attachment>               in_;
    std::uint32_t                             entry_;
    router_view                               view_;
    std::string                               name_;
    fingerprint                               element_;
    std::uint64_t                             serial_;
    memory_state const*                       memory_;
    std::vector<std::unique_ptr<sender_core>> senders_;      // by lane; each belongs to the thread that has the lane
    std::mutex                                shared_mutex_; // over the one that threads share, and what follows
    std::set<std::thread::id>                 shared_users_;
    std::atomic<bool>                         has_shared_users_{false};
};

/// What this process has open in a segment.
class open_routers
{
public:
    /// Notes it, unless somebody was faster: then that one.
    [[nodiscard]] std::shared_ptr<router_core> note(std::shared_ptr<router_core> const& fresh);

    void forget(std::uint32_t entry, router_core const& gone) noexcept;

    void end_lane(std::uint32_t lane) noexcept;

private:
    struct known
    {
        std::uint32_t              entry  = 0;
        std::uint64_t              serial = 0;
        router_core const*         core   = nullptr;
        std::weak_ptr<router_core> router;
    };

    [[nodiscard]] std::shared_ptr<router_core> next_after(std::uint64_t& serial) noexcept;

    std::mutex              mutex_;
    std::condition_variable gone_;
    std::vector<known>      routers_;
};

/// The calling thread gives its lane back: nothing of its sender is remembered.
void forget_own_sender() noexcept;

[[nodiscard]] open_routers& routers_in(attachment& in) noexcept;

/// Nobody sends to the pipe of that generation any more.
void shut_pipe(router_view const& router, pipe_slot& slot, std::uint64_t generation) noexcept;

/// The same for all pipes of a router.
void shut_all(router_view const& router) noexcept;

} // namespace atrium::detail
