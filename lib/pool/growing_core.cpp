#include <atrium/pool/detail/growing_core.hpp>

#include "os/barrier.hpp"

#include <atrium/base/detail/crash_point.hpp>
#include <atrium/base/name.hpp>
#include <atrium/pool/detail/pool_handle.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace atrium::detail {

namespace {

// Ends the name of a generation. There is none with three digits: it would have 2^100 places.
constexpr std::string_view longest_suffix = ".g99";

named<growing_state> open_or_make_state(segment const& in, named_mode mode, std::string_view name,
                                        growing_pool_options const& options, object_type const& element)
{
    named_options entry;
    entry.keep     = options.keep;
    entry.patience = options.patience;
    switch (mode)
    {
    case named_mode::create_only:
        return {create_only, in, name, entry, options, element.print.hash};
    case named_mode::open_only:
        return {open_only, in, name, entry};
    default:
        return {open_or_create, in, name, entry, options, element.print.hash};
    }
}

named<growing_state> open_state(segment const& in, named_mode mode, std::string_view name,
                                growing_pool_options const& options, object_type const& element)
{
    std::string const what = "growing pool '" + std::string(name) + "'";
    if (auto const checked = check_name(std::string(name).append(longest_suffix)); !checked)
        throw_error(checked.error(), what);
    if (mode != named_mode::open_only && (options.capacity == 0 || options.generations == 0 || options.factor < 2))
        throw_error(errc::invalid_argument, what);
    auto state = open_or_make_state(in, mode, name, options, element);
    if (state->element != element.print.hash)
        throw_error(errc::type_mismatch, what + " is not one of " + element.print.name);
    return state;
}

// Saturates: what is too large is refused when it is made.
std::uint64_t capacity_in(growing_state const& state, std::uint32_t generation) noexcept
{
    std::uint64_t capacity = state.capacity;
    for (; generation != 0; --generation)
    {
        if (capacity > std::numeric_limits<std::uint64_t>::max() / state.factor)
            return std::numeric_limits<std::uint64_t>::max();
        capacity *= state.factor;
    }
    return capacity;
}

} // namespace

/// Keeps the newest generation that this process has open from being let go.
///
/// Without a locked instruction: the thread stores in its lane's word how old a generation it may be using, then looks
/// which one is in use; who lets the pool grow changes that, then makes every thread pass a barrier, and reads the words
/// (K1). Either the words say that the old generation is used, or the thread finds the new one. The same on leaving:
/// the word is cleared, then looked whether another generation is in use. Either who lets the pool grow reads that
/// nobody uses the old one, or the thread finds that there is a new one, and lets the old one go.
class growing_core::use
{
public:
    explicit use(growing_core& of) : core_(of)
    {
        if (auto const lane = of.in_->try_lane())
            enter(of.lanes_[*lane].oldest);
        else
            hold();
    }
    use(use const&)            = delete;
    use& operator=(use const&) = delete;
    ~use()
    {
        if (word_ != nullptr)
            leave();
    }

    [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
    [[nodiscard]] object_pool&  pool() const noexcept { return *pool_; }

private:
    void enter(std::atomic<std::uint64_t>& word) noexcept
    {
        // Relaxed: this thread's own word. Not 0 in a destructor that runs in a claim: that keeps what is newer, too.
        if (word.load(std::memory_order_relaxed) == 0)
        {
            word_  = &word;
            first_ = core_.current_.load(std::memory_order_acquire); // G2, as below
            // Release K2, as in leave(): what is read here says as well that older ones are used no more.
            word.store(std::uint64_t{first_->number} + 1, std::memory_order_release);
            os::light_barrier(); // K1
        }
        // Acquire G2, pairs with the release G2 in follow(): the generation is whole.
        opened const* const now = core_.current_.load(std::memory_order_acquire);
        number_                 = now->number;
        pool_                   = now->pool.get();
    }

    void leave() noexcept
    {
        // Release K2, pairs with the acquire K2 in take_unused(): what was done with the pool comes before its end.
        word_->store(0, std::memory_order_release);
        os::light_barrier(); // K1
        // Relaxed: only compared.
        if (core_.current_.load(std::memory_order_relaxed) != first_)
            core_.let_go();
    }

    // For a thread without a lane.
    void hold()
    {
        std::lock_guard const held(core_.mutex_);
        opened const&         now = core_.opened_.back();
        number_                   = now.number;
        held_                     = now.pool;
        pool_                     = held_.get();
    }

    growing_core&                core_;
    std::atomic<std::uint64_t>*  word_   = nullptr; // to be cleared
    opened const*                first_  = nullptr; // what the word says
    std::uint32_t                number_ = 0;
    object_pool*                 pool_   = nullptr;
    std::shared_ptr<object_pool> held_;
};

growing_core::growing_core(segment const& in, named_mode mode, std::string_view name,
                           growing_pool_options const& options, object_type const& element)
    : in_(in.attached()),
      name_(name),
      patience_(options.patience),
      element_(&element),
      state_(open_state(in, mode, name, options, element)),
      lanes_(in_->lane_count())
{
    // Acquire G1, pairs with the release G1 in grow(): there is, or was, such a generation.
    std::uint32_t const newest = state_->generation.load(std::memory_order_acquire);
    opened_.push_back({newest, open(newest)});
    current_.store(&opened_.back(), std::memory_order_relaxed); // nobody else has this yet
}

// Who comes too late finds a generation gone, and makes it again: it is empty then as well.
std::shared_ptr<object_pool> growing_core::open(std::uint32_t generation) const
{
    pool_options options;
    options.capacity = capacity_in(*state_, generation);
    options.padded   = state_->padded != 0;
    options.keep     = false;
    options.patience = patience_;
    return open_pool_of(in_, named_mode::open_or_create, name_ + ".g" + std::to_string(generation), options, *element_,
                        1);
}

result<local_reference*> growing_core::claim()
{
    if (error_code const error = in_->usable())
        return error; // a forked child: who held the mutex may not be there
    for (;;)
    {
        std::uint32_t exhausted = 0;
        {
            // No mutex is held: destructors of what others have left may run, and use this pool.
            use const now(*this);
            auto      claimed = claim_element(now.pool());
            if (claimed || claimed.error() != errc::exhausted)
                return claimed;
            exhausted = now.number();
        }
        if (error_code const error = grow(exhausted))
            return error;
    }
}

error_code growing_core::grow(std::uint32_t exhausted)
{
    if (generation() != exhausted)
        return {}; // another thread has
    auto&         newest = state_->generation;
    std::uint32_t known  = newest.load(std::memory_order_acquire); // G1
    if (known <= exhausted)
    {
        if (exhausted + 1 >= state_->generations)
            return errc::exhausted;
        known = exhausted + 1;
    }
    try
    {
        // With no mutex held: to look for a name may run destructors as well. Threads that are here together open the
        // same generation.
        auto next = open(known);
        ATRIUM_CRASH_POINT("pool.grow.made");
        // As a maximum: others may have grown further meanwhile. Release G1.
        for (std::uint32_t seen = newest.load(std::memory_order_relaxed);
             seen < known &&
             !newest.compare_exchange_weak(seen, known, std::memory_order_release, std::memory_order_relaxed);)
        {}
        ATRIUM_CRASH_POINT("pool.grow.announced");
        follow(known, std::move(next));
        return {};
    }
    catch (system_error const& error)
    {
        if (generation() != exhausted)
            return {}; // another thread could
        return error.code();
    }
}

void growing_core::follow(std::uint32_t number, std::shared_ptr<object_pool> pool)
{
    {
        std::lock_guard const held(mutex_);
        if (opened_.back().number >= number)
            return; // another thread was faster; the pool goes without the mutex, as in let_go()
        opened_.push_back({number, std::move(pool)});
        // Release G2, pairs with the acquires G2 in use and generation(): the generation is whole.
        current_.store(&opened_.back(), std::memory_order_release);
        os::process_barrier(); // K1
    }
    let_go();
}

void growing_core::let_go() noexcept
{
    if (in_->is_forked())
        return; // as in claim()
    for (;;)
    {
        std::shared_ptr<object_pool> unused; // goes without the mutex: its end may run destructors
        std::lock_guard const        held(mutex_);
        unused = take_unused();
        if (!unused)
            return;
    }
}

// The mutex is held, and whoever changed `current_` has passed the barrier: who still uses an older generation is seen.
// A thread that was between its two looks may say later that it uses one, but does not; it looks again when it leaves.
std::shared_ptr<object_pool> growing_core::take_unused() noexcept
{
    std::uint64_t oldest = opened_.back().number;
    for (lane_word const& lane : lanes_)
    {
        std::uint64_t const said = lane.oldest.load(std::memory_order_acquire); // K2
        oldest                   = said != 0 ? std::min(oldest, said - 1) : oldest;
    }
    for (opened& one : opened_)
    {
        if (one.number < oldest && one.pool)
            return std::exchange(one.pool, nullptr);
    }
    return nullptr;
}

std::uint32_t growing_core::generation() const noexcept
{
    return current_.load(std::memory_order_acquire)->number; // G2
}

pool_statistics growing_core::statistics() const
{
    if (in_->is_forked()) // as in claim(); nobody changes it here
        return statistics_of(*current_.load(std::memory_order_relaxed)->pool);
    std::shared_ptr<object_pool> pool; // goes without the mutex
    {
        std::lock_guard const held(mutex_);
        pool = opened_.back().pool;
    }
    return statistics_of(*pool);
}

} // namespace atrium::detail
