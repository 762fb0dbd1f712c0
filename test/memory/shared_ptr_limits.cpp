/// When lanes, cells or counts run out: who is refused is told so and has changed nothing, who gives back never is.
#include <atrium/memory/shared_ptr.hpp>

#include "memory/counted_fixture.hpp"

#include <barrier>
#include <thread>

using namespace atrium;
using namespace atrium::test;

namespace {

// Fills the heap, down to the smallest block, and gives it back.
class filled_heap
{
public:
    explicit filled_heap(segment const& in) : heap_(in)
    {
        for (std::size_t size = 1u << 20; size >= 16; size /= 2)
        {
            for (auto block = heap_.allocate(size, 10s); block; block = heap_.allocate(size, 10s))
                blocks_.push_back(*block);
        }
    }
    filled_heap(filled_heap const&)            = delete;
    filled_heap& operator=(filled_heap const&) = delete;
    ~filled_heap()
    {
        for (void* const block : blocks_)
            BOOST_TEST(heap_.deallocate(block).has_value());
    }

private:
    heap               heap_;
    std::vector<void*> blocks_;
};

segment_options few_lanes()
{
    segment_options options = roomy_segment();
    options.lanes           = 2;
    return options;
}

struct one_segment : counted_segment
{
    explicit one_segment(segment_options const& options = small_segment()) : counted_segment("limits", options) {}

    /// The only object with so many references.
    detail::control_word& word_with(std::uint64_t references)
    {
        detail::control_word* word = nullptr;
        detail::for_each_table(memory_in(s), [&](detail::object_table const& table, detail::object_id) {
            for (std::uint64_t index = 0; index < table.capacity(); ++index)
            {
                if (detail::look_at(table.word(index)).value.count() == references)
                    word = &table.word(index);
            }
        });
        require(word != nullptr);
        return *word;
    }
};

struct segment_of_few_lanes : one_segment
{
    segment_of_few_lanes() : one_segment(few_lanes()) {}
};

} // namespace

BOOST_AUTO_TEST_SUITE(memory_shared_ptr_limits)

BOOST_FIXTURE_TEST_CASE(nobody_gets_a_reference_that_cannot_be_counted, one_segment)
{
    {
        auto const           handle = make_shared<node>(s).value();
        segment_ptr<node>    p(handle);
        weak_ptr<node> const weak(handle);

        detail::control_word&      word = word_with(2);
        detail::object_value const truth(word.value.load());
        word.value.store(truth.with(truth.state(), detail::object_value::largest_count).word());
        BOOST_TEST(handle.use_count() == detail::object_value::largest_count);
        BOOST_TEST(weak.lock().error() == errc::too_many_references);
        BOOST_TEST(p.share().error() == errc::too_many_references);
        BOOST_TEST(code_of([&] { segment_ptr<node> const more(handle); }) == errc::too_many_references);
        BOOST_TEST(code_of([&] { segment_ptr<node> const copy(p); }) == errc::too_many_references);
        segment_ptr<node> assigned;
        BOOST_TEST(code_of([&] { assigned = p; }) == errc::too_many_references);
        BOOST_TEST((assigned == nullptr));
        auto const copy = handle; // needs none
        BOOST_TEST((copy == handle));

        p = nullptr;
        BOOST_TEST((weak.lock().value() == handle)); // there is room for one again
        word.value.store(truth.with(truth.state(), 1).word());
        census_is(s, 1, 1);
    }
    is_as_before();
}

BOOST_FIXTURE_TEST_CASE(more_threads_than_lanes_make_share_and_drop, segment_of_few_lanes)
{
    {
        named<root> const        found(create_only, s, "root", make_shared<node>(s, 3u).value());
        std::barrier             start(8);
        std::vector<std::thread> threads;
        for (int t = 0; t < 8; ++t)
            threads.emplace_back([&] {
                start.arrive_and_wait();
                for (unsigned n = 0; n < 300; ++n)
                {
                    auto const made = make_shared<node>(s, n).value();
                    made->next      = found->object;
                    auto const own  = made->next.share().value();
                    if (made->value != n || own->value != 3)
                        fail("not the object");
                }
                start.arrive_and_wait(); // nobody's lane is free before
            });
        for (std::thread& t : threads)
            t.join();
        census_is(s, 1, 1);
        BOOST_TEST(all->destruction_ended.load() == 8u * 300u);
    }
    is_as_before();
}

BOOST_FIXTURE_TEST_CASE(a_process_without_memory_for_more_references_is_told_so, one_segment)
{
    std::vector<shared_ptr<node>> handles;
    {
        named<root> const   found(create_only, s, "root", make_shared<node>(s).value());
        std::uint64_t const before = used_bytes(s);
        {
            filled_heap const full(s);
            auto              share = found->object.share();
            for (; share; share = found->object.share())
                handles.push_back(*share);
            BOOST_TEST(share.error() == errc::out_of_memory);
            BOOST_TEST(handles.size() >= 200u); // there were cells for so many
            census_is(s, 1, handles.size() + 1);
            BOOST_TEST(weak_ptr<node>(handles.front()).lock().error() == errc::out_of_memory);
            BOOST_TEST(make_shared<node>(s).error() == errc::out_of_memory);
            census_is(s, 1, handles.size() + 1);
            handles.pop_back();
            BOOST_TEST(found->object.share().has_value()); // what was given back is there again
        }
        BOOST_TEST(used_bytes(s) == before);
        BOOST_TEST(found->object.share().has_value());
        handles.clear();
    }
    is_as_before();
}

BOOST_FIXTURE_TEST_CASE(a_segment_without_memory_for_more_cells_refuses_what_needs_one, one_segment)
{
    using pointers = vector<segment_ptr<node>>;
    {
        named<pointers> const many(create_only, s, "pointers");
        many->reserve(100'000); // more than there are cells
        auto const          handle = make_shared<node>(s).value();
        std::uint64_t const before = used_bytes(s);
        {
            filled_heap const full(s);
            auto const        add = [&] { many->emplace_back(handle); };
            error_code        error;
            while (!error && many->size() < many->capacity())
                error = code_of(add);
            BOOST_TEST(error == errc::out_of_memory);
            BOOST_TEST(many->size() >= 200u);
            census_is(s, 1, many->size() + 1);
            BOOST_TEST(code_of([&] { handle->next = handle; }) == errc::out_of_memory);
            BOOST_TEST(code_of([&] { many->back() = handle; }) == errc::out_of_memory);
            BOOST_TEST((many->back().get() == handle.get())); // as it was
            census_is(s, 1, many->size() + 1);
            many->pop_back();
            many->pop_back();
            many->front() = handle; // the old one has its cell until the new one is there
            many->back()  = std::move(many->front());
            BOOST_TEST((many->front() == nullptr));
            census_is(s, 1, many->size());
        }
        BOOST_TEST(used_bytes(s) == before);
        many->clear();
        census_is(s, 1, 1);
    }
    is_as_before();
}

BOOST_AUTO_TEST_SUITE_END()
