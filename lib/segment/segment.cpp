#include <atrium/segment/segment.hpp>

#include "os/futex.hpp"
#include "segment/creating.hpp"
#include "segment/file_access.hpp"
#include "segment/implementation.hpp"
#include "segment/opening.hpp"
#include "segment/removing.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>

namespace atrium {

namespace {

std::string checked_file_name(std::string_view name, segment_options const& options)
{
    auto file = detail::file_name(name, options.domain);
    if (!file)
        throw_error(file.error(), "segment '" + std::string(name) + "', domain '" + options.domain + "'");
    return *file;
}

detail::opened or_throw(result<detail::opened> outcome, char const* what, std::string_view name)
{
    if (!outcome)
        throw_error(outcome.error(), std::string(what) + " segment '" + std::string(name) + "'");
    return std::move(*outcome);
}

// Where the mapping is not: what would look at it must not.
bool in_forked_child(attachment const& handle) noexcept
{
    return handle.usable() == errc::forked;
}

bool is_alone(attachment const& handle)
{
    auto const all = handle.participants();
    return std::all_of(all.begin(), all.end(), [&](participant_info const& p) { return p.id == handle.self(); });
}

// A newcomer that was let in before the request may have no row yet; it holds the life-cycle byte until it has one.
error_code wait_for_newcomers(attachment::implementation& in, deadline until)
{
    auto const held = in.exclude_threads(until);
    if (!held)
        return errc::timed_out;
    if (error_code const error = in.check_descriptor())
        return error;
    auto const lock = detail::life_cycle_lock::take(in.file, until);
    return lock ? error_code() : lock.error();
}

std::string effective_domain(segment_options const& options)
{
    return options.domain.empty() ? default_domain() : options.domain;
}

} // namespace

segment::segment(create_only_t, std::string_view name, segment_options const& options)
    : name_(name), domain_(effective_domain(options)), created_(true)
{
    attachment_ = or_throw(detail::create(checked_file_name(name, options), options), "create", name).handle;
}

segment::segment(open_only_t, std::string_view name, segment_options const& options)
    : name_(name), domain_(effective_domain(options))
{
    attachment_ = or_throw(detail::open(checked_file_name(name, options), options), "open", name).handle;
}

segment::segment(open_or_create_t, std::string_view name, segment_options const& options)
    : name_(name), domain_(effective_domain(options))
{
    auto outcome =
        or_throw(detail::open_or_create_file(checked_file_name(name, options), options), "open or create", name);
    created_    = outcome.created;
    attachment_ = std::move(outcome.handle);
}

segment::segment(open_read_only_t, std::string_view name, segment_options const& options)
    : name_(name), domain_(effective_domain(options))
{
    attachment_ = or_throw(detail::open_for_reading(checked_file_name(name, options), options), "read", name).handle;
}

result<> segment::remove(std::string_view name, bool force, std::string_view domain)
{
    auto const file = detail::file_name(name, domain);
    if (!file)
        return file.error();
    if (error_code const error = detail::remove(*file, force))
        return error;
    return {};
}

std::array<std::uint64_t, 2> segment::creation_id() const noexcept
{
    auto const& id = attachment_->insides().identity.creation_id;
    return {id[0], id[1]};
}

segment_status segment::status() const noexcept
{
    if (in_forked_child(*attachment_))
        return segment_status::forked;
    // Relaxed: a flag to look at; nothing else is read because of it.
    std::uint32_t const bits = attachment_->insides().header().status.load(std::memory_order_relaxed);
    if ((bits & detail::status_retired) != 0)
        return segment_status::retired;
    return (bits & detail::status_close_requested) != 0 ? segment_status::close_requested : segment_status::open;
}

std::uint64_t segment::size() const noexcept
{
    return in_forked_child(*attachment_) ? 0 : attachment_->committed() - attachment_->sparse_size();
}

std::uint64_t segment::recoveries() const noexcept
{
    if (in_forked_child(*attachment_))
        return 0;
    return attachment_->recoveries();
}

result<std::span<std::byte>> segment::flat_memory() const noexcept
{
    if (!attachment_->is_flat())
        return errc::invalid_argument;
    if (in_forked_child(*attachment_))
        return errc::forked;
    std::uint64_t const begin = attachment_->data_offset();
    return std::span(attachment_->base() + begin, attachment_->committed() - begin);
}

result<> segment::grow_flat_memory(std::size_t size)
{
    if (!attachment_->is_flat())
        return errc::invalid_argument;
    auto&               in    = attachment_->insides();
    std::uint64_t const begin = attachment_->data_offset();
    if (size > attachment_->maximum_size() - begin)
        return errc::too_large;
    std::lock_guard const held(in.growth);
    std::uint64_t const   page = in.identity.page_size;
    std::uint64_t const   end  = (begin + size + page - 1) / page * page;
    if (error_code const error = attachment_->commit(end))
        return error;
    return {};
}

result<> segment::request_close(deadline until)
{
    if (error_code const error = attachment_->usable())
        return error;
    auto& in     = attachment_->insides();
    auto& header = in.header();
    header.status.fetch_or(detail::status_close_requested, std::memory_order_relaxed);
    ATRIUM_CRASH_POINT("segment.request_close.asked");
    for (;;)
    {
        // Acquire D1, pairs with the releases D1 of leavers and recoverers: read before the rows are looked at.
        std::uint32_t const seen = header.departures.load(std::memory_order_acquire);
        if (is_alone(*attachment_))
        {
            if (error_code const error = wait_for_newcomers(in, until))
                return error;
            if (is_alone(*attachment_))
                return {};
        }
        if (until.passed())
            return errc::timed_out;
        if (!os::futex_wait(header.departures, seen, until.earlier(attachment_->detection_time())))
            attachment_->tend();
    }
}

std::shared_ptr<void> segment::on_recovery(recovery_callback callback) const
{
    std::uint64_t const number = attachment_->add_callback(std::move(callback));
    return {nullptr, [in = attachment_, number](void*) { in->remove_callback(number); }};
}

} // namespace atrium
