/// \file
/// The heap of a segment, in the states and under the work of the peer it is compared with.
#include "heap_load.hpp"
#include "segment_heap.hpp"
#include "segment_name.hpp"

namespace atrium::bench {

namespace {

/// The heap of a segment of the size of the others. Nobody else has the segment, but nothing in the heap uses that.
class own_segment_heap : public segment_heap
{
public:
    own_segment_heap() : own_segment_heap(segment(create_only, segment_name("heap"), options())) {}

private:
    // The heap keeps the segment.
    explicit own_segment_heap(segment const& made) : segment_heap(made) {}

    static segment_options options()
    {
        auto options         = bench_options();
        options.maximum_size = heap_bytes;
        return options;
    }
};

registered const here(heap_figures(
    "heap.", [] { return std::make_shared<own_segment_heap>(); },
    [](std::string const& done) { return "peer.interprocess_heap." + done; }));

} // namespace

} // namespace atrium::bench
