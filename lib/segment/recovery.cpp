#include "segment/implementation.hpp"
#include "segment/lanes.hpp"
#include "segment/part.hpp"

#include "os/futex.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/log.hpp>
#include <atrium/segment/attachment.hpp>

#include <algorithm>
#include <chrono>
#include <climits>
#include <string>
#include <thread>
#include <utility>

namespace atrium {

using namespace std::chrono_literals;

namespace detail {

dead_set::dead_set(attachment const& in, std::vector<participant_id> dead)
    : in_(in), dead_(std::move(dead)), dead_lanes_(in.lane_count())
{
    for (participant_id const id : dead_)
        dead_lanes_[id.row()] = true; // a shared lane belongs to whoever has the row
    for (std::uint32_t lane = in.participant_count(); lane < in.lane_count(); ++lane)
    {
        // Acquire L1: a lane that was given back was left in order.
        auto const&         row   = in.row_of_lane(lane).owner;
        std::uint64_t const owner = row.load(std::memory_order_acquire);
        ATRIUM_CRASH_POINT("segment.recover.lane_owner_seen");
        // Once more: the owner may have left in order meanwhile, and the lane be another's.
        dead_lanes_[lane] =
            owner != 0 && gone(participant_id::from_word(owner)) && row.load(std::memory_order_acquire) == owner;
    }
}

bool dead_set::gone(participant_id id) const noexcept
{
    return in_.has_left(id) || std::find(dead_.begin(), dead_.end(), id) != dead_.end();
}

namespace {

// The recovery byte and the bytes of the dead rows; gives back whatever it has when it goes.
class recovery_locks
{
public:
    explicit recovery_locks(attachment::implementation& in) : in_(in) {}
    recovery_locks(recovery_locks const&)            = delete;
    recovery_locks& operator=(recovery_locks const&) = delete;
    ~recovery_locks()
    {
        for (std::uint64_t const byte : held_)
            static_cast<void>(os::unlock(*in_.file, byte));
    }

    result<bool> take_recovery() { return take(&os::try_lock, recovery_byte); }

    /// The guard of a dead row is no lock: who asks about its user goes on to hear that it is dead.
    result<bool> take_row(std::uint32_t row) { return take(&os::try_guard, participant_byte(row)); }

    [[nodiscard]] bool has_row(std::uint32_t row) const noexcept
    {
        return std::find(held_.begin(), held_.end(), participant_byte(row)) != held_.end();
    }

private:
    result<bool> take(result<bool> (*how)(os::file const&, std::uint64_t) noexcept, std::uint64_t byte)
    {
        held_.reserve(held_.size() + 1); // a lock that cannot be noted must not be taken
        auto const got = how(*in_.file, byte);
        if (got && *got)
            held_.push_back(byte);
        return got;
    }

    attachment::implementation& in_;
    std::vector<std::uint64_t>  held_;
};

error_code take_recovery_byte(recovery_locks& locks, deadline until)
{
    for (auto pause = 50us;; pause = std::min(pause * 2, 2000us))
    {
        auto const got = locks.take_recovery();
        if (!got)
            return got.error();
        if (*got)
            return {};
        if (until.passed())
            return errc::recovery_busy;
        std::this_thread::sleep_for(pause);
    }
}

// The own row may have been taken over from somebody for whom nobody has recovered yet.
void find_own_former(attachment::implementation& in, participant_id self, std::vector<participant_id>& dead)
{
    // Relaxed: written by the thread that joined, and by those that hold the mutex that is held here.
    std::uint64_t const former = in.former.load(std::memory_order_relaxed);
    if (former == 0)
        return;
    auto& noted = in.row(self.row()).former;
    if ((noted.load(std::memory_order_acquire) & former_recovered) == 0) // T2
        return dead.push_back(participant_id::from_word(former));
    noted.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.recover.own_former_cleared");
    in.former.store(0, std::memory_order_relaxed);
}

struct users
{
    std::uint64_t state  = 0; // of the row
    std::uint64_t former = 0; // of a user that is dead; nothing where that cannot be one
};

// Both of one moment: a note is stale as soon as somebody else has attached.
users look_at(participant_row const& row, std::uint32_t index)
{
    for (;;)
    {
        std::uint64_t const before = row.state.load(std::memory_order_acquire);  // R1
        std::uint64_t const former = row.former.load(std::memory_order_acquire); // T1
        ATRIUM_CRASH_POINT("segment.recover.former_seen");
        if (row.state.load(std::memory_order_acquire) != before)
            continue;
        bool const possible = participant_id::from_word(former & ~former_recovered).row() == index;
        return {before, possible ? former : 0};
    }
}

// A newcomer died before it had made the row its own, and somebody has recovered for the former user already.
void free_row(participant_row& row, std::uint64_t word)
{
    row.former.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.recover.recovered_former_cleared");
    row.state.store(row_word(word >> 1, row_state::free), std::memory_order_release); // R1
    ATRIUM_CRASH_POINT("segment.recover.recovered_row_cleared");
}

// Having the byte of a row is proof of its user's death, and keeps everybody else from the row. A former user that is
// noted is dead as well, whoever has the byte by now: a newcomer, which may be stopped, and touches nothing of the
// segment before it has recovered.
result<std::vector<participant_id>> find_dead(attachment::implementation& in, participant_id self,
                                              recovery_locks& locks)
{
    std::vector<participant_id> dead;
    find_own_former(in, self, dead);
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        participant_row& row = in.row(index);
        if (index == self.row() || !is_attached(row.state.load(std::memory_order_acquire))) // R1
            continue;
        ATRIUM_CRASH_POINT("segment.recover.row_seen");
        auto const locked = locks.take_row(index);
        if (!locked)
            return locked.error();
        auto const [word, former] = look_at(row, index);
        if (!is_attached(word)) // it has left just before
            continue;
        if (former != 0 && (former & former_recovered) == 0)
            dead.push_back(participant_id::from_word(former));
        if (participant_id const user(index, word >> 1); *locked && !is_former(former, user))
            dead.push_back(user);
        else if (*locked && (former & former_recovered) != 0)
            free_row(row, word);
    }
    return dead;
}

using recovery_hook = error_code (*part::*)(attachment&, dead_set const&, deadline, recovery_report&);

error_code run_hooks(attachment& in, dead_set const& dead, deadline until, recovery_report& report)
{
    constexpr std::pair<recovery_hook, char const*> phases[] = {
        {&part::roll_back, "segment.recover.rolled_back"},
        {&part::close_records, "segment.recover.records_closed"},
        {&part::release, "segment.recover.released"},
    };
    for (auto const& [hook, point] : phases)
    {
        for (part const& p : all_parts())
        {
            if (p.*hook == nullptr || !in.area_of(p.id))
                continue;
            if (error_code const error = (p.*hook)(in, dead, until, report))
                return error;
        }
        ATRIUM_CRASH_POINT(point);
    }
    return {};
}

void clear_row(attachment::implementation& in, participant_id self, participant_id dead, bool guarded)
{
    participant_row& row = in.row(dead.row());
    if (dead.row() != self.row() && !guarded)
    {
        // A newcomer has the byte. Release T2, pairs with the acquire T2 in find_own_former(): it finds all done.
        row.former.store(dead.word() | former_recovered, std::memory_order_release);
        ATRIUM_CRASH_POINT("segment.recover.former_recovered");
        return;
    }
    row.former.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.recover.former_cleared");
    if (dead.row() == self.row())
        return; // we took it over
    // Release R1: whoever takes the row next sees everything that was recovered.
    row.state.store(row_word(dead.incarnation(), row_state::free), std::memory_order_release);
    ATRIUM_CRASH_POINT("segment.recover.row_cleared");
}

void clear_rows(attachment::implementation& in, participant_id self, dead_set const& dead, recovery_locks const& locks)
{
    for (participant_id const id : dead.dead())
        clear_row(in, self, id, locks.has_row(id.row()));
    in.former.store(0, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.recover.rows_cleared");
    in.header().recoveries.fetch_add(1, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.recover.counted");
    in.header().departures.fetch_add(1, std::memory_order_release); // D1
    ATRIUM_CRASH_POINT("segment.recover.before_wake");
    os::futex_wake(in.header().departures, INT_MAX);
    ATRIUM_CRASH_POINT("segment.recover.announced");
}

void report_to_callbacks(attachment::implementation& in, recovery_report const& report)
{
    std::map<std::uint64_t, recovery_callback> callbacks;
    {
        std::lock_guard const held(in.callbacks_mutex);
        callbacks = in.callbacks; // called without the mutex: a callback may add or remove one
    }
    for (auto const& [number, callback] : callbacks)
        callback(report);
    log(severity::info, "recovered " + in.file_name + " for " + std::to_string(report.dead.size()) +
                            " dead participant(s), " + std::to_string(report.bytes_reclaimed) + " bytes reclaimed");
}

using scope = attachment::recovery_scope;

bool may_have_lost(attachment& of)
{
    return std::ranges::any_of(all_parts(), [&](part const& p) {
        return p.may_have_lost != nullptr && of.area_of(p.id) && p.may_have_lost(of);
    });
}

// What is done with the locks held; `turn` is how long others who are at it are waited for.
error_code recover_locked(attachment& of, deadline turn, deadline until, scope what, recovery_report& report)
{
    attachment::implementation& in   = of.insides();
    auto const                  held = in.exclude_threads(turn);
    if (!held)
        return errc::recovery_busy;
    if (error_code const error = in.check_descriptor())
        return error;
    recovery_locks locks(in);
    if (error_code const error = take_recovery_byte(locks, turn))
        return error;
    ATRIUM_CRASH_POINT("segment.recover.locked");
    auto found = find_dead(in, of.self(), locks);
    if (!found)
        return found.error();
    if (found->empty() && (what == scope::dead || !may_have_lost(of)))
        return {};
    dead_set const dead(of, std::move(*found));
    if (error_code const error = run_hooks(of, dead, until, report))
        return error;
    if (dead.dead().empty())
        return {};
    report.lanes_released = release_dead_lanes(of, dead);
    report.dead           = dead.dead();
    clear_rows(in, of.self(), dead, locks);
    return {};
}

// The part that keeps what is owed of all of them; null where the segment has not that part.
part const* keeper_of_endings(attachment& of)
{
    auto const parts = all_parts();
    auto const found =
        std::ranges::find_if(parts, [&](part const& p) { return p.owed_endings != nullptr && of.area_of(p.id); });
    return found != parts.end() ? &*found : nullptr;
}

std::uint64_t owed_endings(attachment& of)
{
    part const* const keeper = keeper_of_endings(of);
    return keeper != nullptr ? keeper->owed_endings(of) : 0;
}

// User code: no lock is held.
void run_destroyers(attachment& of, deadline until, recovery_report& report)
{
    std::uint64_t const owed    = owed_endings(of);
    bool                is_done = true;
    for (part const& p : all_parts())
    {
        if (p.destroy != nullptr && of.area_of(p.id))
            is_done = p.destroy(of, until, report) && is_done;
    }
    if (!is_done)
        return;
    // Only now, when all parts have looked: who dies before is recovered for, and that says so anew; for one who stands still
    // others look again.
    if (part const* const keeper = keeper_of_endings(of))
        keeper->endings_done(of, owed);
    ATRIUM_CRASH_POINT("segment.recover.nothing_owed");
}

result<recovery_report> recover_within(attachment& of, deadline turn, deadline until, scope what)
{
    if (error_code const error = of.usable())
        return error;
    auto const      started = std::chrono::steady_clock::now();
    recovery_report report;
    if (error_code const error = recover_locked(of, turn, until, what, report))
        return error;
    if (report.dead.empty() && report.references_released == 0 && owed_endings(of) == 0)
        return report; // nothing has become pending
    run_destroyers(of, until, report);
    report.duration = std::chrono::steady_clock::now() - started;
    if (!report.dead.empty())
        report_to_callbacks(of.insides(), report);
    return report;
}

} // namespace

} // namespace detail

result<recovery_report> attachment::recover(deadline until, recovery_scope what)
{
    return detail::recover_within(*this, until, until, what);
}

void attachment::look_again(std::chrono::steady_clock::time_point now) noexcept
{
    next_look_.store((now + detection_time_).time_since_epoch().count(), std::memory_order_relaxed);
    tend();
}

void attachment::tend() noexcept
{
    if (usable())
        return;
    for (std::uint32_t index = 0; index < impl_->identity.participants; ++index)
    {
        std::uint64_t const word = impl_->row(index).state.load(std::memory_order_acquire); // R1
        if (index == self_.row() || !detail::is_attached(word))
            continue;
        std::uint64_t const former = impl_->row(index).former.load(std::memory_order_acquire); // T1
        bool const          owed   = former != 0 && (former & detail::former_recovered) == 0;
        if (!owed && ask(participant_id(index, word >> 1)) != liveness::dead)
            continue;
        try
        {
            // Busy is fine: then somebody else is at it, and nobody waits for him here, as he may be stopped.
            static_cast<void>(
                detail::recover_within(*this, std::chrono::seconds(0), detection_time_, recovery_scope::dead));
        }
        catch (std::exception const& e) // no memory here, or a throwing callback: the next wait tries again
        {
            log(severity::warning, e.what());
        }
        return;
    }
    if (detail::owed_endings(*this) == 0)
        return;
    recovery_report report;
    detail::run_destroyers(*this, std::chrono::seconds(0), report); // who waits waits for nobody here
}

} // namespace atrium
