/// \file
/// The untyped half of growing pools.
#pragma once

#include <atrium/base/atomic.hpp>
#include <atrium/base/result.hpp>
#include <atrium/memory/detail/object_pool.hpp>
#include <atrium/memory/named.hpp>
#include <atrium/pool/pool_options.hpp>
#include <atrium/segment/attachment.hpp>
#include <atrium/segment/segment.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace atrium::detail {

/// What all processes know of a growing pool; the generations are pools of their own. All but `generation` is the
/// maker's, and stays.
struct growing_state
{
    static constexpr bool is_shareable = true;

    growing_state(growing_pool_options const& chosen, std::uint64_t hash) noexcept
        : capacity(chosen.capacity),
          element(hash),
          factor(chosen.factor),
          generations(chosen.generations),
          padded(chosen.padded ? 1 : 0)
    {}

    std::uint64_t         capacity;    ///< of the first generation
    std::uint64_t         element;     ///< which type, by the hash of its fingerprint
    std::uint32_t         factor;      ///< by which each is larger than the one before
    std::uint32_t         generations; ///< how many there can be
    std::uint32_t         padded;      ///< 1: elements begin cache lines, in every generation
    atomic<std::uint32_t> generation{0};
};

/// A process uses one generation at a time. Whoever claims an element from it says so in the lane's own word, and keeps
/// it open meanwhile; whoever lets the pool grow makes all threads pass a barrier, and reads these words.
class growing_core
{
public:
    growing_core(segment const& in, named_mode mode, std::string_view name, growing_pool_options const& options,
                 object_type const& element);

    /// As `claim_element`, from the newest generation.
    [[nodiscard]] result<local_reference*> claim();

    [[nodiscard]] std::uint32_t   generation() const noexcept;
    [[nodiscard]] pool_statistics statistics() const;

private:
    class use;

    /// A generation that this process has opened.
    struct opened
    {
        std::uint32_t                number;
        std::shared_ptr<object_pool> pool; ///< null once it is let go
    };

    /// What a lane says: 0, or 1 + the oldest generation that its thread may be using. Written by that thread.
    struct alignas(64) lane_word
    {
        std::atomic<std::uint64_t> oldest{0};
    };

    [[nodiscard]] std::shared_ptr<object_pool> open(std::uint32_t generation) const;
    [[nodiscard]] error_code                   grow(std::uint32_t exhausted);
    void                                       follow(std::uint32_t number, std::shared_ptr<object_pool> pool);
    void                                       let_go() noexcept;
    [[nodiscard]] std::shared_ptr<object_pool> take_unused() noexcept;

    std::shared_ptr<attachment> in_;
    std::string                 name_;
    std::chrono::milliseconds   patience_;
    object_type const*          element_; // static
    named<growing_state>        state_;
    std::vector<lane_word>      lanes_;
    mutable std::mutex          mutex_;   // over what follows; `current_` is read without it
    std::deque<opened>          opened_;  // by rising numbers; they stay where they are
    std::atomic<opened const*>  current_; // the last of them, whose pool is there
};

} // namespace atrium::detail
