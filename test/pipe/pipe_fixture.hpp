/// \file
/// What the tests of pipes share: segments for them, and whether all that routers keep agrees.
#pragma once

#include "memory/memory_fixture.hpp"
#include "memory/reference_check.hpp"
#include "pipe/router_view.hpp"

#include <atrium/pipe/router.hpp>
#include <atrium/pool/pool.hpp>

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cstdint>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace atrium::test {

/// Room for some routers, and quick to notice a death.
inline segment_options pipe_segment()
{
    return {.size           = 128u << 10,
            .maximum_size   = 32u << 20,
            .participants   = 24,
            .lanes          = 64,
            .named_objects  = 32,
            .detection_time = 5ms};
}

/// What is wrong with the routers of a segment that nobody uses at the moment, a line each; and with its counted
/// references, those in rings among them. Empty if all is well.
[[nodiscard]] inline std::string pipe_problems(segment const& in, reference_expectation const& expected = {})
{
    std::ostringstream wrong;
    attachment&        attached = *in.attached();
    detail::for_each_structure(attached, part_id::pipe, [&](detail::structure_place const& place) {
        auto const view = detail::router_view::attach(attached, place.block, place.size);
        if (!view)
            return; // a pipe
        std::string const name = detail::name_of_entry(attached, place.entry);
        for (std::uint64_t number = 0; number < view->shape().senders(); ++number)
        {
            detail::sender_block const* const block = view->sender(number);
            auto const user = participant_id::from_word(block == nullptr ? 0 : block->user.load());
            if (user && attached.ask(user) != liveness::alive)
                wrong << name << ": sender " << number << " is of a dead process\n";
        }
        detail::for_each_slot(*view, [&](std::uint64_t number, detail::pipe_slot const& slot) {
            std::uint64_t const word  = slot.state.load();
            auto const          state = detail::state_of(word);
            bool const          used  = state == detail::slot_state::open || state == detail::slot_state::shut;
            if (state == detail::slot_state::claimed || state == detail::slot_state::closing)
                wrong << name << ": place " << number << " is on its way\n";
            auto const of = detail::owner::unpack(slot.owner.load());
            if (used && (!of || !detail::is_owned(attached, slot.block.load(), *of)))
                wrong << name << ": pipe " << number << " has no name\n";
            if (slot.generation.load() != detail::generation_in(word))
                wrong << name << ": place " << number << " has two generations\n";
            auto const lanes = view->lanes_of(slot);
            for (std::uint64_t sender = 0; lanes && sender < view->shape().senders(); ++sender)
            {
                std::uint64_t const link = lanes.lane(sender).ring.load();
                auto const          ring = link == 0 ? result<detail::reference_ring>(errc::not_found)
                                                     : detail::reference_ring::attach(attached, detail::offset_in(link));
                if (link != 0 && !ring)
                    wrong << name << ": ring " << sender << " of pipe " << number << " is none\n";
                bool const current =
                    ring && used && ring->header().rare[detail::ring_generation].load() == slot.generation.load();
                if (ring && !current && ring->is_filled(ring->head()))
                    wrong << name << ": ring " << sender << " of a pipe that is gone has something\n";
            }
        });
    });
    return wrong.str() + reference_problems(in, expected);
}

} // namespace atrium::test
