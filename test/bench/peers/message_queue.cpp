/// \file
/// Boost.Interprocess: `message_queue`, which copies in and out under one mutex.
#include "peer.hpp"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <cstddef>

namespace atrium::bench::peers {

namespace {

namespace ipc = boost::interprocess;

/// One end of a queue, with the bytes it copies from and to.
template <std::size_t Bytes> class queue_end
{
public:
    queue_end(ipc::message_queue& queue, waiting how) : queue_(queue), polling_(how == waiting::polling) {}

    template <class Fill> void send(Fill const& fill)
    {
        fill(words());
        if (!polling_)
            return queue_.send(buffer_.address(), Bytes, 0);
        while (!queue_.try_send(buffer_.address(), Bytes, 0))
            ;
    }

    template <class Read> void receive(Read const& read)
    {
        ipc::message_queue::size_type size     = 0;
        unsigned                      priority = 0;
        if (!polling_)
            queue_.receive(buffer_.address(), Bytes, size, priority);
        else
            while (!queue_.try_receive(buffer_.address(), Bytes, size, priority))
                ;
        read(std::span<std::uint64_t const, count>(words()));
    }

private:
    static constexpr std::size_t count = Bytes / sizeof(std::uint64_t);

    [[nodiscard]] auto words() const
    {
        return std::span<std::uint64_t, count>(reinterpret_cast<std::uint64_t*>(buffer_.address()), count);
    }

    ipc::message_queue& queue_;
    bool                polling_;
    private_pages       buffer_{Bytes};
};

struct message_queue
{
    static constexpr bool polls = true;

    using membership = no_membership;

    template <std::size_t Bytes> class channel
    {
    public:
        /// The second process inherits the mapping, so the name need not outlive the constructor.
        channel(std::string const& name, task const& what)
            : queue_(ipc::create_only, name.c_str(), Bytes < 4096 ? 1024 : 8, Bytes), wait_(what.wait)
        {
            ipc::message_queue::remove(name.c_str());
        }

        queue_end<Bytes> receiver() { return {queue_, wait_}; }
        queue_end<Bytes> sender() { return {queue_, wait_}; }

    private:
        ipc::message_queue queue_;
        waiting            wait_;
    };
};

} // namespace

} // namespace atrium::bench::peers

int main(int argc, char** argv)
{
    using namespace atrium::bench::peers;
    return run(argc, argv, all_of<message_queue>());
}
