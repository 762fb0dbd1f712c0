#include "pipe/router_core.hpp"

#include "os/barrier.hpp"
#include "pipe/pipe_core.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/name.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace atrium::detail {

namespace {

// As long as the name of a pipe that got none, and what stands before it.
constexpr std::string_view longest_number = ".4294967295";

constexpr auto relaxed = std::memory_order_relaxed;

std::atomic<std::uint64_t> routers_made{0};

std::string described(std::string_view name)
{
    return "router '" + std::string(name) + "'";
}

router_shape shape_of(attachment const& in, std::string_view name, router_options const& options)
{
    if (options.pipes == 0 || options.pipes > 65536 || options.ordered_senders > 4096 ||
        options.history > reference_ring::largest_capacity)
        throw_error(errc::invalid_argument, described(name) + ": pipes, ordered senders or history");
    return {options.pipes, in.lane_count(), options.ordered_senders, options.history};
}

// The size says nothing of the number of places, which an opener need not know.
object_type type_of_router(object_type const& element, std::uint64_t bytes)
{
    object_type type;
    type.print   = make_fingerprint("router of " + element.print.name, sizeof(router_header), 64, element.print.version,
                                    static_cast<std::uint32_t>(element.print.hash ^ element.print.hash >> 32));
    type.destroy = &end_structure;
    type.bytes   = bytes;
    type.structure = static_cast<std::uint32_t>(part_id::pipe);
    return type;
}

} // namespace

router_core::router_core(std::shared_ptr<attachment> in, std::uint32_t entry, router_view const& view, std::string name,
                         fingerprint element)
    : in_(std::move(in)),
      entry_(entry),
      view_(view),
      name_(std::move(name)),
      element_(std::move(element)),
      serial_(routers_made.fetch_add(1, relaxed) + 1),
      memory_(static_cast<memory_state const*>(in_->local_state(part_id::memory))),
      senders_(view.shape().lane_senders)
{}

router_core::~router_core()
{
    if (in_->usable())
        return; // a forked child: all of it is the parent's
    senders_.clear();
    routers_in(*in_).forget(entry_, *this);
    release_named(*in_, entry_);
}

router_core::calling router_core::calling_sender()
{
    auto const lane = calling_lane(*in_);
    if (lane && !has_used_shared_sender())
    {
        auto& own = senders_[*lane];
        if (own == nullptr)
            own = std::make_unique<sender_core>(*this, *lane, nullptr);
        return {own.get(), false};
    }
    std::lock_guard const held(shared_mutex_);
    auto&                 shared = senders_[in_->shared_lane()];
    if (shared == nullptr)
        shared = std::make_unique<sender_core>(*this, in_->shared_lane(), nullptr);
    if (shared_users_.insert(std::this_thread::get_id()).second)
        has_shared_users_.store(true, relaxed); // looked at by this thread, or by who makes no difference
    return {shared.get(), true};
}

// A thread that once had no lane stays with the sender that such threads share: else what it sent before could come later.
bool router_core::has_used_shared_sender()
{
    if (!has_shared_users_.load(relaxed))
        return false;
    std::lock_guard const held(shared_mutex_);
    return shared_users_.contains(std::this_thread::get_id());
}

void router_core::end_lane(std::uint32_t lane) noexcept
{
    if (senders_[lane] != nullptr)
        senders_[lane]->end();
}

// ---- what is open --------------------------------------------------------------------------------------------------

std::shared_ptr<router_core> open_routers::note(std::shared_ptr<router_core> const& fresh)
{
    std::unique_lock held(mutex_);
    for (;;)
    {
        auto const found =
            std::find_if(routers_.begin(), routers_.end(), [&](known const& k) { return k.entry == fresh->entry(); });
        if (found == routers_.end())
        {
            routers_.push_back({fresh->entry(), fresh->serial(), fresh.get(), fresh});
            return fresh;
        }
        if (auto open = found->router.lock())
            return open;
        // The one before is ending on another thread: its senders have the numbers of this one's.
        gone_.wait(held);
    }
}

void open_routers::forget(std::uint32_t entry, router_core const& gone) noexcept
{
    {
        std::lock_guard const held(mutex_);
        std::erase_if(routers_, [&](known const& k) { return k.entry == entry && k.core == &gone; });
    }
    gone_.notify_all();
}

std::shared_ptr<router_core> open_routers::next_after(std::uint64_t& serial) noexcept
{
    std::unique_lock held(mutex_);
    for (;;)
    {
        // By serial: others come and go meanwhile.
        auto next = routers_.end();
        for (auto one = routers_.begin(); one != routers_.end(); ++one)
        {
            if (one->serial > serial && (next == routers_.end() || one->serial < next->serial))
                next = one;
        }
        if (next == routers_.end())
            return nullptr;
        if (auto open = next->router.lock())
        {
            serial = next->serial;
            return open;
        }
        gone_.wait(held); // it is ending its senders on another thread
    }
}

void open_routers::end_lane(std::uint32_t lane) noexcept
{
    std::uint64_t serial = 0;
    while (auto const router = next_after(serial)) // goes with no mutex held: this may be the last to have it
        router->end_lane(lane);
}

std::shared_ptr<router_core> open_router(std::shared_ptr<attachment> const& in, named_mode mode, std::string_view name,
                                         object_type const& element, router_options const& options)
{
    named_options named;
    named.keep     = options.keep;
    named.patience = options.patience;
    if (error_code const error = in->usable())
        throw_error(error, described(name));
    if (in->is_flat())
        throw_error(errc::flat_segment, described(name));
    if (!check_name(std::string(name).append(longest_number))) // with that of a pipe behind it
        throw_error(errc::name_invalid, described(name));
    router_shape const shape = shape_of(*in, name, options);
    auto const         slot  = acquire_named(*in, mode, name, type_of_router(element, shape.bytes()), named);
    if (slot.to_construct)
    {
        static_cast<void>(router_view::format(*in, in->offset_of(slot.object), slot.of, shape));
        ATRIUM_CRASH_POINT("router.formatted");
        publish_named(*in, slot);
    }
    auto const place = structure_at(*in, part_id::pipe, slot.index);
    auto const view =
        place ? router_view::attach(*in, place->block, place->size) : result<router_view>(errc::corrupted);
    if (!view)
    {
        release_named(*in, slot.index);
        throw_error(view.error(), described(name));
    }
    std::shared_ptr<router_core> fresh;
    try
    {
        fresh = std::make_shared<router_core>(in, slot.index, *view, std::string(name), element.print);
    }
    catch (...)
    {
        release_named(*in, slot.index);
        throw;
    }
    return routers_in(*in).note(fresh); // what is not used gives its hold back
}

error_code wait_for_receivers(router_core& router, std::size_t count, deadline until) noexcept
{
    router_view const& view = router.view();
    for (;;)
    {
        if (error_code const error = router.in().usable())
            return error;
        auto const  seen = view.header().changed.look();
        std::size_t open = 0;
        for_each_slot(view, [&](std::uint64_t, pipe_slot const& slot) {
            open += state_of(slot.state.load(std::memory_order_acquire)) == slot_state::open ? 1 : 0; // C2
        });
        if (open >= count)
            return {};
        if (router.is_closed())
            return errc::closed;
        if (until.passed())
            return errc::timed_out;
        // Whoever opens a pipe may die before it rings: so another look after the detection time.
        static_cast<void>(view.header().changed.wait(seen, until.earlier(router.in().detection_time())));
    }
}

void close_router(router_core& router) noexcept
{
    if (router.in().usable())
        return;
    router_view const& view = router.view();
    // Release C2: who finds a pipe shut by this, or opens one later, finds the router closed. Also where it is closed
    // already: whoever did that may have been stopped.
    view.header().closed.store(1, std::memory_order_release);
    ATRIUM_CRASH_POINT("router.closed");
    // Full barrier C5, pairs with the one between opening a place and looking whether the router is closed.
    os::full_barrier();
    shut_all(view);
}

void shut_all(router_view const& router) noexcept
{
    for_each_slot(router, [&](std::uint64_t, pipe_slot& slot) {
        std::uint64_t word = slot.state.load(std::memory_order_acquire);
        if (state_of(word) == slot_state::open)
            shut_pipe(router, slot, generation_in(word));
    });
    router.note_change();
}

void shut_pipe(router_view const& router, pipe_slot& slot, std::uint64_t generation) noexcept
{
    std::uint64_t open = slot_word(slot_state::open, generation);
    if (!slot.state.compare_exchange_strong(open, slot_word(slot_state::shut, generation)))
        return;
    ATRIUM_CRASH_POINT("pipe.shut");
    router.note_change(); // W1
    router_view::wake_receivers(slot);
    if (auto const lanes = router.lanes_of(slot))
        router.wake_senders(lanes, generation);
}

std::string const& name_of(router_core const& router) noexcept
{
    return router.name();
}

// ---- ordered senders -----------------------------------------------------------------------------------------------

namespace {

// A number that no living process uses.
std::optional<std::uint64_t> claim_number(router_view const& view, deadline until)
{
    for (std::uint64_t number = view.shape().lane_senders; number < view.shape().senders(); ++number)
    {
        auto const block = view.make_sender(number, until);
        if (!block)
            throw_error(block.error(), "ordered sender");
        std::uint64_t nobody = 0;
        if ((*block)->user.compare_exchange_strong(nobody, view.in().self().word(), std::memory_order_acq_rel,
                                                   relaxed)) // U1, pairs with the release in end()
        {
            ATRIUM_CRASH_POINT("pipe.number_claimed");
            return number;
        }
    }
    return std::nullopt;
}

} // namespace

std::shared_ptr<sender_core> make_ordered_sender(std::shared_ptr<router_core> const& router)
{
    if (error_code const error = router->in().usable())
        throw_error(error, "ordered sender");
    deadline const until  = std::chrono::seconds(10);
    auto           number = claim_number(router->view(), until);
    if (!number && router->in().recover(until)) // the dead may have some
        number = claim_number(router->view(), until);
    if (!number)
        throw_error(errc::too_many_senders, "ordered sender");
    return std::make_shared<sender_core>(*router, *number, router);
}

} // namespace atrium::detail
