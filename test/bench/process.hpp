/// \file
/// What the figures need of the system: cores to pin to, a second process, memory shared with it.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <sys/types.h>
#include <system_error>

namespace atrium::bench {

/// The two cores that the program uses: the measuring process runs on `first`, its peer on either.
struct placement
{
    int first  = -1;
    int second = -1; ///< A core that shares nothing with `first`, where there is one; -1 if only one may be used.
};

/// Chosen once, of the cores that the process was allowed at its start.
[[nodiscard]] placement const& cores();

/// Pins the calling thread.
void pin_to(int core);

/// `value`, unless it is negative: then errno is thrown with `what`.
template <class Int> Int check(Int value, char const* what)
{
    if (value < 0)
        throw std::system_error(errno, std::generic_category(), what);
    return value;
}

/// Ends the program with a message unless `feed` is called again within that time; a measurement that hangs ends so.
class watchdog
{
public:
    watchdog();
    watchdog(watchdog const&)            = delete;
    watchdog& operator=(watchdog const&) = delete;
    ~watchdog();
    static void feed(std::string const& figure, int seconds);
};

/// A forked process that runs `body` on `core`. It dies with its parent. An exception in it is its failure.
class child
{
public:
    child(int core, std::function<void()> const& body);
    child(child const&)            = delete;
    child& operator=(child const&) = delete;

    /// Kills and reaps it unless it has been waited for.
    ~child();

    /// Reaps it, and throws unless it ended by itself with success.
    void wait();

    /// Kills it, and returns at the moment its death can be seen; it is still to be reaped by `reap`.
    void kill_and_see_death();

    /// Reaps it however it ended.
    void reap() noexcept;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    pid_t pid_ = -1;
};

/// A line between a process and its child, made before the child: what one end says once, the other hears once.
class line
{
public:
    class end
    {
    public:
        void say() const;
        void hear() const; ///< Waits for it.

    private:
        friend class line;
        int fd_ = -1;
    };

    line();
    line(line const&)            = delete;
    line& operator=(line const&) = delete;
    ~line();

    [[nodiscard]] end const& parents() const noexcept { return ends_[0]; }
    [[nodiscard]] end const& childs() const noexcept { return ends_[1]; }

private:
    end ends_[2];
};

/// Memory that a child made later shares, zero at first, touched, and without a name.
class shared_pages
{
public:
    explicit shared_pages(std::size_t bytes);
    shared_pages(shared_pages const&)            = delete;
    shared_pages& operator=(shared_pages const&) = delete;
    ~shared_pages();

    [[nodiscard]] void* address() const noexcept { return address_; }

private:
    void*       address_;
    std::size_t bytes_;
};

/// Private bytes that begin with a page, so that copies between them and `shared_pages` never meet the processor's
/// confusion of addresses that are nearly a multiple of 4 KiB apart; touched.
class private_pages
{
public:
    explicit private_pages(std::size_t bytes);

    [[nodiscard]] char* address() const noexcept { return bytes_.get(); }

private:
    struct release
    {
        void operator()(char* bytes) const noexcept { std::free(bytes); }
    };
    std::unique_ptr<char, release> bytes_;
};

/// One `T` in memory that a child made later shares.
template <class T> class shared_object
{
public:
    shared_object() : pages_(sizeof(T)), object_(new (pages_.address()) T) {}
    shared_object(shared_object const&)            = delete;
    shared_object& operator=(shared_object const&) = delete;
    ~shared_object() { object_->~T(); }

    T& operator*() const noexcept { return *object_; }
    T* operator->() const noexcept { return object_; }

private:
    shared_pages pages_;
    T*           object_;
};

} // namespace atrium::bench
