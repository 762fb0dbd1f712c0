#include "memory/directory.hpp"
#include "memory/object_space.hpp"
#include "os/barrier.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/log.hpp>
#include <atrium/base/name.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace atrium::detail {

namespace {

using namespace std::chrono_literals;

[[noreturn]] void fail(error_code error, std::string_view name, std::string const& more = {})
{
    throw_error(error, "named object '" + std::string(name) + "'" + more);
}

std::string describe(std::string const& type, std::uint64_t size, std::uint64_t align, std::uint64_t version)
{
    return type + " (" + std::to_string(size) + " bytes, alignment " + std::to_string(align) + ", version " +
           std::to_string(version) + ")";
}

void check_type(directory_entry const& entry, std::string_view name, object_type const& type)
{
    auto const          relaxed = std::memory_order_relaxed;
    std::uint64_t const shape   = entry.align_and_version.load(relaxed);
    fingerprint const&  print   = type.print;
    if (entry.hash.load(relaxed) == print.hash && entry.size.load(relaxed) == print.size &&
        shape == (print.align | std::uint64_t{print.version} << 32))
        return;
    fail(errc::type_mismatch, name,
         " is " + describe(type_name_of(entry), entry.size.load(relaxed), shape & 0xffffffff, shape >> 32) + ", not " +
             describe(print.name, print.size, print.align, print.version));
}

// Looks at a name, again and again until it is settled.
class attempt
{
public:
    attempt(memory_state& memory, named_mode mode, std::string_view name, object_type const& type,
            named_options const& options, deadline until)
        : memory_(memory), mode_(mode), name_(name), type_(type), options_(options), until_(until)
    {}

    /// One look; nothing where another is worth it.
    std::optional<named_slot> make()
    {
        auto const ticket = memory_.header->entry_changed.look();
        auto       lock   = heap_lock::take(memory_, until_);
        if (!lock)
            fail(lock.error(), name_);
        auto const found = find_entry(memory_, name_);
        if (!found)
            fail(found.error(), name_);
        if (!*found)
            return create(*lock);

        directory_entry& entry  = memory_.entry(**found);
        auto const       status = status_of(entry);
        if (!status)
            fail(status.error(), name_);
        switch (status->state)
        {
        case entry_state::live:
            return hold(*lock, **found);
        case entry_state::orphaned:
            if (is_pool(entry))
                return hold(*lock, **found); // it is whole, and kept by its elements
            check_type(entry, name_, type_);
            entry.state.store(pack(entry_state::dying, memory_.in->self()), std::memory_order_relaxed);
            ATRIUM_CRASH_POINT("directory.orphan.claimed");
            lock->release();
            destroy_object(memory_, **found, type_.destroy);
            return std::nullopt;
        default:
            lock->release();
            wait_for(status->by, ticket);
            return std::nullopt;
        }
    }

    /// What to say if no further look can be taken.
    [[nodiscard]] errc last_obstacle() const noexcept { return obstacle_; }

private:
    std::optional<named_slot> hold(heap_lock& lock, std::uint32_t index)
    {
        directory_entry& entry = memory_.entry(index);
        if (mode_ == named_mode::create_only)
            fail(errc::already_exists, name_);
        check_type(entry, name_, type_);
        auto const object = object_of(memory_, index);
        if (!object)
            fail(object.error(), name_);
        std::uint32_t const row   = memory_.in->self().row();
        std::uint64_t const limit = entry.holder_limit.load(std::memory_order_relaxed);
        if (!is_held_by(entry, row) && limit != 0 && holders_of(entry) >= limit)
        {
            lock.release();
            recover_or_fail(errc::too_many_holders);
            return std::nullopt;
        }
        hold_entry(memory_, index);
        return named_slot{.index = index, .to_construct = false, .object = *object, .of = owner::library(0)};
    }

    std::optional<named_slot> create(heap_lock& lock)
    {
        if (mode_ == named_mode::open_only)
            fail(errc::not_found, name_);
        auto const index = claim_entry(memory_, name_, type_, options_);
        lock.release();
        if (!index)
        {
            recover_or_fail(index.error());
            return std::nullopt;
        }
        named_slot slot{.index = *index, .to_construct = true, .object = nullptr, .of = owner::library(0)};
        auto const of = draw_sub_owner(memory_, *index);
        auto const block =
            of ? allocate(memory_, type_.bytes != 0 ? type_.bytes : type_.print.size,
                          type_.pool ? std::max<std::uint64_t>(type_.print.align, 64) : type_.print.align, *of, until_)
               : result<std::uint64_t>(of.error());
        if (!block)
        {
            abandon_named(*memory_.in, slot);
            fail(block.error(), name_);
        }
        slot.of     = *of;
        slot.object = memory_.in->base() + *block;
        ATRIUM_CRASH_POINT("directory.create.before_block");
        memory_.entry(*index).block.store(*block, std::memory_order_relaxed);
        ATRIUM_CRASH_POINT("directory.create.before_constructor");
        return slot;
    }

    // The dead may have what is short; or had it, and somebody else has just recovered for them. So once more, and then
    // it is short.
    void recover_or_fail(error_code shortage)
    {
        if (std::exchange(recovered_, true) || !memory_.in->recover(until_))
            fail(shortage, name_);
    }

    // Somebody constructs or destroys it: until that is done, or they are dead, or we have waited long enough.
    void wait_for(participant_id by, doorbell::ticket ticket)
    {
        obstacle_     = errc::under_construction;
        deadline turn = until_;
        if (memory_.in->ask(by) == liveness::dead)
        {
            auto const recovered = memory_.in->recover(until_);
            if (!recovered)
                fail(recovered.error(), name_);
            if (!recovered->dead.empty())
                return;
            // Its row has another user, or is about to; he recovers for it before anything else, and may be stopped.
            obstacle_ = errc::recovery_busy;
            turn      = until_.earlier(memory_.in->detection_time());
            by        = {};
        }
        auto const rung = memory_.header->entry_changed.wait(ticket, turn, {.peer = by});
        if (!rung && rung.error() != errc::peer_dead && rung.error() != errc::timed_out)
            fail(rung.error(), name_);
    }

    memory_state&        memory_;
    named_mode           mode_;
    std::string_view     name_;
    object_type const&   type_;
    named_options const& options_;
    deadline             until_;
    errc                 obstacle_  = errc::timed_out;
    bool                 recovered_ = false;
};

memory_state& known_memory(attachment& in) noexcept
{
    return *static_cast<memory_state*>(in.local_state(part_id::memory));
}

// What belongs to a structure goes by the name of that and its own: no object of the user's can be called so.
bool is_name_for(object_type const& type, std::string_view name) noexcept
{
    auto const colon = type.structure == 0 ? std::string_view::npos : name.find(name_separator);
    if (colon == std::string_view::npos)
        return check_name(name).has_value();
    return name.size() <= max_name_length && check_name(name.substr(0, colon)) && check_name(name.substr(colon + 1));
}

} // namespace

named_slot acquire_named(attachment& in, named_mode mode, std::string_view name, object_type const& type,
                         named_options const& options)
{
    deadline const until = options.patience;
    if (!is_name_for(type, name))
        fail(errc::name_invalid, name);
    auto const memory = memory_of(in);
    if (!memory)
        fail(memory.error(), name);
    know_type(type);
    drop_owed_holds(**memory);
    static_cast<void>(destroy_orphans(**memory, until)); // whoever knows a type cleans up after those who died with it
    attempt looking(**memory, mode, name, type, options, until);
    for (;;)
    {
        if (auto const slot = looking.make())
            return *slot;
        if (until.passed())
            fail(looking.last_obstacle(), name);
    }
}

void publish_named(attachment& in, named_slot const& slot) noexcept
{
    if (in.usable())
        return; // forked in the constructor: the object is the parent's
    memory_state&    memory = known_memory(in);
    directory_entry& entry  = memory.entry(slot.index);
    // No mutex: until the state says live the entry is ours alone.
    memory.holds[slot.index].store(1, std::memory_order_relaxed);
    set_holder(entry, in.self().row());
    compiler_barrier(); // held before it can be found
    // Release E1, pairs with the acquire E1 in status_of(): the object is whole.
    entry.state.store(pack(entry_state::live), std::memory_order_release);
    ATRIUM_CRASH_POINT("directory.create.live");
    memory.header->entry_changed.ring();
}

void abandon_named(attachment& in, named_slot const& slot) noexcept
{
    if (in.usable())
        return; // as above
    memory_state& memory = known_memory(in);
    if (error_code const error = clear_entry(memory, slot.index, 1s))
        log(severity::warning, "a named object's memory waits for this process to leave: " + error.message());
    memory.header->entry_changed.ring();
}

void hold_named(attachment& in, std::uint32_t index) noexcept
{
    if (in.usable())
        return; // a forked child: the parent holds it
    // Relaxed, and without the mutex: there is a handle, so it is not 0.
    known_memory(in).holds[index].fetch_add(1, std::memory_order_relaxed);
}

namespace {

// Nobody in this process has a handle to the entry any more, unless somebody has opened it since.
// \returns false where somebody stands still with the heap
bool drop_own_hold(memory_state& memory, std::uint32_t index, deadline until) noexcept
{
    auto lock = heap_lock::take(memory, until);
    if (!lock)
        return false;
    // Other threads may have opened it again, and dropped it, and the entry may be another's by now. The state first:
    // who publishes an object has counted itself before.
    std::uint32_t const self   = memory.in->self().row();
    directory_entry&    entry  = memory.entry(index);
    auto const          status = status_of(entry); // E1
    if (!status || status->state != entry_state::live || !is_held_by(entry, self) ||
        memory.holds[index].load(std::memory_order_acquire) != 0) // H1
        return true;
    std::array const row  = {self};
    bool const       pool = is_pool(entry);
    bool             last = drop_holders(memory, entry, row,
                             pool ? pack(entry_state::orphaned) : pack(entry_state::dying, memory.in->self()));
    if (last && pool)
    {
        os::full_barrier(); // B1, pairs with the one in end_pool_if_empty()
        last = claim_empty_pool(memory, index);
    }
    auto const destroy = destroyer_of(entry).value_or(nullptr);
    lock->release();
    if (last)
        destroy_object(memory, index, destroy);
    return true;
}

} // namespace

void release_named(attachment& in, std::uint32_t index) noexcept
{
    if (in.usable())
        return; // a forked child: the parent holds it
    memory_state& memory = known_memory(in);
    // Acquire and release H1 among each other, and with the acquire H1 above: who destroys it comes after all who used
    // it.
    if (memory.holds[index].fetch_sub(1, std::memory_order_acq_rel) != 1 || drop_own_hold(memory, index, 1s))
        return;
    // What this process holds goes when it leaves, or when it can have the heap again.
    memory.owes_holds.store(true, std::memory_order_relaxed);
    log(severity::warning, "a named object is held for longer: somebody stands still with the heap");
}

void drop_owed_holds(memory_state& memory) noexcept
{
    // Relaxed: what is owed is found under the mutex.
    if (!memory.owes_holds.load(std::memory_order_relaxed) ||
        !memory.owes_holds.exchange(false, std::memory_order_relaxed))
        return;
    for (std::uint32_t index = 0; index < memory.entry_count; ++index)
    {
        if (memory.holds[index].load(std::memory_order_relaxed) == 0 &&
            is_held_by(memory.entry(index), memory.in->self().row()) && !drop_own_hold(memory, index, 0s))
            return memory.owes_holds.store(true, std::memory_order_relaxed);
    }
}

result<> set_named_keep(attachment& in, std::uint32_t index, bool keep, deadline until)
{
    auto const memory = memory_of(in);
    if (!memory)
        return memory.error();
    auto const lock = heap_lock::take(**memory, until);
    if (!lock)
        return lock.error();
    auto&               flags = (*memory)->entry(index).flags;
    std::uint64_t const now   = flags.load(std::memory_order_relaxed);
    flags.store(keep ? now | entry_kept : now & ~std::uint64_t{entry_kept}, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("directory.keep.set");
    return {};
}

} // namespace atrium::detail
