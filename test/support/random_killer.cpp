#include "support/random_killer.hpp"

#include "support/transcript.hpp"

#include <algorithm>
#include <csignal>
#include <random>
#include <sstream>
#include <thread>

namespace atrium::test {

namespace {

using namespace std::chrono_literals;

// The children, in the order of their actors.
class troupe
{
public:
    explicit troupe(std::vector<actor> const& actors) : actors_(actors)
    {
        for (auto const& who : actors)
            children_.push_back(start(who));
    }

    void kill(std::size_t which)
    {
        auto const how = children_[which].kill();
        if (how == killed(SIGKILL))
            ++report.kills;
        else
            unexpected(which, how); // it was faster than we
    }

    void stop(std::size_t which) { children_[which].stop(); }
    void resume(std::size_t which) { children_[which].resume(); }

    void restart(std::size_t which) { children_[which] = start(actors_[which]); }

    // Finds those that have ended by themselves, and reads what the others say.
    void look_after()
    {
        for (std::size_t i = 0; i < children_.size(); ++i)
            if (auto const how = children_[i].wait(0ms); how.ended())
            {
                unexpected(i, how);
                restart(i);
            }
    }

    void end(std::chrono::seconds patience)
    {
        for (auto& child : children_)
            child.close_input();
        deadline const until(patience);
        for (std::size_t i = 0; i < children_.size(); ++i)
        {
            auto const how = children_[i].wait(until);
            if (how == exited(0))
                ++report.ended_well;
            else
                unexpected(i, how);
            if (!how.ended())
                children_[i].kill();
        }
    }

    random_killer_report report;

private:
    static child start(actor const& who) { return child(who.role, who.given, who.options); }

    void unexpected(std::size_t which, exit_status how)
    {
        ++report.unexpected;
        std::ostringstream text;
        text << "nobody killed " << actors_[which].role << ", but after " << report.kills << " kills it was: " << how;
        fail(text.str());
    }

    std::vector<actor> const& actors_;
    std::vector<child>        children_;
};

} // namespace

random_killer_report kill_at_random(std::vector<actor> const& actors, random_killer_options const& options,
                                    std::function<void(std::uint64_t kills)> const& check)
{
    std::vector<std::size_t> mortal;
    for (std::size_t i = 0; i < actors.size(); ++i)
        if (!actors[i].immortal)
            mortal.push_back(i);
    require(!mortal.empty() || options.kills == 0, "there is an actor to kill");

    std::mt19937_64                             random(seed() + options.turn);
    std::uniform_int_distribution<std::int64_t> pause(options.shortest_pause.count(), options.longest_pause.count());
    std::uniform_int_distribution<std::size_t>  choose(0, std::max<std::size_t>(mortal.size(), 1) - 1);
    auto const                                  failures = failures_so_far();
    deadline const                              earliest(options.at_least);
    troupe                                      all(actors);
    while ((all.report.kills < options.kills || !earliest.passed()) && failures_so_far() == failures)
    {
        std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
        all.look_after();
        if (mortal.empty())
            continue;
        auto const which = mortal[choose(random)];
        auto       still = which;
        if (options.stop_each != 0 && all.report.kills % options.stop_each == 0)
            still = mortal[choose(random)];
        if (still != which)
        {
            all.stop(still);
            std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
        }
        all.kill(which);
        if (still != which)
        {
            std::this_thread::sleep_for(std::chrono::microseconds(pause(random)));
            all.resume(still);
        }
        if (check)
            check(all.report.kills);
        all.restart(which);
    }
    all.end(options.patience);
    return all.report;
}

} // namespace atrium::test
