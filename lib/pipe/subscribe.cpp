#include "pipe/pipe_core.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <new>
#include <string>
#include <utility>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::string described(router_core const& router, std::string_view name)
{
    return (name.empty() ? std::string("a pipe") : "pipe '" + std::string(name) + "'") + " of router '" +
           router.name() + "'";
}

object_type type_of_pipe(router_core const& router)
{
    fingerprint const& element = router.element();
    object_type        type;
    type.print     = make_fingerprint("pipe of " + element.name, sizeof(pipe_header), 64, element.version,
                                      static_cast<std::uint32_t>(element.hash ^ element.hash >> 32));
    type.destroy   = &end_structure;
    type.structure = static_cast<std::uint32_t>(part_id::pipe);
    return type;
}

void check(pipe_options const& options, router_core const& router, std::string_view name)
{
    bool const known = options.when_full == overflow::wait || options.when_full == overflow::fail ||
                       options.when_full == overflow::drop_oldest;
    if (options.capacity == 0 || options.capacity > reference_ring::largest_capacity || !known)
        throw_error(errc::invalid_argument, described(router, name) + ": capacity or overflow");
    // Numbers are for pipes without a name, which nobody else opens.
    if (!name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos)
        throw_error(errc::name_invalid, described(router, name));
}

// A pipe on its way; gives up what it has got unless it is finished.
class opening
{
public:
    opening(router_core& router, named_slot const& slot) : router_(router), view_(router.view()), entry_(slot) {}
    opening(opening const&)            = delete;
    opening& operator=(opening const&) = delete;
    ~opening()
    {
        if (is_finished_ || view_.in().usable())
            return;
        if (number_ != none)
        {
            pipe_slot& slot = view_.slot(number_);
            slot.state.store(slot_word(slot_state::free, slot.generation.load(relaxed)), std::memory_order_release);
        }
        abandon_named(view_.in(), entry_);
    }

    // A place of the router becomes this process's.
    void claim(deadline until)
    {
        if (!try_claim())
        {
            tidy(view_); // what the dead left, if somebody has recovered for them
            if (!try_claim() && (!view_.in().recover(until) || !try_claim()))
                throw_error(errc::too_many_receivers, "router '" + router_.name() + "'");
        }
        if (error_code const error = view_.make_lanes(view_.slot(number_), until))
            throw_error(error, "pipe of router '" + router_.name() + "'");
    }

    // Settings, and the name; others find the pipe from here on, but senders do not.
    void publish(pipe_options const& options) noexcept
    {
        pipe_slot& slot = view_.slot(number_);
        auto const put  = [](atomic<std::uint64_t>& word, std::uint64_t value) {
            word.store(value, relaxed); // before C2, or before the entry is live
            ATRIUM_CRASH_POINT("pipe.open.word");
        };
        auto const lanes = view_.lanes_of(slot);
        for (std::uint64_t word = 0; word < ready_words(view_.shape().senders()); ++word)
            put(lanes.ready(word), 0);
        for (std::uint64_t sender = 0; sender < view_.shape().senders(); ++sender)
            lanes.lane(sender).history_until.store(0, relaxed);
        put(slot.waiting, 0);
        put(slot.capacity, std::bit_ceil(options.capacity));
        put(slot.when_full, static_cast<std::uint64_t>(options.when_full));
        put(slot.owner, entry_.of.packed());
        put(slot.block, view_.in().offset_of(entry_.object));
        put(slot.spins, 0);
        put(slot.sleeps, 0);
        put(slot.joining, view_.shape().history != 0 && options.history != 0 ? view_.in().self().word() : 0);
        auto* const header = new (entry_.object) pipe_header;
        put(header->owner, entry_.of.packed());
        put(header->router_owner, view_.of().packed());
        put(header->router_block, view_.block());
        put(header->slot, number_);
        put(header->generation, slot.generation.load(relaxed));
        put(header->kind, static_cast<std::uint64_t>(structure_kind::pipe));
        publish_named(view_.in(), entry_);
        is_finished_ = true; // the name's end is the place's from here on
    }

    // Senders find it; perhaps already, since somebody has opened it by its name.
    void open() noexcept
    {
        pipe_slot& slot = view_.slot(number_);
        open_place(view_, slot, slot_word(slot_state::claimed, view_.in().self()), slot.generation.load(relaxed));
    }

    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

private:
    static constexpr std::uint64_t none = ~std::uint64_t{0};

    bool try_claim() noexcept
    {
        for (std::uint64_t number = 0; number < view_.shape().pipes; ++number)
        {
            pipe_slot&    slot = view_.slot(number);
            std::uint64_t word = slot.state.load(relaxed);
            // Acquire C2: the one before has left it in order.
            if (state_of(word) != slot_state::free ||
                !slot.state.compare_exchange_strong(word, slot_word(slot_state::claimed, view_.in().self()),
                                                    std::memory_order_acquire, relaxed))
                continue;
            number_ = number;
            ATRIUM_CRASH_POINT("pipe.claimed");
            return true;
        }
        return false;
    }

    router_core&       router_;
    router_view const& view_;
    named_slot         entry_;
    std::uint64_t      number_      = none;
    bool               is_finished_ = false;
};

std::shared_ptr<pipe_core> make(std::shared_ptr<router_core> const& router, named_slot const& slot, std::string name,
                                bool is_private, pipe_options const& options)
{
    opening now(*router, slot);
    now.claim(options.patience);
    std::uint64_t const number     = now.number();
    std::uint64_t const generation = router->view().slot(number).generation.load(relaxed);
    auto const          pipe =
        std::make_shared<opened_pipe>(router, slot.index, number, generation, std::move(name), is_private);
    auto core = std::make_shared<pipe_core>(pipe);
    now.publish(options);
    pipe->is_held = true;
    now.open();
    if (error_code const error = core->join(options.history, options.patience))
        throw_error(error, described(*router, pipe->name) + ": history");
    return core;
}

std::shared_ptr<pipe_core> attach(std::shared_ptr<router_core> const& router, named_slot const& slot, std::string name)
{
    auto const&                  header = *reinterpret_cast<pipe_header const*>(slot.object);
    std::shared_ptr<opened_pipe> pipe;
    try
    {
        pipe = std::make_shared<opened_pipe>(router, slot.index, header.slot.load(relaxed),
                                             header.generation.load(relaxed), std::move(name), false);
    }
    catch (...)
    {
        release_named(router->in(), slot.index);
        throw;
    }
    pipe->is_held             = true;
    std::uint64_t const place = header.slot.load(relaxed);
    bool const          ours  = header.kind.load(relaxed) == static_cast<std::uint64_t>(structure_kind::pipe) &&
                      header.router_owner.load(relaxed) == router->view().of().packed() &&
                      place < router->view().shape().pipes && router->view().lanes_of(router->view().slot(place));
    if (!ours)
        throw_error(errc::corrupted, described(*router, pipe->name));
    // Whoever makes it may stand still: who has a pipe is sent to.
    pipe_slot& claimed = router->view().slot(place);
    // Acquire C2: the generation is that of the claim.
    if (auto const word = claimed.state.load(std::memory_order_acquire);
        state_of(word) == slot_state::claimed && claimed.generation.load(relaxed) == pipe->generation)
        open_place(router->view(), claimed, word, pipe->generation);
    else if (router->is_closed())
        shut_pipe(router->view(), claimed, pipe->generation); // who has opened it may stand still before it does
    return std::make_shared<pipe_core>(std::move(pipe));
}

} // namespace

std::shared_ptr<pipe_core> subscribe(std::shared_ptr<router_core> const& router, named_mode mode, std::string_view name,
                                     pipe_options const& options)
{
    check(options, *router, name);
    if (error_code const error = router->in().usable())
        throw_error(error, described(*router, name));
    if (router->is_closed())
        throw_error(errc::closed, "router '" + router->name() + "'");
    named_options named;
    named.holders_limit = options.holders_limit;
    named.patience      = options.patience;
    for (;;)
    {
        std::string own(name);
        if (name.empty())
            own = std::to_string(router->view().header().names.fetch_add(1, relaxed) + 1);
        std::string whole = router->name();
        whole.append(1, name_separator).append(own);
        try
        {
            auto const slot = acquire_named(router->in(), name.empty() ? named_mode::create_only : mode, whole,
                                            type_of_pipe(*router), named);
            return slot.to_construct ? make(router, slot, std::move(own), name.empty(), options)
                                     : attach(router, slot, std::move(own));
        }
        catch (system_error const& e)
        {
            if (!name.empty() || e.code() != errc::already_exists)
                throw;
            // Somebody has named another thing so: the next number.
        }
    }
}

std::shared_ptr<pipe_core> subscribe_again(pipe_core const& pipe)
{
    return std::make_shared<pipe_core>(pipe.opened());
}

} // namespace atrium::detail
