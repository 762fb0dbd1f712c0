/// \file
/// What recovery does about counted references; the phases and their order are in DESIGN.md.
#pragma once

#include "memory/memory_state.hpp"
#include "memory/object_space.hpp"
#include "memory/segment_cells.hpp"
#include "segment/part.hpp"

#include <vector>

namespace atrium::detail {

/// Phase 1: finishes or drops what dead lanes had recorded. Nothing else may be released before all are closed.
void close_records(memory_state& memory, dead_set const& dead);

/// Phase 2: gives up what the dead processes held. Objects that were referred to last become pending.
/// \returns how many references
[[nodiscard]] std::size_t release_processes(memory_state& memory, dead_set const& dead);

/// Phase 3: the objects that dead lanes were constructing or destroying.
[[nodiscard]] std::vector<located_object> find_cut_off(memory_state& memory, dead_set const& dead);

/// Phase 4: their places are free, once what they held is gone.
void free_cut_off(memory_state& memory, std::vector<located_object> const& objects) noexcept;

/// Phase 5: hints that dead lanes kept, and cells that they had reserved, are everybody's again.
void release_kept(memory_state& memory, dead_set const& dead);

/// The bytes of objects in tables, in which references may lie that must go with them. Those of heap objects are blocks
/// of their own.
[[nodiscard]] std::vector<byte_range> bytes_of(memory_state const& memory, std::vector<located_object> const& objects);

} // namespace atrium::detail
