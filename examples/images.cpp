// Images that one process takes and another looks at: handed over as references, without copying a pixel.
#include <atrium/memory/guarded.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/memory/segment_ptr.hpp>
#include <atrium/memory/vector.hpp>
#include <atrium/pool/array_pool.hpp>
#include <atrium/segment/segment.hpp>
#include <atrium/sync/doorbell.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

using pixel      = unsigned char;
using image      = atrium::shared_ptr<pixel[]>;
using image_pool = atrium::array_pool<pixel>;

constexpr std::size_t size = 640 * 480;
constexpr int         all  = 100;

struct desk
{
    static constexpr bool is_shareable = true;
    using allocator_type               = atrium::allocator<std::byte>;
    desk(std::allocator_arg_t, allocator_type const& own) : images(std::allocator_arg, own) {}

    atrium::guarded<atrium::vector<atrium::segment_ptr<pixel[]>>> images;
    atrium::doorbell                                              changed;
};

// Tries until it works, and in between waits for the other process to do something.
template <class Try> auto eventually(desk& on, Try attempt)
{
    for (;;)
    {
        auto const seen = on.changed.look();
        if (auto done = attempt())
            return *done;
        on.changed.wait(seen, 5s).value();
    }
}

atrium::result<image> take(desk& from)
{
    auto const images = from.images.lock(5s).value();
    if (images->empty())
        return atrium::errc::expired;
    auto const first = images->front().share().value();
    images->erase(images->begin());
    return first;
}

int look() // the second process
{
    atrium::segment     segment(atrium::open_only, "images");
    image_pool          pool(atrium::open_only, segment, "pool", size);
    atrium::named<desk> from(atrium::open_only, segment, "desk");
    long                sum = 0;
    for (int n = 0; n != all; ++n)
    {
        {
            auto const seen   = eventually(*from, [&] { return take(*from); });
            auto const pixels = pool.objects(seen);
            sum += std::accumulate(pixels.begin(), pixels.end(), 0L);
        } // the image's place is free again
        from->changed.ring();
    }
    std::cout << "mean of all pixels: " << static_cast<double>(sum) / all / size << std::endl;
    return 0;
}

int main(int argc, char** argv)
{
    if (argc > 1)
        return look();

    atrium::segment     segment(atrium::create_only, "images");
    image_pool          pool(atrium::create_only, segment, "pool", size, {.capacity = 4});
    atrium::named<desk> to(atrium::create_only, segment, "desk");

    pid_t second    = 0;
    char  role[]    = "look";
    char* started[] = {argv[0], role, nullptr};
    if (posix_spawn(&second, "/proc/self/exe", nullptr, nullptr, started, environ) != 0)
        return 1;
    for (int n = 0; n != all; ++n)
    {
        auto const taken  = eventually(*to, [&] { return pool.make(); }); // waits where all places are in use
        auto const pixels = pool.objects(taken);
        std::fill(pixels.begin(), pixels.end(), static_cast<pixel>(n));
        to->images.lock(5s).value()->emplace_back(taken);
        to->changed.ring();
    }
    int status = 0;
    if (waitpid(second, &status, 0) != second || status != 0)
        return 1;
    std::cout << "images in use: " << pool.statistics().outstanding << " of " << pool.capacity() << '\n';
    return 0;
}
