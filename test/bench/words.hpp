/// \file
/// What streams that touch their payloads do with them, the same on both sides of a comparison.
#pragma once

#include <cstdint>
#include <span>

namespace atrium::bench {

/// Writes every word.
template <std::size_t Count> void fill_words(std::span<std::uint64_t, Count> words, std::uint64_t value)
{
    for (std::uint64_t& word : words)
        word = value;
}

/// Reads every word.
template <std::size_t Count> std::uint64_t sum_of(std::span<std::uint64_t const, Count> words)
{
    std::uint64_t sum = 0;
    for (std::uint64_t const word : words)
        sum += word;
    return sum;
}

} // namespace atrium::bench
