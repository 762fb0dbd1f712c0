#include "support/crash_points.hpp"

#include "support/launch.hpp"

#include <atrium/base/detail/crash_point.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace atrium::test {

namespace {

using text = std::array<char, 56>;

void put(text& to, std::string_view from) noexcept
{
    auto const length = std::min(from.size(), to.size() - 1);
    std::copy_n(from.data(), length, to.data());
    to[length] = '\0';
}

} // namespace

// The orders are written by the test before the child starts, all else by the child, under `lock` where not atomic.
// A child that is killed inside leaves the lock held: the test only reads.
struct crash_page
{
    struct known_name
    {
        text                       name{};
        std::atomic<std::uint64_t> hits{0};
    };

    std::uint64_t crash_at = 0;
    std::uint64_t stop_at  = 0;
    std::uint64_t hit      = 1;
    text          crash_at_name{};
    text          stop_at_name{};

    std::atomic<std::uint64_t>   met{0};
    std::atomic<std::uint64_t>   last{0}; // place of the last name, plus 1
    std::atomic<std::uint64_t>   count{0};
    std::atomic_flag             lock;
    std::array<known_name, 1022> names{};
};

namespace {

std::atomic<crash_page*> armed{nullptr};
std::atomic<pid_t>       armed_process{0};

// The place of `name` among the names met, which it is added to. A name too many shares the last place.
std::size_t place_of(crash_page& page, char const* name) noexcept
{
    while (page.lock.test_and_set(std::memory_order_acquire)) // pairs with the release below
    {}
    std::size_t const count = page.count.load(std::memory_order_relaxed);
    std::size_t       place = 0;
    while (place < count && std::strncmp(page.names[place].name.data(), name, text().size() - 1) != 0)
        ++place;
    place = std::min(place, page.names.size() - 1);
    if (place >= count)
    {
        put(page.names[place].name, name);
        // Release, pairs with the acquire in crash_trace::names: the name is whole before it is counted.
        page.count.store(place + 1, std::memory_order_release);
    }
    page.lock.clear(std::memory_order_release);
    return place;
}

bool is(text const& ordered, char const* name) noexcept
{
    return ordered[0] != '\0' && std::strncmp(ordered.data(), name, ordered.size() - 1) == 0;
}

// To this thread: of a signal to the process another thread may be the first to hear, and this one would go on.
void signal_self(int signal) noexcept
{
    ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), signal);
}

void meet(char const* name) noexcept
{
    auto* const page = armed.load(std::memory_order_relaxed); // set before the threads that meet points
    if (page == nullptr || armed_process.load(std::memory_order_relaxed) != ::getpid())
        return;
    auto const place = place_of(*page, name);
    auto const hit   = page->names[place].hits.fetch_add(1, std::memory_order_relaxed) + 1;
    page->last.store(place + 1, std::memory_order_relaxed);
    // Release, pairs with the acquire in points_met: who sees the number sees its name.
    auto const number = page->met.fetch_add(1, std::memory_order_release) + 1;
    if (number == page->crash_at || (hit == page->hit && is(page->crash_at_name, name)))
        signal_self(SIGKILL);
    if (number == page->stop_at || (hit == page->hit && is(page->stop_at_name, name)))
        signal_self(SIGSTOP);
}

crash_page* map(int file)
{
    void* const at = ::mmap(nullptr, sizeof(crash_page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED)
        throw_errno("crash points: mmap");
    return static_cast<crash_page*>(at);
}

// The page that the test gave, or one of our own where there is none.
crash_page& own_page()
{
    static crash_page        alone;
    static crash_page* const page = launch::by_test ? map(launch::trace) : &alone;
    return *page;
}

std::string last_name(crash_page const& page)
{
    auto const last = page.last.load(std::memory_order_relaxed);
    return last == 0 ? std::string() : std::string(page.names[last - 1].name.data());
}

} // namespace

crash_trace::crash_trace(crash_orders const& orders) : file_(::memfd_create("crash points", MFD_CLOEXEC))
{
    checked(file_.get(), "crash points: memfd_create");
    checked(::ftruncate(file_.get(), sizeof(crash_page)), "crash points: ftruncate");
    page_           = new (map(file_.get())) crash_page;
    page_->crash_at = orders.crash_at;
    page_->stop_at  = orders.stop_at;
    page_->hit      = orders.hit;
    put(page_->crash_at_name, orders.crash_at_name);
    put(page_->stop_at_name, orders.stop_at_name);
}

crash_trace::~crash_trace()
{
    ::munmap(page_, sizeof(crash_page));
}

std::uint64_t crash_trace::points_met() const noexcept
{
    return page_->met.load(std::memory_order_acquire); // pairs with the release in meet
}

std::string crash_trace::last_point() const
{
    return points_met() == 0 ? std::string() : last_name(*page_);
}

std::map<std::string, std::uint64_t> crash_trace::names() const
{
    std::map<std::string, std::uint64_t> found;
    auto const count = page_->count.load(std::memory_order_acquire); // pairs with the release in place_of
    for (std::size_t i = 0; i < count; ++i)
        found[page_->names[i].name.data()] += page_->names[i].hits.load(std::memory_order_relaxed);
    return found;
}

void arm()
{
    auto& page = own_page();
    page.met.store(0, std::memory_order_relaxed);
    page.last.store(0, std::memory_order_relaxed);
    for (auto& name : page.names)
        name.hits.store(0, std::memory_order_relaxed);
    armed_process.store(::getpid(), std::memory_order_relaxed);
    armed.store(&page, std::memory_order_relaxed);
    atrium::detail::crash_point_hook.store(&meet, std::memory_order_relaxed);
}

void disarm() noexcept
{
    armed.store(nullptr, std::memory_order_relaxed);
}

std::uint64_t points_met() noexcept
{
    return own_page().met.load(std::memory_order_relaxed);
}

std::string last_point()
{
    return last_name(own_page());
}

} // namespace atrium::test
