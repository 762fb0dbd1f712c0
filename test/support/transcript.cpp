#include "support/transcript.hpp"

#include <boost/test/results_collector.hpp>
#include <boost/test/tree/observer.hpp>
#include <boost/test/unit_test.hpp>

#include <iostream>

namespace atrium::test {

namespace {

namespace unit_test = boost::unit_test;

class watcher : public unit_test::test_observer
{
public:
    void test_unit_start(unit_test::test_unit const& unit) override
    {
        if (unit.p_type == unit_test::TUT_CASE)
            transcripts().clear();
    }

    void test_unit_finish(unit_test::test_unit const& unit, unsigned long) override
    {
        if (unit.p_type != unit_test::TUT_CASE)
            return;
        if (!unit_test::results_collector.results(unit.p_id).passed())
            transcripts().print();
        transcripts().clear();
    }
};

} // namespace

void transcript_list::add(std::string entry)
{
    std::lock_guard const lock(mutex_);
    entries_.push_back(std::move(entry));
    if (entries_.size() > most)
        entries_.pop_front();
}

void transcript_list::clear()
{
    std::lock_guard const lock(mutex_);
    entries_.clear();
}

void transcript_list::print()
{
    std::lock_guard const lock(mutex_);
    for (auto const& entry : entries_)
        std::cerr << entry;
    std::cerr.flush();
}

transcript_list& transcripts()
{
    static transcript_list list;
    return list;
}

void watch_test_cases()
{
    static watcher cases;
    unit_test::framework::register_observer(cases);
}

unsigned long failures_so_far()
{
    auto const running = unit_test::framework::current_test_case_id();
    return running == unit_test::INV_TEST_UNIT_ID
               ? 0
               : unit_test::results_collector.results(running).p_assertions_failed.get();
}

std::string_view tail(std::string_view text, std::size_t most)
{
    return text.substr(text.size() > most ? text.size() - most : 0);
}

} // namespace atrium::test
