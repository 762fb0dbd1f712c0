/// \file
/// iceoryx: publisher and subscriber, which hand over chunks of shared memory without copying them.
#include "iceoryx_daemon.hpp"
#include "peer.hpp"

#include <iceoryx_posh/iceoryx_posh_types.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <thread>

namespace atrium::bench::peers {

namespace {

iox::RuntimeName_t text(std::string const& from)
{
    return {iox::cxx::TruncateToCapacity, from.c_str()};
}

template <std::size_t Bytes> constexpr std::size_t places = Bytes < 4096 ? 256 : 8;
template <std::size_t Bytes> constexpr std::size_t words  = Bytes / sizeof(std::uint64_t);

template <std::size_t Bytes> class publisher
{
public:
    explicit publisher(iox::capro::ServiceDescription const& service)
        : is_(service, {.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER})
    {
        while (!is_.hasSubscribers())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    template <class Fill> void send(Fill const& fill)
    {
        auto chunk = is_.loan(Bytes);
        while (chunk.has_error()) // all are on their way
            chunk = is_.loan(Bytes);
        fill(std::span<std::uint64_t, words<Bytes>>(static_cast<std::uint64_t*>(chunk.value()), words<Bytes>));
        is_.publish(chunk.value());
    }

private:
    iox::popo::UntypedPublisher is_;
};

template <std::size_t Bytes> class subscriber
{
public:
    subscriber(iox::capro::ServiceDescription const& service, waiting how)
        : is_(service, {.queueCapacity = places<Bytes>, .queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER})
    {
        if (how == waiting::polling)
            return;
        arrivals_.emplace();
        if (arrivals_->attachState(is_, iox::popo::SubscriberState::HAS_DATA).has_error())
            throw std::runtime_error("the wait set takes no subscriber");
    }

    template <class Read> void receive(Read const& read)
    {
        auto chunk = is_.take();
        while (chunk.has_error())
        {
            if (arrivals_)
                arrivals_->wait();
            chunk = is_.take();
        }
        read(std::span<std::uint64_t const, words<Bytes>>(static_cast<std::uint64_t const*>(chunk.value()),
                                                          words<Bytes>));
        is_.release(chunk.value());
    }

private:
    iox::popo::UntypedSubscriber         is_;
    std::optional<iox::popo::WaitSet<1>> arrivals_; // ends before what is attached to it
};

struct iceoryx
{
    static constexpr bool polls = true;

    struct membership
    {
        membership(task const&, char const* who)
        {
            iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kError,
                                                                     iox::log::LogLevelOutput::kHideLogLevel);
            iox::runtime::PoshRuntime::initRuntime(text(own_name(who)));
        }

        /// Leaves the daemon, which only static destructors do.
        [[noreturn]] void leave() const { std::exit(0); }
    };

    template <std::size_t Bytes> class channel
    {
    public:
        channel(std::string const& name, task const& what)
            : service_("atrium_bench", "peer", text(name)), wait_(what.wait)
        {}

        subscriber<Bytes> receiver() const { return subscriber<Bytes>(service_, wait_); }
        publisher<Bytes>  sender() const { return publisher<Bytes>(service_); }

    private:
        iox::capro::ServiceDescription service_;
        waiting                        wait_;
    };
};

} // namespace

} // namespace atrium::bench::peers

int main(int argc, char** argv)
{
    using namespace atrium::bench::peers;
    return beside_iceoryx_daemon([&] { return run(argc, argv, all_of<iceoryx>()); });
}
