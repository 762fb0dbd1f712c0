#include "pipe/pipe_core.hpp"

#include "os/barrier.hpp"
#include "os/process.hpp"
#include "sync/spin.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <exception>
#include <utility>

namespace atrium::detail {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

using clock = std::chrono::steady_clock;

constexpr std::uint32_t turns_between_looks = 64;
constexpr unsigned      polls_between_looks = 8;
constexpr std::size_t   few_sources         = 8;
constexpr std::uint32_t long_empty          = 4096; // turns

} // namespace

opened_pipe::~opened_pipe()
{
    router_view const& view = router->view();
    if (!is_held || view.in().usable())
        return; // not yet; or a forked child, and all of it is the parent's
    // Where nobody else can have it, nobody need be asked, and no heap that somebody stands still with.
    if (is_private)
        close_place(view, number, generation);
    release_named(view.in(), entry);
}

pipe_core::pipe_core(std::shared_ptr<opened_pipe> of)
    : pipe_(std::move(of)),
      view_(pipe_->router->view()),
      generation_(pipe_->generation),
      slot_(view_.slot(pipe_->number)),
      lanes_(view_.in().is_forked() ? lane_table() : view_.lanes_of(slot_)),
      known_(ready_words(view_.shape().senders()))
{}

pipe_core::~pipe_core()
{
    for (taken_reference const& old : history_)
    {
        if (old.reference != nullptr)
            drop_use(*old.reference);
    }
}

// ---- senders -------------------------------------------------------------------------------------------------------

bool pipe_core::has_new_sources() const noexcept
{
    for (std::size_t word = 0; word < known_.size(); ++word)
    {
        if ((lanes_.ready(word).load(relaxed) & ~known_[word]) != 0)
            return true;
    }
    return false;
}

// Rings that have become ready since the last look.
bool pipe_core::find_sources()
{
    bool found = false;
    for (std::size_t word = 0; word < known_.size(); ++word)
    {
        // Acquire R2, pairs with the release R2 in set_ready(): the ring is linked.
        auto fresh = lanes_.ready(word).load(std::memory_order_acquire) & ~known_[word];
        for (; fresh != 0; fresh &= fresh - 1)
        {
            std::uint64_t const sender = word * 64 + static_cast<std::uint64_t>(std::countr_zero(fresh));
            if (sender >= view_.shape().senders())
                break;
            auto ring = view_.ring_of(lanes_, sender, generation_);
            if (!ring)
            {
                // Set by who came too late for the pipe that was here before; or by who comes now.
                clear_ready(sender);
                ring = view_.ring_of(lanes_, sender, generation_);
                if (!ring)
                    continue;
                lanes_.set_ready(sender);
            }
            sources_.push_back({ring, sender, lanes_.lane(sender).history_until.load(relaxed)});
            known_[word] |= std::uint64_t{1} << (sender % 64);
            found = true;
        }
    }
    return found;
}

void pipe_core::clear_ready(std::uint64_t sender) noexcept
{
    lanes_.ready(sender / 64).fetch_and(~(std::uint64_t{1} << (sender % 64)), relaxed);
    ATRIUM_CRASH_POINT("pipe.ready_cleared");
    // Full barrier R1, pairs with the one before set_ready(): what was pushed is seen here, or the bit found cleared there.
    os::full_barrier();
}

// A ring that has been empty for long is not looked at until its sender says that it has something.
void pipe_core::retire(std::size_t index)
{
    source const gone = sources_[index];
    sources_.erase(sources_.begin() + static_cast<std::ptrdiff_t>(index));
    if (next_ == sources_.size())
        next_ = 0;
    known_[gone.sender / 64] &= ~(std::uint64_t{1} << (gone.sender % 64));
    clear_ready(gone.sender);
    if (has_something(gone))
        lanes_.set_ready(gone.sender);
}

// ---- taking --------------------------------------------------------------------------------------------------------

// Once for each death, after all that the dead one has sent.
bool pipe_core::report_death(source const& of) noexcept
{
    ring_header&  header = of.ring.header();
    std::uint64_t told   = header.rare[ring_deaths_told].load(relaxed);
    // Acquire D1, pairs with the recoverer's release: the position is that of the last of them, or a later one's.
    if (!has_untold_death(header) || of.ring.head() < header.rare[ring_death_at].load(relaxed))
        return false;
    bool const mine = header.rare[ring_deaths_told].compare_exchange_strong(told, (told + 1) & 0xff'ffff, relaxed);
    ATRIUM_CRASH_POINT("pipe.death_reported");
    return mine;
}

// What is taken has no reference where others were faster.
error_code pipe_core::take_from(source& from, taken_reference& taken)
{
    auto const wish = from.history_until == 0 ? with_sequence::no : with_sequence::yes;
    for (;;)
    {
        auto const outcome = from.ring.take_at_hand(pools_, wish, taken);
        if (outcome == take_outcome::empty)
            return {};
        if (outcome == take_outcome::needs_more)
        {
            auto const slowly = from.ring.take(pools_, wish);
            if (!slowly) // who does not wait at all tries again
                return slowly.error() == errc::timed_out ? make_error_code(errc::empty) : slowly.error();
            taken = *slowly;
            if (taken.reference == nullptr)
                return {};
        }
        view_.wake_sender(from.ring, from.sender); // W2: the swing was the full barrier
        if (taken.pointee == nullptr)
        {
            drop_use(*std::exchange(taken.reference, nullptr));
            return errc::corrupted;
        }
        if (wish == with_sequence::no)
            return {};
        if (taken.sequence > from.history_until)
        {
            from.history_until = 0; // what follows is later
            return {};
        }
        drop_use(*std::exchange(taken.reference, nullptr)); // came as history already
    }
}

// The frequent case: the source whose turn it is has something, and what that needs is at hand.
bool pipe_core::take_at_hand(taken_reference& taken) noexcept
{
    if (until_look_ == 0 || next_ >= sources_.size() || !view_.in().is_usable())
        return false;
    source& from = sources_[next_];
    if (from.history_until != 0 || from.has_death() ||
        from.ring.take_at_hand(pools_, with_sequence::no, taken) != take_outcome::taken)
        return false;
    --until_look_;
    from.empty = 0;
    pass_turn();
    view_.wake_sender(from.ring, from.sender); // W2: the swing was the full barrier
    return true;
}

error_code pipe_core::try_take(taken_reference& taken, bool reports_deaths)
{
    return take_at_hand(taken) ? error_code() : search(taken, reports_deaths);
}

// In turn, from all senders.
error_code pipe_core::search(taken_reference& taken, bool reports_deaths)
{
    if (error_code const error = view_.in().usable())
        return error;
    if (!history_.empty())
    {
        taken = history_.front();
        history_.pop_front();
        return {};
    }
    if (!is_joined_ && is_held_back())
        return errc::empty;
    until_look_ = turns_between_looks;
    if (has_new_sources())
        static_cast<void>(find_sources());
    for (;;)
    {
        for (std::size_t left = sources_.size(); left != 0; --left) // one that is retired has had its turn
        {
            source& from = sources_[next_];
            if (from.has_death() && reports_deaths && report_death(from))
                return errc::peer_dead;
            if (from.has_reference())
            {
                from.empty             = 0;
                error_code const error = take_from(from, taken);
                pass_turn();
                if (error || taken.reference != nullptr)
                    return error;
                continue; // others were faster
            }
            if (++from.empty > long_empty && sources_.size() > few_sources)
                retire(next_);
            else
                pass_turn();
        }
        if (!has_new_sources() || !find_sources())
            break;
    }
    return is_empty_for_good() ? errc::closed : errc::empty;
}

// Senders have left it for good; a pipe whose maker has not come so far yet has not.
bool pipe_core::has_ended() const noexcept
{
    std::uint64_t const word = slot_.state.load(relaxed);
    return word != slot_word(slot_state::open, generation_) && state_of(word) != slot_state::claimed;
}

// Nothing more will come. Looked at when nothing was found.
bool pipe_core::is_empty_for_good() const noexcept
{
    if (!has_ended())
        return false;
    // Full barrier W1, pairs with the one in tell(): what was pushed before the pipe was shut is seen, or taken back.
    os::full_barrier();
    return !has_something() && !find_untold_ring();
}

// A ring whose sender has pushed, and not come to set its bit yet: that is done for it.
bool pipe_core::find_untold_ring() const noexcept
{
    bool found = false;
    for (std::uint64_t sender = 0; sender < view_.shape().senders(); ++sender)
    {
        if ((known_[sender / 64] >> (sender % 64) & 1) != 0)
            continue;
        reference_ring const ring = view_.ring_of(lanes_, sender, generation_);
        if (!ring || !has_something({.ring = ring, .sender = sender}))
            continue;
        lanes_.set_ready(sender);
        found = true;
    }
    return found;
}

// A reference, or a death to report.
bool pipe_core::has_something(source const& from) noexcept
{
    return from.has_reference() ||
           (from.has_death() && from.ring.header().rare[ring_death_at].load(relaxed) <= from.ring.head());
}

bool pipe_core::has_something() const noexcept
{
    for (source const& from : sources_)
    {
        if (has_something(from))
            return true;
    }
    return has_new_sources();
}

// While somebody copies the history, others would take what he is to skip.
bool pipe_core::is_held_back() noexcept
{
    auto const joiner = participant_id::from_word(slot_.joining.load(std::memory_order_acquire)); // J1
    is_joined_        = !joiner || view_.in().ask(joiner) == liveness::dead;
    return !is_joined_;
}

// ---- waiting -------------------------------------------------------------------------------------------------------

bool pipe_core::is_beside() const noexcept
{
    std::uint32_t const here = os::current_processor();
    return !sources_.empty() && std::all_of(sources_.begin(), sources_.end(), [&](source const& from) {
        sender_block const* const block = view_.sender(from.sender);
        return block != nullptr && block->processor.load(relaxed) == here;
    });
}

error_code pipe_core::take(taken_reference& taken, deadline until, wait_policy const& how)
{
    if (!take_at_hand(taken))
    {
        pools_.wait_until(until);
        error_code error = search(taken, true);
        if (error == errc::empty)
            error = wait_and_take(taken, until, how);
        pools_.wait_until(at_once);
        if (error)
            return error;
    }
    idle_since_ = {};
    return {};
}

error_code pipe_core::wait_and_take(taken_reference& taken, deadline until, wait_policy const& how)
{
    unsigned   polls = 0;
    auto const ready = [&] {
        for (source const& from : sources_)
        {
            if (has_something(from))
                return true;
        }
        return ++polls % polls_between_looks == 0 && (has_new_sources() || has_ended());
    };
    for (bool is_first = true;; is_first = false)
    {
        auto const now = clock::now();
        view_.in().tend_if_due(now); // also where something comes in time again and again
        auto const         turn = until.earlier(now + view_.in().detection_time());
        bool const         over = now >= until.time();
        spin_against const peer{.beside = is_beside(), .probes = rounds_++ % 16 == 0};
        bool const         spins = spin_length(how, peer, spin_pays_).count() > 0;
        if (is_first && spins)
            slot_.spins.fetch_add(1, relaxed);
        bool const came = spin(ready, turn, how, peer, spin_pays_);
        if (how.sleeps && !over && (!came || !is_joined_))
            sleep(until, spins || how.yields != 0 ? clock::now() : now);
        error_code const error = try_take(taken, true);
        if (error != errc::empty)
            return error;
        if (over)
            return errc::timed_out;
    }
}

// Until something has come, or it is worth another look.
void pipe_core::sleep(deadline until, clock::time_point now) noexcept
{
    if (idle_since_ == clock::time_point())
        idle_since_ = now;
    else if (now - idle_since_ >= view_.in().detection_time() && !pools_.empty() && is_heap_free(view_.in()))
        pools_.release(); // nothing has come for a while: the pools may go, which needs the heap
    auto const    seen = slot_.bell.look();
    std::uint64_t said = slot_.waiting.load(relaxed);
    while (said < waiting_with(seen) && !slot_.waiting.compare_exchange_weak(said, waiting_with(seen), relaxed))
    {} // who looked later sleeps with a later ticket, which is not to be forgotten with this one
    ATRIUM_CRASH_POINT("pipe.receive.waits");
    // Full barrier W1, pairs with the one in tell().
    os::full_barrier();
    if (is_joined_ ? has_something() || has_ended() : slot_.joining.load(std::memory_order_acquire) == 0) // J1
        return;
    slot_.sleeps.fetch_add(1, relaxed);
    static_cast<void>(
        slot_.bell.sleep(view_.in(), seen, until.earlier(now + view_.in().detection_time()), participant_id(), now));
}

// ---- history -------------------------------------------------------------------------------------------------------

error_code pipe_core::join(std::uint64_t most, deadline until)
{
    error_code error;
    pools_.wait_until(until);
    try
    {
        for (std::uint64_t sender = 0; most != 0 && sender < view_.shape().senders() && !error; ++sender)
            error = copy_history(sender, most);
    }
    catch (std::exception const&) // no memory here
    {
        error = errc::out_of_memory;
    }
    // No copy will be received: nothing is to be skipped for one.
    for (std::uint64_t sender = 0; error && sender < view_.shape().senders(); ++sender)
        lanes_.lane(sender).history_until.store(0, relaxed);
    pools_.wait_until(at_once);
    is_joined_ = true;
    slot_.joining.store(0, std::memory_order_release); // J1: what is to be skipped is written; also where that failed
    ATRIUM_CRASH_POINT("pipe.joined");
    slot_.bell.ring();
    return error;
}

// The pipe was registered before: what is not found in the history comes through the ring.
error_code pipe_core::copy_history(std::uint64_t sender, std::uint64_t most)
{
    sender_block const* const block = view_.sender(sender);
    std::uint64_t const       link  = block == nullptr ? 0 : block->history.load(std::memory_order_acquire); // L1
    if (link == 0)
        return {};
    auto const ring = reference_ring::attach(view_.in(), link);
    if (!ring)
        return ring.error();
    std::uint64_t const tail     = ring->tail();
    std::uint64_t       position = std::max(ring->head(), tail - std::min(tail, most));
    std::size_t const   before   = history_.size();
    std::uint64_t       until    = 0;
    for (; position < tail; ++position)
    {
        history_.emplace_back(); // before there is something to be lost
        auto const copy = ring->share_at(position, pools_);
        if (copy)
        {
            history_.back() = *copy;
            until           = copy->sequence;
            continue;
        }
        history_.pop_back();
        if (copy.error() != errc::expired)
            return copy.error();
        // It has gone meanwhile, since newer ones have come, which are in the pipe: what is older is not among the newest
        // any more.
        forget_history_from(before, 0);
        until = 0;
    }
    // What is in the pipe comes from there. Where there is nothing yet, what comes up to the last copy is to be skipped.
    if (auto const first = first_in_pipe(sender))
    {
        forget_history_from(before, *first);
        until = 0;
    }
    lanes_.lane(sender).history_until.store(until, relaxed);
    ATRIUM_CRASH_POINT("pipe.history_until");
    return {};
}

// Drops copies that were made of what has that sequence, or a later one; the first `before` are another sender's.
void pipe_core::forget_history_from(std::size_t before, std::uint64_t sequence) noexcept
{
    while (history_.size() > before && history_.back().sequence >= sequence)
    {
        drop_use(*history_.back().reference);
        history_.pop_back();
    }
}

// The sequence of the oldest reference of the sender in this pipe. Nobody takes from it yet but the sender itself.
std::optional<std::uint64_t> pipe_core::first_in_pipe(std::uint64_t sender) const noexcept
{
    reference_ring const ring = view_.ring_of(lanes_, sender, generation_);
    while (ring)
    {
        std::uint64_t const head = ring.head();
        if (!ring.is_filled(head))
        {
            if (ring.head() == head)
                break;
            continue;
        }
        std::uint64_t const sequence = ring.note(head).sequence.load(std::memory_order_acquire); // before the head
        if (ring.head() == head)
            return sequence;
    }
    return std::nullopt;
}

} // namespace atrium::detail
