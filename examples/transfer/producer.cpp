// The producer: reads blocks of the file into the pool, and sends them to all consumers, until they have confirmed all.
#include "shared.hpp"

#include <algorithm>
#include <fstream>

namespace transfer {

namespace {

class producer
{
public:
    producer(std::string const& segment, std::string const& from)
        : segment_(atrium::open_only, segment),
          work_(atrium::open_only, segment_, "job"),
          blocks_(atrium::open_only, segment_, "blocks"),
          router_(atrium::open_only, segment_, "router"),
          file_(from, std::ios::binary)
    {
        file_.exceptions(std::ios::failbit | std::ios::badbit);
    }

    void run()
    {
        for (;;)
        {
            auto const seen = work_->news.look();
            if (work_->confirmed_by_all() == work_->blocks())
                return;
            go_back();
            if (!send_next())
                wait(seen);
        }
    }

private:
    // Where a consumer is new (to this producer, at least), it goes on with the first block that somebody has not
    // confirmed: the new one will get all from there on. Who has got further ignores what it has.
    void go_back()
    {
        // Acquire, pairs with the release in consume(): its pipe is there.
        if (auto const arrivals = work_->arrivals.load(std::memory_order_acquire); arrivals != known_arrivals_)
        {
            known_arrivals_ = arrivals;
            next_           = work_->confirmed_by_all();
        }
    }

    // False where there is something to wait for: the limit, a place in the pool, a consumer.
    bool send_next()
    {
        if (next_ >= work_->limit.load(std::memory_order_relaxed))
            return false;
        std::uint64_t const begin = next_ * work_->block_size;
        file_.seekg(static_cast<std::streamoff>(begin));
        auto fresh = blocks_.make(next_, std::min(work_->block_size, work_->file_size - begin), file_);
        if (!fresh && fresh.error() == atrium::errc::exhausted)
            return false;
        fresh.value()->sent = std::chrono::steady_clock::now();

        // Waits where a pipe is full. If the consumer behind it is dead, the pipe is closed, and others have the block.
        auto const sent = router_.send(std::move(*fresh), patience);
        if (!sent && sent.error() == atrium::errc::no_receivers)
            return false;
        for (auto const& refusal : sent.value().refusals())
        {
            if (refusal.why != atrium::errc::closed)
                atrium::throw_error(refusal.why, "the producer, sending a block");
        }
        ++next_;
        return true;
    }

    void wait(atrium::doorbell::ticket seen)
    {
        if (auto const rung = work_->news.wait(seen, patience); !rung)
            atrium::throw_error(rung.error(), "the producer, waiting for consumers");
    }

    atrium::segment    segment_;
    atrium::named<job> work_;
    block_pool         blocks_;
    block_router       router_;
    std::ifstream      file_;
    std::uint64_t      known_arrivals_ = 0;
    std::uint64_t      next_           = 0;
};

} // namespace

void produce(std::string const& segment, std::string const& from)
{
    producer(segment, from).run();
}

} // namespace transfer
