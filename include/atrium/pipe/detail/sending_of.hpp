/// \file
/// Sending typed references.
#pragma once

#include <atrium/base/result.hpp>
#include <atrium/memory/shared_ptr.hpp>
#include <atrium/pipe/delivery.hpp>
#include <atrium/pipe/detail/handing_over.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace atrium::detail {

template <class T> void give_back_to(void* context, std::uint64_t item, taken_reference const& taken) noexcept
{
    auto  back = reference_access::make<T>(taken.pointee, taken.reference);
    auto& to   = static_cast<shared_ptr<T>*>(context)[item];
    if (to == nullptr)
        to = std::move(back);
}

/// \param by  router_core or sender_core
template <class T, class By>
[[nodiscard]] result<delivery> send_copy(By& by, shared_ptr<T> const& object, deadline until, wait_policy const& how)
{
    local_reference* reference = reference_access::reference_of(object);
    return send_one(by, reference, reinterpret_cast<std::byte const*>(object.get()), false, {until, how});
}

// What has become of a reference that was to be moved.
template <class T> void settle(shared_ptr<T>& object, bool was_sent) noexcept
{
    if (reference_access::reference_of(object) == nullptr)
        reference_access::forget(object);
    else if (was_sent)
        object.reset(); // the pipes have others to it
}

/// It stays where nobody gets it.
template <class T, class By>
[[nodiscard]] result<delivery> send_moved(By& by, shared_ptr<T>& object, deadline until, wait_policy const& how)
{
    auto* const   pointee = reinterpret_cast<std::byte const*>(object.get());
    shared_ptr<T> back;
    auto          sent =
        send_one(by, reference_access::reference_of(object), pointee, true, {until, how, &give_back_to<T>, &back});
    settle(object, sent && sent->delivered() != 0);
    if (object == nullptr && back != nullptr)
        object = std::move(back);
    return sent;
}

template <class T> [[nodiscard]] result<delivery> send_some(sending& now, std::span<shared_ptr<T>> objects)
{
    if (now.error())
        return now.error();
    for (shared_ptr<T>& object : objects)
    {
        auto* const       pointee = reinterpret_cast<std::byte const*>(object.get());
        std::size_t const got     = now.add(reference_access::reference_of(object), pointee, true);
        settle(object, got != 0);
    }
    return now.finish();
}

/// Those that nobody gets stay.
template <class T, class By>
[[nodiscard]] result<delivery> send_batch(By& by, std::span<shared_ptr<T>> objects, deadline until,
                                          wait_policy const& how)
{
    for (shared_ptr<T>& object : objects)
    {
        if (error_code const error = check(by, reference_access::reference_of(object)))
            return error;
    }
    delivery sum;
    for (bool is_first = true; is_first || !objects.empty(); is_first = false)
    {
        auto const       some = objects.first(std::min(objects.size(), sending::most));
        send_terms const terms{until, how, &give_back_to<T>, some.data()};
        sending          now(by, terms);
        auto const       sent = send_some(now, some);
        if (!sent)
            return is_first ? sent : sum; // what was sent before was sent
        sum.add(*sent);
        if (now.error())
            break; // nothing more can be sent
        objects = objects.subspan(some.size());
    }
    return sum;
}

} // namespace atrium::detail
