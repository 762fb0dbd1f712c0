/// \file
/// ZeroMQ over `ipc://`: a pair of sockets, whose bytes a thread of each process moves through a Unix socket.
#include "peer.hpp"

#include <zmq.h>

#include <cstddef>
#include <stdexcept>

namespace atrium::bench::peers {

namespace {

int checked(int result, char const* what)
{
    if (result < 0)
        throw std::runtime_error(std::string(what) + ": " + zmq_strerror(zmq_errno()));
    return result;
}

/// Of this process, which keeps it to its end.
void* context()
{
    static void* const one = zmq_ctx_new(); // first used when there are two processes
    return one;
}

/// A message whose bytes the library does not copy again in this process.
template <std::size_t Bytes> class message
{
public:
    message() { zmq_msg_init(&is_); }
    explicit message(std::size_t bytes) { checked(zmq_msg_init_size(&is_, bytes), "zmq_msg_init_size"); }
    message(message const&)            = delete;
    message& operator=(message const&) = delete;
    ~message() { zmq_msg_close(&is_); }

    zmq_msg_t* get() { return &is_; }

    auto words()
    {
        constexpr std::size_t count = Bytes / sizeof(std::uint64_t);
        if (zmq_msg_size(&is_) != Bytes)
            throw std::runtime_error("a message of another size came");
        return std::span<std::uint64_t, count>(static_cast<std::uint64_t*>(zmq_msg_data(&is_)), count);
    }

private:
    zmq_msg_t is_;
};

template <std::size_t Bytes> class socket_end
{
public:
    socket_end(int (*open)(void*, char const*), std::string const& address) : is_(zmq_socket(context(), ZMQ_PAIR))
    {
        checked(is_ == nullptr ? -1 : 0, "zmq_socket");
        int const most = Bytes < 4096 ? 1024 : 8;
        for (int const limit : {ZMQ_SNDHWM, ZMQ_RCVHWM})
            checked(zmq_setsockopt(is_, limit, &most, sizeof most), "zmq_setsockopt");
        checked(open(is_, address.c_str()), address.c_str());
    }
    socket_end(socket_end const&)            = delete;
    socket_end& operator=(socket_end const&) = delete;
    ~socket_end() { zmq_close(is_); }

    template <class Fill> void send(Fill const& fill)
    {
        message<Bytes> m(Bytes);
        fill(m.words());
        checked(zmq_msg_send(m.get(), is_, 0), "zmq_msg_send");
    }

    template <class Read> void receive(Read const& read)
    {
        message<Bytes> m;
        checked(zmq_msg_recv(m.get(), is_, 0), "zmq_msg_recv");
        read(std::span<std::uint64_t const, Bytes / sizeof(std::uint64_t)>(m.words()));
    }

private:
    void* is_;
};

struct zeromq
{
    /// Who asks again and again keeps the library's thread from the core on which it is to move the bytes.
    static constexpr bool polls = false;

    struct membership
    {
        /// The library's thread may run on both cores, as the system would let it.
        membership(task const& what, char const*)
        {
            for (int const core : {what.first, what.second})
                checked(zmq_ctx_set(context(), ZMQ_THREAD_AFFINITY_CPU_ADD, core), "zmq_ctx_set");
        }
        void leave() const {}
    };

    template <std::size_t Bytes> class channel
    {
    public:
        /// A name that begins with '@' lies in no file system.
        channel(std::string const& name, task const&) : address_("ipc://@" + name) {}

        socket_end<Bytes> receiver() const { return socket_end<Bytes>(zmq_bind, address_); }
        socket_end<Bytes> sender() const { return socket_end<Bytes>(zmq_connect, address_); }

    private:
        std::string address_;
    };
};

} // namespace

} // namespace atrium::bench::peers

int main(int argc, char** argv)
{
    using namespace atrium::bench::peers;
    return run(argc, argv, all_of<zeromq>());
}
