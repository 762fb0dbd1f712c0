#include <atrium/pipe/detail/handing_over.hpp>

#include "os/barrier.hpp"
#include "os/process.hpp"
#include "pipe/router_core.hpp"
#include "pipe/sender_core.hpp"
#include "sync/spin.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

errc as_errc(error_code const& error) noexcept
{
    return error.category() == category() ? static_cast<errc>(error.value()) : errc::system_failure;
}

// Which sender the calling thread has in the router that it used last. Trivially destructible, so that it may be read by
// what is destroyed with the thread.
struct own_sender
{
    std::uint64_t serial = 0; // of the router_core; never used twice
    sender_core*  sender = nullptr;
};

constinit thread_local own_sender own;

bool is_of_segment(router_core const& router, local_reference const* reference) noexcept
{
    return reference != nullptr && reference->memory == router.memory();
}

} // namespace

void forget_own_sender() noexcept
{
    own = {};
}

/// One reference on its way.
struct sending::item
{
    local_reference*& reference;
    std::byte const*  pointee;
    std::uint64_t     sequence;
    std::uint32_t&    got; // by so many pipes
};

// ---- telling -------------------------------------------------------------------------------------------------------

namespace {

// What is needed to take something back.
struct told
{
    sender_core&      sender;
    send_terms const& terms;
    std::uint64_t     first; // sequence of the first reference
    std::uint32_t*    got;   // by how many pipes each of them
    std::uint64_t     last;  // sequence of the one that the caller has still; 0: none
    delivery&         sum;
};

void take_back(target& to, taken_reference const& taken, told const& by) noexcept
{
    by.sum.take_back(to.number, errc::closed, 1);
    bool const nobody_has = --by.got[taken.sequence - by.first] == 0;
    if (nobody_has && taken.sequence != by.last && by.terms.back != nullptr)
        by.terms.back(by.terms.context, taken.sequence - by.first, taken);
    else
        drop_use(*taken.reference);
}

// The pipe was closed when it had been pushed to, or just before.
void take_back(target& to, told const& by) noexcept
{
    std::uint64_t const first = to.tail - to.untold;
    bool const          shut  = to.slot->state.load(relaxed) == slot_word(slot_state::shut, to.generation);
    to.untold                 = 0;
    // Receivers that find a shut pipe empty have seen all but what was pushed now. Where they have not come so far, they
    // will find that too.
    if (shut && to.ring.head() < first)
    {
        to.lanes.set_ready(by.sender.number());
        return router_view::wake_receivers(*to.slot);
    }
    try
    {
        by.sender.pools().wait_until(by.terms.until);
        for (;;)
        {
            auto const taken = to.ring.take(by.sender.pools(), with_sequence::yes);
            if (!taken)
                break;
            if (taken->reference == nullptr)
                return; // what is not here was received, or drained after the pipe had been open for it
            if (taken->position < first)
                drop_use(*taken->reference);
            else
                take_back(to, *taken, by);
        }
    }
    catch (std::exception const&)
    {} // no memory here
    // It cannot be had back, but nobody gets it.
    by.sum.take_back(to.number, errc::closed, to.tail - std::max(to.ring.head(), first));
    to.ring.give_up_all(at_once);
    if (!to.ring.is_empty())
        by.sender.owe_stale_rings(); // no memory to take it with
}

// After a full barrier W1 behind the pushes.
void tell(target& to, told const& by) noexcept
{
    if (!to.is_open())
        return take_back(to, by);
    ATRIUM_CRASH_POINT("pipe.send.open_seen");
    to.lanes.set_ready(by.sender.number());
    if (to.slot->waiting.load(relaxed) != 0)
    {
        ATRIUM_CRASH_POINT("pipe.send.before_wake");
        router_view::wake_receivers(*to.slot);
    }
    // What follows is for people, and for receivers that are about to spin.
    if (std::uint32_t const processor = os::current_processor(); processor != to.processor)
    {
        to.processor = processor;
        by.sender.block().processor.store(processor, relaxed);
    }
    std::uint64_t const time = os::coarse_nanoseconds();
    for (; to.untold != 0; --to.untold)
        to.ring.note(to.tail - to.untold).time.store(time, relaxed);
}

// The frequent case: one pipe, which has room. False where it is not that.
bool send_at_hand(sender_core& by, local_reference*& reference, std::byte const* pointee, bool may_move,
                  send_terms const& terms, delivery& sum) noexcept
{
    if (!by.is_ready() || by.targets().size() != 1)
        return false;
    target& to = by.targets().front();
    if (!to.ring || !to.has_room() || !to.is_open())
        return false;
    std::uint64_t const sequence = by.next_sequence();
    // Acquire: as drop_use() has it. The only use there is cannot become two meanwhile: the handle is the caller's.
    if (may_move && reference->uses.load(std::memory_order_acquire) == 1)
        to.ring.push(*std::exchange(reference, nullptr), pointee, sequence);
    else if (to.ring.push_copy(*reference, pointee, sequence))
        return false;
    ++to.tail;
    to.untold = 1;
    sum.add_delivered(1);
    os::full_barrier(); // W1
    std::uint32_t got = 1;
    tell(to, {by, terms, sequence, &got, 0, sum});
    return true;
}

template <class By>
result<delivery> send_slowly(By& by, local_reference*& reference, std::byte const* pointee, bool may_move,
                             send_terms const& terms) noexcept
{
    if (error_code const error = check(by, reference))
        return error;
    sending now(by, terms);
    if (now.error())
        return now.error();
    now.add(reference, pointee, may_move);
    return now.finish();
}

} // namespace

result<delivery> send_one(router_core& through, local_reference*& reference, std::byte const* pointee, bool may_move,
                          send_terms const& terms) noexcept
{
    delivery sum;
    if (own.serial == through.serial() && is_of_segment(through, reference) && !through.in().usable() &&
        send_at_hand(*own.sender, reference, pointee, may_move, terms, sum))
        return sum;
    return send_slowly(through, reference, pointee, may_move, terms);
}

result<delivery> send_one(sender_core& by, local_reference*& reference, std::byte const* pointee, bool may_move,
                          send_terms const& terms) noexcept
{
    return send_slowly(by, reference, pointee, may_move, terms);
}

// ---- sending some --------------------------------------------------------------------------------------------------

sending::sending(router_core& through, send_terms const& terms) noexcept : router_(&through), terms_(terms)
{
    error_ = through.in().usable();
    if (error_)
        return;
    if (own.serial == through.serial())
        sender_ = own.sender;
    else
    {
        try
        {
            auto const found = through.calling_sender();
            sender_          = found.sender;
            if (found.is_shared)
                has_turn_ = sender_->turn().take(terms.until);
            else
                own = {through.serial(), sender_};
            if (found.is_shared && !has_turn_)
                error_ = errc::timed_out;
        }
        catch (std::exception const&) // no memory here
        {
            error_ = errc::out_of_memory;
        }
    }
    if (!error_)
        begin();
}

sending::~sending()
{
    if (has_turn_)
        sender_->turn().give_back();
}

sending::sending(sender_core& by, send_terms const& terms) noexcept : router_(&by.router()), sender_(&by), terms_(terms)
{
    error_ = router_->in().usable();
    if (error_)
        return;
    has_turn_ = by.turn().take(terms.until);
    if (has_turn_)
        begin();
    else
        error_ = errc::timed_out;
}

void sending::begin() noexcept
{
    if (!sender_->is_ready())
    {
        try
        {
            error_ = sender_->begin(terms_.until);
        }
        catch (std::exception const&) // no memory here
        {
            error_ = errc::out_of_memory;
        }
        if (error_)
            return;
    }
    sender_->pools().wait_until(terms_.until);
    first_ = sender_->block().sequence.load(relaxed) + 1;
    // What is sent to nobody is kept for late joiners all the same, where that is wanted.
    if (sender_->targets().empty() && (router_->view().shape().history == 0 || router_->is_closed()))
        error_ = nobody();
}

error_code sending::nobody() const noexcept
{
    return router_->is_closed() ? errc::closed : errc::no_receivers;
}

result<delivery> sending::finish() noexcept
{
    tell();
    if (delivery_.delivered() + delivery_.refused() != 0)
        return delivery_;
    if (error_)
        return error_;
    return added_ != 0 ? result<delivery>(nobody()) : delivery_;
}

error_code check(router_core const& through, local_reference const* reference) noexcept
{
    return is_of_segment(through, reference) ? error_code() : make_error_code(errc::invalid_argument);
}

error_code check(sender_core const& by, local_reference const* reference) noexcept
{
    return check(by.router(), reference);
}

std::size_t sending::add(local_reference*& reference, std::byte const* pointee, bool may_move) noexcept
{
    BOOST_ASSERT(added_ < most);
    if (error_)
        return 0;
    got_[added_] = 0;
    item one{reference, pointee, sender_->next_sequence(), got_[added_]};
    ++added_;
    if (router_->view().shape().history != 0)
    {
        try
        {
            error_ = sender_->keep_history(*reference, pointee, one.sequence);
        }
        catch (std::exception const&) // no memory here
        {
            error_ = errc::out_of_memory;
        }
        if (error_)
            return 0; // nobody gets what late joiners would miss
        refresh_if_changed();
    }
    auto&       targets = sender_->targets();
    std::size_t waiting = 0;
    for (std::size_t n = 0; n < targets.size(); ++n)
    {
        serve(targets[n], one, may_move && n + 1 == targets.size() && waiting == 0);
        waiting += targets[n].waits ? 1 : 0;
    }
    if (waiting != 0)
        wait_for_room(one);
    return one.got;
}

// Pushes where there is room, or may be made; else notes that it has to wait.
void sending::serve(target& to, item& one, bool may_move) noexcept
{
    to.waits = false;
    if (!to.is_open()) // since this sender looked: else it would be lost with the pipe, and said to be delivered
        return delivery_.add_refused(to.number, errc::closed);
    try
    {
        if (!to.ring)
        {
            if (error_code const error = sender_->make_ring(to, terms_.until))
                return delivery_.add_refused(to.number, as_errc(error));
        }
        while (!to.has_room())
        {
            auto& refused = to.ring.header().of_sender[ring_refused];
            switch (to.when_full)
            {
            case overflow::drop_oldest:
                if (error_code const error = sender_->drop_oldest(to))
                    return delivery_.add_refused(to.number, as_errc(error));
                continue;
            case overflow::fail:
                refused.store(refused.load(relaxed) + 1, relaxed);
                return delivery_.add_refused(to.number, errc::full);
            default:
                to.waits = true;
                return;
            }
        }
    }
    catch (std::exception const&)
    {
        return delivery_.add_refused(to.number, errc::out_of_memory);
    }
    push(to, one, may_move);
}

void sending::push(target& to, item& one, bool may_move) noexcept
{
    if (may_move && one.reference->uses.load(std::memory_order_acquire) == 1) // as in send_at_hand()
        to.ring.push(*std::exchange(one.reference, nullptr), one.pointee, one.sequence);
    else if (error_code const error = to.ring.push_copy(*one.reference, one.pointee, one.sequence))
        return delivery_.add_refused(to.number, as_errc(error));
    ++to.tail;
    ++to.untold;
    ++one.got;
    delivery_.add_delivered(1);
}

void sending::tell(item const* on_its_way) noexcept
{
    // Full barrier W1, pairs with those of receivers who go to sleep (waiting), clear a ready bit, or close (state): they
    // see what was pushed, or are seen here.
    os::full_barrier();
    for (target& to : sender_->targets())
    {
        if (to.untold != 0)
            detail::tell(to, {*sender_, terms_, first_, got_.data(), on_its_way != nullptr ? on_its_way->sequence : 0,
                              delivery_});
    }
}

void sending::refresh_if_changed() noexcept
{
    if (!sender_->has_changed())
        return;
    tell(); // as long as what was pushed to is known
    try
    {
        sender_->look_again();
    }
    catch (std::exception const&)
    {} // no memory here: the next to send looks
}

// ---- waiting for room ----------------------------------------------------------------------------------------------

bool sending::any_can_go_on() const noexcept
{
    return std::any_of(sender_->targets().begin(), sender_->targets().end(),
                       [](target& to) { return to.waits && (to.has_room() || !to.is_open()); });
}

void sending::wait_for_room(item& one) noexcept
{
    tell(&one);
    auto&    targets = sender_->targets();
    unsigned rounds  = 0;
    for (;;)
    {
        auto const waiting = [](target const& to) { return to.waits; };
        auto       left    = std::count_if(targets.begin(), targets.end(), waiting);
        for (target& to : targets)
        {
            if (!to.waits || (to.is_open() && !to.has_room()))
                continue;
            to.waits = false;
            --left;
            if (to.is_open())
                push(to, one, false);
            else
                delivery_.add_refused(to.number, errc::closed);
        }
        if (left == 0)
            return;
        bool const never_waits = terms_.until.time() == deadline::clock::time_point::min();
        if (never_waits || terms_.until.passed())
        {
            for (target& to : targets)
            {
                if (!std::exchange(to.waits, false))
                    continue;
                auto& refused = to.ring.header().of_sender[ring_refused];
                refused.store(refused.load(relaxed) + 1, relaxed);
                delivery_.add_refused(to.number, never_waits ? errc::full : errc::timed_out);
            }
            return;
        }
        tell(&one); // what was pushed meanwhile
        bool const beside = sender_->block().bell.rung_on() == os::current_processor();
        auto const turn   = terms_.until.earlier(router_->in().detection_time());
        if (!spin([this] { return any_can_go_on(); }, turn, terms_.how,
                  {.beside = beside, .probes = rounds++ % 16 == 0}, sender_->spin_pays()) &&
            terms_.how.sleeps)
            sleep();
        else
            router_->in().tend_if_due(std::chrono::steady_clock::now());
    }
}

// Until there is room, or it is worth another look.
void sending::sleep() noexcept
{
    doorbell&  bell = sender_->block().bell;
    auto const seen = bell.look();
    for (target& to : sender_->targets())
    {
        if (to.waits)
            to.ring.header().rare[ring_sender_waits].store(waiting_with(seen), relaxed);
    }
    ATRIUM_CRASH_POINT("pipe.send.waits");
    // Full barrier W2, pairs with the swing of who takes, and then looks whether a sender waits.
    os::full_barrier();
    if (any_can_go_on())
        return;
    attachment& in  = router_->in();
    auto const  now = std::chrono::steady_clock::now();
    static_cast<void>(bell.sleep(in, seen, terms_.until.earlier(now + in.detection_time()), participant_id(), now));
    for (target& to : sender_->targets())
    {
        if (to.waits) // also where nobody has taken anything
            to.ring.header().rare[ring_sender_waits].store(0, relaxed);
    }
}

} // namespace atrium::detail
