// Frames that one thread fills and another shows, in a fixed amount of memory.
#include <atrium/pool/local_pool.hpp>

#include <condition_variable>
#include <iostream>
#include <mutex>
#include <queue>
#include <thread>

struct frame
{
    explicit frame(int n) : number(n) {}

    int  number;
    char pixels[4096] = {};
};

class handover
{
public:
    void put(std::shared_ptr<frame> f)
    {
        std::lock_guard lock(mutex_);
        frames_.push(std::move(f));
        came_.notify_one();
    }
    std::shared_ptr<frame> take()
    {
        std::unique_lock lock(mutex_);
        came_.wait(lock, [&] { return !frames_.empty(); });
        auto first = std::move(frames_.front());
        frames_.pop();
        return first;
    }

private:
    std::mutex                         mutex_;
    std::condition_variable            came_;
    std::queue<std::shared_ptr<frame>> frames_;
};

int main()
{
    atrium::local_pool<frame> pool({.capacity = 16});
    handover                  filled;

    std::thread shows([&] {
        long sum = 0;
        while (auto f = filled.take()) // dropped here: the place goes back to the pool
            sum += f->number;
        std::cout << "the numbers' sum: " << sum << '\n';
    });
    for (int number = 1; number <= 1000;)
    {
        auto f = pool.make(number);
        if (f)
        {
            filled.put(*f);
            ++number;
        }
        else // all 16 are on their way
            std::this_thread::yield();
    }
    filled.put(nullptr);
    shows.join();
    std::cout << "in use: " << pool.outstanding() << " of " << pool.capacity() << '\n';

    auto kept = pool.make(7);
    pool      = atrium::local_pool<frame>({.capacity = 1}); // what is kept keeps its memory
    if (kept)
        std::cout << "kept: " << (*kept)->number << '\n';

    auto only = pool.make(8);
    auto none = pool.make(9);
    std::cout << "one more: " << (none ? "made" : none.error().message()) << '\n';
    return only ? 0 : 1;
}
