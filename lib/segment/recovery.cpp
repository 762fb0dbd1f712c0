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

// Having the byte of a row is proof of its user's death, and keeps everybody else from the row.
result<std::vector<participant_id>> find_dead(attachment::implementation& in, participant_id self,
                                              recovery_locks& locks)
{
    std::vector<participant_id> dead;
    // Relaxed: written by the thread that joined, and by those that hold the mutex that is held here.
    if (std::uint64_t const former = in.former.load(std::memory_order_relaxed); former != 0)
        dead.push_back(participant_id::from_word(former));
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        auto const& state = in.row(index).state;
        if (index == self.row() || !is_attached(state.load(std::memory_order_acquire))) // R1
            continue;
        auto const locked = locks.take_row(index);
        if (!locked)
            return locked.error();
        std::uint64_t const word = state.load(std::memory_order_acquire); // R1; it may have left just before
        if (*locked && is_attached(word))
            dead.emplace_back(index, word >> 1);
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

void clear_rows(attachment::implementation& in, participant_id self, dead_set const& dead)
{
    for (participant_id const id : dead.dead())
    {
        participant_row& row = in.row(id.row());
        // Release T1: whoever waits for a row's taking over sees what was recovered.
        row.former.store(0, std::memory_order_release);
        ATRIUM_CRASH_POINT("segment.recover.former_cleared");
        if (id.row() == self.row())
            continue; // we took it over
        // Release R1: whoever takes the row next sees everything that was recovered.
        row.state.store(row_word(id.incarnation(), row_state::free), std::memory_order_release);
        ATRIUM_CRASH_POINT("segment.recover.row_cleared");
    }
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

// What is done with the locks held; `turn` is how long others who are at it are waited for.
error_code recover_locked(attachment& of, deadline turn, deadline until, recovery_report& report)
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
    if (found->empty())
        return {};
    dead_set const dead(of, std::move(*found));
    if (error_code const error = run_hooks(of, dead, until, report))
        return error;
    report.lanes_released = release_dead_lanes(of, dead);
    report.dead           = dead.dead();
    clear_rows(in, of.self(), dead);
    return {};
}

// For the dead whose rows nobody alive has taken over.
result<recovery_report> recover_within(attachment& of, deadline turn, deadline until)
{
    if (error_code const error = of.usable())
        return error;
    auto const      started = std::chrono::steady_clock::now();
    recovery_report report;
    if (error_code const error = recover_locked(of, turn, until, report))
        return error;
    if (report.dead.empty())
        return report;
    for (part const& p : all_parts()) // user code: no lock is held
    {
        if (p.destroy != nullptr && of.area_of(p.id))
            p.destroy(of, report);
    }
    report.duration = std::chrono::steady_clock::now() - started;
    report_to_callbacks(of.insides(), report);
    return report;
}

// A row with a former user and a byte that is held belongs to a newcomer that has still to recover for that user: nobody
// else can, and it may be stopped. Returns whether there were any: one may have died meanwhile.
result<bool> wait_for_newcomers(attachment::implementation& in, participant_id self, deadline until)
{
    bool met = false;
    for (std::uint32_t index = 0; index < in.identity.participants; ++index)
    {
        participant_row const& row = in.row(index);
        while (index != self.row() && row.former.load(std::memory_order_acquire) != 0 && // T1
               is_attached(row.state.load(std::memory_order_acquire)))                   // R1
        {
            met             = true;
            auto const held = in.byte_is_held(index);
            if (!held)
                return held;
            if (!*held)
                break; // dead by now, or not there yet: ours to recover for
            if (until.passed())
                return errc::recovery_busy;
            std::this_thread::sleep_for(1ms);
        }
    }
    return met;
}

void add(recovery_report& sum, recovery_report const& more)
{
    sum.dead.insert(sum.dead.end(), more.dead.begin(), more.dead.end());
    sum.operations_rolled_back += more.operations_rolled_back;
    sum.blocks_reclaimed += more.blocks_reclaimed;
    sum.bytes_reclaimed += more.bytes_reclaimed;
    sum.lanes_released += more.lanes_released;
    sum.holds_released += more.holds_released;
    sum.objects_abandoned += more.objects_abandoned;
    sum.objects_destroyed += more.objects_destroyed;
    sum.objects_pending += more.objects_pending;
    sum.duration += more.duration;
}

} // namespace

} // namespace detail

result<recovery_report> attachment::recover(deadline until)
{
    recovery_report sum;
    for (bool again = false;; again = true)
    {
        auto const report = detail::recover_within(*this, until, until);
        if (!report)
            return report.error();
        detail::add(sum, *report);
        auto const met = detail::wait_for_newcomers(*impl_, self_, until);
        if (!met)
            return met.error();
        if (!*met)
            return sum;
        if (again && until.passed())
            return errc::recovery_busy; // once more has been tried already
    }
}

result<recovery_report> attachment::recover_reachable(deadline until)
{
    return detail::recover_within(*this, until, until);
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
        if (ask(participant_id(index, word >> 1)) != liveness::dead)
            continue;
        try
        {
            // Busy is fine: then somebody else is at it, and nobody waits for him here, as he may be stopped.
            static_cast<void>(detail::recover_within(*this, std::chrono::seconds(0), detection_time_));
        }
        catch (std::exception const& e) // no memory here, or a throwing callback: the next wait tries again
        {
            log(severity::warning, e.what());
        }
        return;
    }
}

} // namespace atrium
