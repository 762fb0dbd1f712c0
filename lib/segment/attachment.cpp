#include <atrium/segment/attachment.hpp>

#include "os/futex.hpp"
#include "os/process.hpp"
#include "segment/attachment_access.hpp"
#include "segment/file_access.hpp"
#include "segment/implementation.hpp"
#include "segment/lanes.hpp"
#include "segment/part.hpp"
#include "segment/registry.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstring>
#include <mutex>
#include <thread>

namespace atrium {

using detail::is_attached;
using detail::participant_row;
using detail::row_state;
using detail::row_word;

namespace {

constexpr std::chrono::microseconds longest_pause{2000};

} // namespace

// ---- the insides -------------------------------------------------------------------------------------------------

std::unique_lock<std::mutex> attachment::implementation::exclude_threads(deadline until)
{
    std::unique_lock held(locks, std::defer_lock);
    // Polled, as the byte locks are that are taken next: a timed_mutex waits in a way that the thread sanitizer of g++
    // 12 takes for no lock at all.
    for (auto pause = std::chrono::microseconds(50); !held.try_lock(); pause = std::min(pause * 2, longest_pause))
    {
        if (until.passed())
            break;
        std::this_thread::sleep_for(pause);
    }
    return held;
}

detail::segment_header& attachment::implementation::header() const noexcept
{
    return *reinterpret_cast<detail::segment_header*>(mapping.data());
}

participant_row& attachment::implementation::row(std::uint32_t index) const noexcept
{
    auto* const rows = reinterpret_cast<participant_row*>(mapping.data() + identity.participants_offset);
    return rows[index];
}

lane_row& attachment::implementation::lane(std::uint32_t index) const noexcept
{
    auto* const rows = reinterpret_cast<lane_row*>(mapping.data() + identity.lanes_offset);
    return rows[index];
}

error_code attachment::implementation::check_descriptor() const noexcept
{
    auto const now = os::status_of(*file);
    return now && now->same_file(identity_of_file) ? error_code() : make_error_code(errc::descriptor_lost);
}

std::uint64_t attachment::implementation::limit_to_file(std::uint64_t size) const noexcept
{
    // Relaxed: files of segments never shrink, so an old value is only asked about again.
    std::uint64_t known = backed.load(std::memory_order_relaxed);
    if (size <= known)
        return size;
    auto const now = os::status_of(*file);
    if (!now || !now->same_file(identity_of_file))
        return known;
    backed.store(now->size, std::memory_order_relaxed);
    return std::min(size, now->size);
}

result<bool> attachment::implementation::byte_is_held(std::uint32_t row) const noexcept
{
    return os::is_locked_by_other(*file, detail::participant_byte(row), 1);
}

// ---- life --------------------------------------------------------------------------------------------------------

std::shared_ptr<attachment> attachment_access::make(std::unique_ptr<attachment::implementation> in)
{
    auto        handle         = std::make_shared<attachment>(std::move(in));
    auto const& insides        = handle->insides();
    handle->base_              = insides.mapping.data();
    handle->maximum_size_      = insides.identity.maximum_size;
    handle->data_offset_       = insides.identity.data_offset;
    handle->generation_word_   = &os::generation_word();
    handle->generation_        = insides.generation;
    handle->sparse_size_       = detail::sparse_bytes(insides.identity).size;
    handle->lanes_             = &insides.lane(0);
    handle->lane_count_        = static_cast<std::uint32_t>(detail::lane_rows(insides.identity));
    handle->participant_count_ = insides.identity.participants;
    handle->flat_              = insides.has(detail::flag_flat);
    handle->detection_time_    = std::chrono::nanoseconds(insides.identity.detection_time);
    return handle;
}

attachment::attachment(std::unique_ptr<implementation> impl) noexcept : impl_(std::move(impl)) {}

namespace {

void announce_departure(detail::segment_header& header) noexcept
{
    // Release D1, pairs with the acquire D1 in request_close(): the row is free before the count says so.
    header.departures.fetch_add(1, std::memory_order_release);
    ATRIUM_CRASH_POINT("segment.leave.before_wake");
    os::futex_wake(header.departures, INT_MAX);
}

// The life-cycle byte is held.
void unlink_if_last(attachment::implementation& in) noexcept
{
    auto const others = detail::anybody_alive(*in.file);
    auto const named  = os::status_of_name(in.file_name);
    ATRIUM_CRASH_POINT("segment.leave.before_unlink");
    if (others && !*others && named && named->same_file(in.identity_of_file))
        static_cast<void>(os::remove_name(in.file_name));
    ATRIUM_CRASH_POINT("segment.leave.after_unlink");
}

// Who was stopped while it held the life-cycle byte may have been given up by the last others: they left without it,
// and count on us to look once more. We are nobody by now, as they were: whoever finds the byte taken may rely on its
// holder.
void look_once_more(attachment::implementation& in) noexcept
{
    if (auto const others = detail::anybody_alive(*in.file); !others || *others)
        return;
    if (auto const lock = detail::life_cycle_lock::take(in.file, std::chrono::seconds(0)))
        unlink_if_last(in);
}

// The row is given up first, the byte at the end, when nothing is mapped any more: a row is never free to claim while
// we still write. The byte goes before the life-cycle byte: the next leaver must not take us for somebody who stays.
void leave(attachment::implementation& in, participant_id self, bool clean) noexcept
{
    bool const kept   = in.has(detail::flag_keep);
    bool const asking = !in.check_descriptor(); // without it: nobody can be asked, nothing unlinked
    auto       lock   = asking ? detail::life_cycle_lock::take(in.file, detail::patience({})) : errc::descriptor_lost;
    participant_row& row = in.row(self.row());
    ATRIUM_CRASH_POINT("segment.leave.before_row");
    // Release R1: what we did is seen by whoever takes the row next.
    if (clean)
        row.state.store(row_word(self.incarnation(), row_state::free), std::memory_order_release);
    ATRIUM_CRASH_POINT("segment.leave.row_free");
    announce_departure(in.header());
    if (lock && !kept)
        unlink_if_last(in);
    in.mapping.unmap();
    if (!asking)
        return; // unmapping was the last use of the open file description: the kernel has dropped our bytes
    static_cast<void>(os::unlock(*in.file, detail::participant_byte(self.row())));
    ATRIUM_CRASH_POINT("segment.leave.byte_given_up");
    if (lock)
        lock->release();
    ATRIUM_CRASH_POINT("segment.leave.let_go");
    if (!kept)
        look_once_more(in);
}

} // namespace

attachment::~attachment()
{
    implementation& in = *impl_;
    if (!os::generation_is(in.generation))
    {
        // A forked child: the mapping is not here, and the descriptor was closed; its number may be another's by now.
        in.mapping.abandon();
        in.file->abandon();
        return;
    }
    if (!in.published)
        return;
    detail::forget(*this);
    if (!is_read_only())
    {
        // Else all that is in its row is still to be recovered, and none of it is ours.
        bool const own   = in.former.load(std::memory_order_relaxed) == 0;
        bool       clean = own;
        auto const parts = detail::all_parts();
        for (auto p = parts.rbegin(); own && p != parts.rend(); ++p)
        {
            if (p->leave != nullptr && area_of(p->id))
                clean = !p->leave(*this) && clean;
        }
        if (clean)
            detail::release_lanes_of(*this); // else whoever recovers finds what they kept
        leave(in, self_, clean);
    }
    if (in.check_descriptor())
        in.file->abandon();
}

// ---- looking -----------------------------------------------------------------------------------------------------

std::uint64_t attachment::recoveries() const noexcept
{
    return impl_->header().recoveries.load(
        std::memory_order_relaxed); // a number to compare; nothing is read because of it
}

std::uint64_t attachment::committed() const noexcept
{
    // Acquire C1, pairs with the release C1 in commit(): bytes below it have memory. Never believed beyond the mapping,
    // nor, where the writers are not trusted, beyond the file.
    auto const said =
        std::clamp(impl_->header().committed.load(std::memory_order_acquire), data_offset_, maximum_size_);
    return flat_ ? impl_->limit_to_file(said) : said;
}

bool attachment::grew_beyond(std::uint64_t offset) const noexcept
{
    std::uint64_t const now = committed();
    // Release C1. A flat segment's file may be cut by those who are not trusted: that is looked at each time.
    known_committed_.store(flat_ ? 0 : now, std::memory_order_release);
    return offset < now;
}

namespace {

result<area_bytes> find_area(detail::segment_identity const& identity, part_id part, detail::area_kind kind) noexcept
{
    for (std::uint32_t n = 0; n < identity.area_count; ++n)
    {
        detail::area const& a = identity.areas[n];
        if (a.part == static_cast<std::uint32_t>(part) && a.kind == kind)
            return area_bytes{a.offset, a.size};
    }
    return errc::flat_segment;
}

} // namespace

result<area_bytes> attachment::area_of(part_id part) const noexcept
{
    return find_area(impl_->identity, part, detail::area_kind::whole);
}

result<area_bytes> attachment::sparse_area_of(part_id part) const noexcept
{
    return find_area(impl_->identity, part, detail::area_kind::sparse);
}

bool attachment::has_left(participant_id id) const noexcept
{
    if (id.row() >= impl_->identity.participants || !os::generation_is(impl_->generation))
        return true;
    // Acquire R1: what the participant did before it left, or its recoverer for it, is seen.
    std::uint64_t const word = impl_->row(id.row()).state.load(std::memory_order_acquire);
    return word != row_word(id.incarnation(), row_state::attached);
}

bool attachment::is_settled(participant_id id) const noexcept
{
    if (id.row() >= impl_->identity.participants || !os::generation_is(impl_->generation))
        return true;
    auto const&         row  = impl_->row(id.row());
    std::uint64_t const word = row.state.load(std::memory_order_acquire); // R1
    if (!is_attached(word))
        return true; // nobody leaves a row, or is recovered for, with something left to do
    if (word == row_word(id.incarnation(), row_state::attached))
        return false;
    // Acquire T1, pairs with the releases T1 and T2: who took the row over has said so before, and whoever recovered
    // for the former user, and for those before, has said so afterwards.
    std::uint64_t const former = row.former.load(std::memory_order_acquire);
    return former == 0 || (former & detail::former_recovered) != 0;
}

liveness attachment::ask(participant_id id) const noexcept
{
    if (!os::generation_is(impl_->generation))
        return liveness::unknown;
    if (has_left(id))
        return liveness::dead;
    if (id == self_)
        return liveness::alive;
    // Acquire T1, pairs with the release T1 in claim_row(): known to be dead, whoever may hold its byte since.
    if (detail::is_former(impl_->row(id.row()).former.load(std::memory_order_acquire), id))
        return liveness::dead;
    if (impl_->check_descriptor())
        return liveness::unknown;
    auto const held = impl_->byte_is_held(id.row());
    // The descriptor once more: had foreign code closed it meanwhile, "nobody holds it" was said of another file.
    if (!held || impl_->check_descriptor())
        return liveness::unknown;
    return *held ? liveness::alive : liveness::dead;
}

namespace {

// The part of a row that is for people.
void read_for_people(participant_row const& row, participant_info& info)
{
    auto const here = os::own_pid_namespace();
    // Acquires R2, pair with the releases R2 in write_row().
    auto const          pid         = row.pid.load(std::memory_order_acquire);
    auto const          device      = row.namespace_device.load(std::memory_order_acquire);
    auto const          inode       = row.namespace_inode.load(std::memory_order_acquire);
    auto const          attached_at = row.attached_at.load(std::memory_order_acquire);
    std::uint64_t const text[2]     = {row.program[0].load(std::memory_order_acquire),
                                       row.program[1].load(std::memory_order_acquire)};
    // A newcomer may have written over it: then it has said before that it takes over, or the row was free before.
    if (detail::is_former(row.former.load(std::memory_order_relaxed), info.id) ||
        row.state.load(std::memory_order_relaxed) != row_word(info.id.incarnation(), row_state::attached))
        return;
    std::array<char, sizeof(text) + 1> name = {};
    std::memcpy(name.data(), text, sizeof(text));
    info.pid                = static_cast<std::uint32_t>(pid);
    info.same_pid_namespace = device == here.device && inode == here.inode;
    info.program            = name.data();
    info.attached_at        = attached_at;
}

} // namespace

std::vector<participant_info> attachment::participants() const
{
    std::vector<participant_info> all;
    if (!os::generation_is(impl_->generation))
        return all;
    for (std::uint32_t index = 0; index < impl_->identity.participants; ++index)
    {
        participant_row const& row  = impl_->row(index);
        std::uint64_t const    word = row.state.load(std::memory_order_acquire); // R1
        if (!is_attached(word))
            continue;
        participant_info info;
        info.id    = participant_id(index, word >> 1);
        info.state = ask(info.id);
        read_for_people(row, info);
        all.push_back(std::move(info));
    }
    return all;
}

// ---- changing ----------------------------------------------------------------------------------------------------

error_code attachment::commit(std::uint64_t end) noexcept
{
    if (error_code const error = usable())
        return error;
    if (end > maximum_size_)
        return errc::out_of_memory;
    std::uint64_t const begin = committed();
    if (end <= begin)
        return {};
    if (error_code const error = impl_->check_descriptor())
        return error;
    ATRIUM_CRASH_POINT("segment.commit.before_memory");
    if (error_code const error = os::commit(*impl_->file, begin, end))
        return error;
    ATRIUM_CRASH_POINT("segment.commit.before_store");
    // Release C1: the memory is there before anybody may count on it. As a maximum: processes may grow a flat segment
    // at the same time, and the one that asked for less may come last.
    auto&         committed_bytes = impl_->header().committed;
    std::uint64_t seen            = committed_bytes.load(std::memory_order_relaxed);
    while (seen < end &&
           !committed_bytes.compare_exchange_weak(seen, end, std::memory_order_release, std::memory_order_relaxed))
    {}
    ATRIUM_CRASH_POINT("segment.commit.after_store");
    return {};
}

error_code attachment::commit_sparse(area_bytes piece) noexcept
{
    if (error_code const error = usable())
        return error;
    if (error_code const error = impl_->check_descriptor())
        return error;
    return os::commit(*impl_->file, piece.offset, piece.offset + piece.size);
}

std::uint64_t attachment::add_callback(recovery_callback callback)
{
    std::lock_guard const held(impl_->callbacks_mutex);
    impl_->callbacks.emplace(impl_->next_callback, std::move(callback));
    return impl_->next_callback++;
}

void attachment::remove_callback(std::uint64_t number) noexcept
{
    std::lock_guard const held(impl_->callbacks_mutex);
    impl_->callbacks.erase(number);
}

void* attachment::local_state(part_id part) const noexcept
{
    return impl_->local_states[static_cast<std::size_t>(part)].get();
}

} // namespace atrium
