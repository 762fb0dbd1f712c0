/// \file
/// A receiver of a pipe.
#pragma once

#include "pipe/router_core.hpp"
#include "pipe/router_view.hpp"

#include <atrium/memory/detail/named_core.hpp>
#include <atrium/memory/detail/reference_ring.hpp>
#include <atrium/pipe/detail/handing_over.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace atrium::detail {

/// Process-local: a pipe, opened once; copies of a receiver share it. Holds the pipe's entry in the directory, and its
/// router.
struct opened_pipe
{
    std::shared_ptr<router_core> router;
    std::uint32_t                entry      = 0;
    std::uint64_t                number     = 0; ///< of its place
    std::uint64_t                generation = 0;
    std::string                  name;
    bool is_private = false; ///< nobody else can have it: it goes by a number, which nobody opens
    bool is_held    = false; ///< the entry is, by this

    opened_pipe(std::shared_ptr<router_core> of, std::uint32_t index, std::uint64_t place, std::uint64_t which,
                std::string called, bool alone) noexcept
        : router(std::move(of)),
          entry(index),
          number(place),
          generation(which),
          name(std::move(called)),
          is_private(alone)
    {}
    opened_pipe(opened_pipe const&)            = delete;
    opened_pipe& operator=(opened_pipe const&) = delete;
    ~opened_pipe();
};

/// Process-local.
/// \par Thread safety  One thread at a time.
class pipe_core
{
public:
    explicit pipe_core(std::shared_ptr<opened_pipe> of);
    pipe_core(pipe_core const&)            = delete;
    pipe_core& operator=(pipe_core const&) = delete;
    ~pipe_core();

    [[nodiscard]] std::shared_ptr<opened_pipe> const& opened() const noexcept { return pipe_; }
    [[nodiscard]] router_core&                        router() const noexcept { return *pipe_->router; }
    [[nodiscard]] std::uint64_t                       number() const noexcept { return pipe_->number; }
    [[nodiscard]] std::uint64_t                       generation() const noexcept { return generation_; }
    [[nodiscard]] pipe_slot&                          slot() const noexcept { return slot_; }
    [[nodiscard]] std::string const&                  name() const noexcept { return pipe_->name; }

    /// Copies what senders keep for late joiners, `most` of each, and lets other receivers in, whatever comes of it. The
    /// pipe is open.
    /// \par Errors  `timed_out`, `out_of_memory`, `too_many_references`, `corrupted`
    [[nodiscard]] error_code join(std::uint64_t most, deadline until);

    /// The next reference, if there is one.
    /// \par Errors  `empty`, `closed`, `peer_dead`, `forked`; `out_of_memory`, `timed_out`, `corrupted`
    [[nodiscard]] error_code try_take(taken_reference& taken, bool reports_deaths);

    /// The same, waiting.
    /// \par Errors  as try_take(), but for `empty`; `timed_out`
    [[nodiscard]] error_code take(taken_reference& taken, deadline until, wait_policy const& how);

private:
    // A ring that this receiver knows of.
    struct source
    {
        reference_ring ring{};
        std::uint64_t  sender        = 0;
        std::uint64_t  history_until = 0;
        std::uint32_t  empty         = 0; ///< times that it was found so, one after the other

        [[nodiscard]] bool has_reference() const noexcept { return ring.is_filled(ring.head()); }

        /// A death that was not reported yet; references may come before it.
        [[nodiscard]] bool has_death() const noexcept { return has_untold_death(ring.header()); }
    };

    [[nodiscard]] bool        take_at_hand(taken_reference& taken) noexcept;
    [[nodiscard]] error_code  take_from(source& from, taken_reference& taken);
    [[nodiscard]] error_code  wait_and_take(taken_reference& taken, deadline until, wait_policy const& how);
    void                      pass_turn() noexcept { next_ = next_ + 1 < sources_.size() ? next_ + 1 : 0; }
    [[nodiscard]] error_code  search(taken_reference& taken, bool reports_deaths);
    [[nodiscard]] bool        report_death(source const& of) noexcept;
    [[nodiscard]] bool        find_sources();
    [[nodiscard]] bool        has_new_sources() const noexcept;
    void                      clear_ready(std::uint64_t sender) noexcept;
    void                      retire(std::size_t index);
    [[nodiscard]] static bool has_something(source const& from) noexcept;
    [[nodiscard]] bool        has_something() const noexcept;
    [[nodiscard]] bool        has_ended() const noexcept;
    [[nodiscard]] bool        is_empty_for_good() const noexcept;
    [[nodiscard]] bool        is_held_back() noexcept;
    [[nodiscard]] bool        is_beside() const noexcept;
    void                      sleep(deadline until, std::chrono::steady_clock::time_point now) noexcept;
    [[nodiscard]] bool        find_untold_ring() const noexcept;
    [[nodiscard]] error_code  copy_history(std::uint64_t sender, std::uint64_t most);
    void                      forget_history_from(std::size_t before, std::uint64_t sequence) noexcept;
    [[nodiscard]] std::optional<std::uint64_t> first_in_pipe(std::uint64_t sender) const noexcept;

    std::shared_ptr<opened_pipe>          pipe_;
    router_view                           view_;
    std::uint64_t                         generation_;
    pipe_slot&                            slot_;
    lane_table                            lanes_;
    std::vector<source>                   sources_;
    std::vector<std::uint64_t>            known_;    // a bit for each sender
    std::size_t                           next_ = 0; // source to be served: one that there is, unless there is none
    std::uint32_t                         until_look_ = 0; // turns before new senders are looked for; 0: also history
    std::uint32_t                         rounds_     = 0; // waits
    bool                                  is_joined_  = false; // nobody is copying history any more
    std::deque<taken_reference>           history_;
    held_pools                            pools_{at_once};
    atomic<std::uint32_t>                 spin_pays_{0};
    std::chrono::steady_clock::time_point idle_since_{};
};

/// Makes a place that this process is closing free again: what is left in it is dropped. Also for somebody who died at it.
/// \param until  how long to wait for the heap, should that be needed; what cannot be dropped then is owed
void finish_closing(router_view const& router, std::uint64_t number, deadline until) noexcept;

/// Senders find the pipe from now on, whose name is live: its place goes from `claimed` to open, unless somebody else has done
/// that.
void open_place(router_view const& router, pipe_slot& slot, std::uint64_t claimed, std::uint64_t generation) noexcept;

/// The pipe of that generation comes to its end, unless it has or somebody is at it.
void close_place(router_view const& router, std::uint64_t number, std::uint64_t generation) noexcept;

/// Puts a place in order whose last user is gone. Everybody may call it at any time; the router is held.
void tidy(router_view const& router) noexcept;

/// The structure of a name comes to its end.
void end_structure(std::byte* object) noexcept;

} // namespace atrium::detail
