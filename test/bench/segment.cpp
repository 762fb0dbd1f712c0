/// \file
/// The life of a segment: made, opened beside its other users, and what an empty one costs.
#include <atrium/segment/segment.hpp>

#include "figure.hpp"
#include "os/file.hpp"
#include "process.hpp"
#include "segment_name.hpp"

#include <fcntl.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace atrium::bench {

namespace {

using steady = std::chrono::steady_clock;

double microseconds_since(steady::time_point start)
{
    return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

/// A segment that another process has made and keeps open.
class held_elsewhere
{
public:
    explicit held_elsewhere(std::string const& name)
        : holder_(cores().first, [&] {
              segment const held(create_only, name, bench_options());
              line_.childs().say();
              line_.childs().hear();
          })
    {
        line_.parents().hear();
    }

    /// Lets it go.
    void end()
    {
        line_.parents().say();
        holder_.wait();
    }

private:
    line  line_;
    child holder_;
};

round open_segment(nanoseconds budget)
{
    auto const     name = segment_name("open");
    held_elsewhere holder(name);
    auto           taken = collect(budget, [&] {
        auto const    start = steady::now();
        segment const opened(open_only, name, bench_options());
        return microseconds_since(start);
    });
    holder.end();
    return taken;
}

round create_segment(nanoseconds budget)
{
    auto const name = segment_name("create");
    return collect(budget, [&] {
        auto const    start = steady::now();
        segment const made(create_only, name, bench_options());
        return microseconds_since(start);
    });
}

round leave_last(nanoseconds budget)
{
    auto const name = segment_name("leave");
    return collect(budget, [&] {
        std::optional<segment> made(std::in_place, create_only, name, bench_options());
        auto const             start = steady::now();
        made.reset();
        return microseconds_since(start);
    });
}

/// What opening comes to without a segment: a file of the same kind, looked at, mapped, its first page read.
round open_bare(nanoseconds budget)
{
    std::string name = "/";
    name += segment_name("bare");
    constexpr std::size_t size = 1u << 30;
    int const             made = check(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), "shm_open");
    check(ftruncate(made, size), "ftruncate");
    char const first = 'a';
    check(pwrite(made, &first, 1, 0), "pwrite");
    auto const open_once = [&] {
        auto const  start  = steady::now();
        int const   opened = check(shm_open(name.c_str(), O_RDWR, 0), "shm_open");
        struct stat status
        {
        };
        check(fstat(opened, &status), "fstat");
        auto* const at = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0));
        if (at == MAP_FAILED)
            throw std::runtime_error("mmap");
        char const seen = *at;
        used(seen);
        auto const time = microseconds_since(start);
        munmap(at, size);
        close(opened);
        return time;
    };
    auto taken = collect(budget, open_once);
    shm_unlink(name.c_str());
    close(made);
    return taken;
}

/// Whole KiB of memory that the file of a new segment has.
double kilobytes_touched(std::string const& name)
{
    segment const made(create_only, name, bench_options());
    for (auto const& file : os::list_names(""))
        if (file.ends_with(name))
            return static_cast<double>(os::status_of_name(file).value().allocated) / 1024;
    throw std::runtime_error("the segment's file was not found");
}

constexpr auto bare_name = "limit.shared_memory_open";

registered const here{
    {.name    = bare_name,
     .unit    = "us",
     .about   = "shm_open, fstat, mmap of 1 GiB, read of the first page",
     .prepare = [] { return probe(open_bare); }},
    {.name     = "segment.open",
     .unit     = "us",
     .about    = "open a segment that another process holds; should stay below 200",
     .baseline = bare_name,
     .prepare  = [] { return probe(open_segment); }},
    {.name     = "segment.create",
     .unit     = "us",
     .about    = "make a segment with the default settings",
     .baseline = bare_name,
     .prepare  = [] { return probe(create_segment); }},
    {.name    = "segment.leave_last",
     .unit    = "us",
     .about   = "leave a segment as the last one, which removes it",
     .prepare = [] { return probe(leave_last); }},
    {.name  = "segment.empty_touched",
     .unit  = "KiB",
     .about = "memory of a segment with the default settings and nothing in it; should stay below 512",
     .prepare =
         [] {
             return probe([](nanoseconds) {
                 return collect(nanoseconds(0), [] { return kilobytes_touched(segment_name("empty")); });
             });
         }},
};

} // namespace

} // namespace atrium::bench
