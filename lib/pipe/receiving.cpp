#include <atrium/pipe/detail/handing_over.hpp>

#include "pipe/pipe_core.hpp"

namespace atrium::detail {

error_code receive(pipe_core& from, taken_reference& taken, deadline until, wait_policy const& how)
{
    return from.take(taken, until, how);
}

error_code try_receive(pipe_core& from, taken_reference& taken, bool reports_deaths)
{
    return from.try_take(taken, reports_deaths);
}

void close_pipe(pipe_core& pipe) noexcept
{
    router_view const& router = pipe.router().view();
    if (!router.in().usable())
        shut_pipe(router, pipe.slot(), pipe.generation());
}

std::string const& name_of(pipe_core const& pipe) noexcept
{
    return pipe.name();
}

std::uint32_t number_of(pipe_core const& pipe) noexcept
{
    return static_cast<std::uint32_t>(pipe.number());
}

} // namespace atrium::detail
