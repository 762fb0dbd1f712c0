/// \file
/// The heap of a segment in the shape in which heaps are compared.
#pragma once

#include <atrium/memory/heap.hpp>

namespace atrium::bench {

/// Allocates without a deadline, as the heaps it is compared with do, and gives null where there is no room.
class segment_heap
{
public:
    explicit segment_heap(segment const& in) : heap_(in) {}

    void* allocate(std::size_t bytes)
    {
        auto const block = heap_.allocate(bytes, no_deadline);
        return block ? *block : nullptr;
    }

    void deallocate(void* block) { heap_.deallocate(block).value(); }

private:
    heap heap_;
};

} // namespace atrium::bench
