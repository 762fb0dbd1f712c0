/// \file
/// The loopback TCP that a program would use if it had no shared memory.
#include "figure.hpp"
#include "process.hpp"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace atrium::bench {

namespace {

/// A socket, closed with the object.
class socket_owner
{
public:
    explicit socket_owner(int fd, char const* what) : fd_(check(fd, what)) {}
    socket_owner(socket_owner&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    socket_owner& operator=(socket_owner&&) = delete;
    ~socket_owner()
    {
        if (fd_ >= 0)
            close(fd_);
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

    void write_all(char const* data, std::size_t bytes) const
    {
        for (std::size_t done = 0; done != bytes;)
            done += static_cast<std::size_t>(check(send(fd_, data + done, bytes - done, MSG_NOSIGNAL), "send"));
    }

    /// False if the peer closed before the first byte.
    [[nodiscard]] bool read_all(char* data, std::size_t bytes) const
    {
        for (std::size_t done = 0; done != bytes;)
        {
            auto const got = static_cast<std::size_t>(check(recv(fd_, data + done, bytes - done, 0), "recv"));
            if (got == 0 && done == 0)
                return false;
            if (got == 0)
                throw std::runtime_error("the peer closed in the middle of a message");
            done += got;
        }
        return true;
    }

    void end_sending() const { check(shutdown(fd_, SHUT_WR), "shutdown"); }

private:
    int fd_;
};

void set_no_delay(socket_owner const& s)
{
    int const on = 1;
    check(setsockopt(s.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

/// Two ends of one loopback connection.
std::pair<socket_owner, socket_owner> connected_pair()
{
    sockaddr_in address{};
    address.sin_family         = AF_INET;
    address.sin_addr.s_addr    = htonl(INADDR_LOOPBACK);
    socklen_t          size    = sizeof address;
    auto* const        generic = reinterpret_cast<sockaddr*>(&address);
    socket_owner const listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    check(bind(listener.fd(), generic, size), "bind");
    check(listen(listener.fd(), 1), "listen");
    check(getsockname(listener.fd(), generic, &size), "getsockname");
    socket_owner here(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    check(connect(here.fd(), generic, size), "connect");
    socket_owner there(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC), "accept");
    set_no_delay(here);
    set_no_delay(there);
    return {std::move(here), std::move(there)};
}

/// The peer sends every message back.
probe round_trip(int core)
{
    return [core](nanoseconds budget) {
        auto const ends           = connected_pair();
        auto const& [here, there] = ends;
        char  message[64]         = {};
        child peer(core, [&ends, &message] {
            // Its copy of the asker's end would keep the connection open past the asker.
            close(ends.first.fd());
            while (ends.second.read_all(message, sizeof message))
                ends.second.write_all(message, sizeof message);
        });
        auto taken = time_batches(budget, [&here = here, &message](std::uint64_t n) {
            for (; n != 0; --n)
            {
                here.write_all(message, sizeof message);
                if (!here.read_all(message, sizeof message))
                    throw std::runtime_error("the peer has closed");
            }
        });
        here.end_sending();
        peer.wait();
        return scaled(std::move(taken), 1e-3);
    };
}

/// The peer reads all; at the end of a batch it says that it has.
probe stream(std::size_t bytes)
{
    return [bytes](nanoseconds budget) {
        auto const        ends = connected_pair();
        auto const&       here = ends.first;
        std::vector<char> message(bytes, 0);
        child             peer(cores().second, [&ends, &message] {
            close(ends.first.fd());
            while (ends.second.read_all(message.data(), message.size()))
                if (message[0] != 0)
                    ends.second.write_all(message.data(), 1);
        });
        auto const work = [&](std::uint64_t n) {
            for (; n != 0; --n)
            {
                message[0] = n == 1 ? 1 : 0;
                here.write_all(message.data(), bytes);
            }
            if (!here.read_all(message.data(), 1))
                throw std::runtime_error("the peer has closed");
        };
        work((64u << 20) / bytes); // until the connection's windows are wide
        auto taken = time_batches(budget, work, std::chrono::milliseconds(5));
        here.end_sending();
        peer.wait();
        return as_rate(std::move(taken), static_cast<double>(bytes));
    };
}

registered const here{
    {.name     = "limit.tcp_round_trip_64B_one_core",
     .unit     = "us",
     .about    = "64 B over loopback TCP and back, blocking, both processes on one core",
     .baseline = "limit.futex_round_trip_one_core",
     .prepare  = [] { return round_trip(cores().first); }},
    {.name     = "limit.tcp_round_trip_64B_two_cores",
     .unit     = "us",
     .about    = "64 B over loopback TCP and back, blocking, two cores",
     .baseline = "limit.futex_round_trip_two_cores",
     .cores    = 2,
     .prepare  = [] { return round_trip(cores().second); }},
    {.name     = "limit.tcp_stream_64KiB",
     .unit     = "GB/s",
     .about    = "writes of 64 KiB over loopback TCP, two cores",
     .baseline = "limit.memcpy_64KiB",
     .good     = better::higher,
     .cores    = 2,
     .prepare  = [] { return stream(65536); }},
};

} // namespace

} // namespace atrium::bench
