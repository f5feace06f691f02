// Weighted sums of pixels over contiguous channels (NHWC memory): the inner loop of RoIAlign. Written with the compilers'
// vector extension, which any x86 or ARM target lowers to what it has.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace goshawk {

/** One pixel of a sum: where its channels start, counted in elements, and its weight. */
template <typename F>
struct PixelTerm {
  int64_t offset;
  F weight;
};

template <typename F>
struct Lanes {
  static constexpr int64_t count = 64 / static_cast<int64_t>(sizeof(F));
  typedef F Vector __attribute__((vector_size(64)));
};

namespace detail {

typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t HalfWords __attribute__((vector_size(32)));

template <typename F, typename T>
inline __attribute__((always_inline)) void load_lanes(const T* from, typename Lanes<F>::Vector& to) {
  if constexpr (std::is_same_v<T, F>) {
    std::memcpy(&to, from, sizeof(to));
  } else if constexpr (std::is_same_v<T, c10::BFloat16>) {
    HalfWords raw;
    std::memcpy(&raw, from, sizeof(raw));
    const Words wide = __builtin_convertvector(raw, Words) << 16;
    std::memcpy(&to, &wide, sizeof(to));
  } else {
    for (int64_t i = 0; i < Lanes<F>::count; ++i) {
      to[i] = static_cast<F>(from[i]);
    }
  }
}

template <typename F, typename O>
inline __attribute__((always_inline)) void store_lanes(const typename Lanes<F>::Vector& from, O* to) {
  if constexpr (std::is_same_v<O, F>) {
    std::memcpy(to, &from, sizeof(from));
  } else if constexpr (std::is_same_v<O, c10::BFloat16>) {
    Words bits;
    std::memcpy(&bits, &from, sizeof(bits));
    // Round to nearest even on the dropped 16 bits; a NaN must not be rounded into an infinity.
    const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const Words is_nan = reinterpret_cast<Words>((bits & 0x7fffffffu) > 0x7f800000u);
    const Words chosen = (is_nan & 0x7fc0u) | (~is_nan & rounded);
    const HalfWords narrow = __builtin_convertvector(chosen, HalfWords);
    std::memcpy(to, &narrow, sizeof(narrow));
  } else {
    for (int64_t i = 0; i < Lanes<F>::count; ++i) {
      to[i] = static_cast<O>(static_cast<F>(from[i]));
    }
  }
}

template <int kVectors, bool kAdd, typename F, typename T, typename O>
inline __attribute__((always_inline)) void sum_block(
    const T* base, const PixelTerm<F>* terms, size_t count, O* out) {
  typedef typename Lanes<F>::Vector Vector;
  Vector sums[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    if constexpr (kAdd) {
      load_lanes<F>(out + v * Lanes<F>::count, sums[v]);
    } else {
      sums[v] = Vector{};
    }
  }
  for (size_t t = 0; t < count; ++t) {
    const T* pixel = base + terms[t].offset;
    const F weight = terms[t].weight;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      Vector value;
      load_lanes<F>(pixel + v * Lanes<F>::count, value);
      sums[v] += value * weight;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    store_lanes<F>(sums[v], out + v * Lanes<F>::count);
  }
}

} // namespace detail

/** out[c] = (kAdd ? out[c] : 0) + sum over terms of weight * base[offset + c], for c in [0, channels). */
template <bool kAdd, typename F, typename T, typename O>
void sum_pixels(const T* base, const PixelTerm<F>* terms, size_t count, int64_t channels, O* out) {
  constexpr int64_t lanes = Lanes<F>::count;
  int64_t c = 0;
  for (; c + 8 * lanes <= channels; c += 8 * lanes) {
    detail::sum_block<8, kAdd>(base + c, terms, count, out + c);
  }
  for (; c + 2 * lanes <= channels; c += 2 * lanes) {
    detail::sum_block<2, kAdd>(base + c, terms, count, out + c);
  }
  for (; c + lanes <= channels; c += lanes) {
    detail::sum_block<1, kAdd>(base + c, terms, count, out + c);
  }
  for (; c < channels; ++c) {
    F sum = F(0);
    if constexpr (kAdd) {
      sum = static_cast<F>(out[c]);
    }
    for (size_t t = 0; t < count; ++t) {
      sum += terms[t].weight * static_cast<F>(base[terms[t].offset + c]);
    }
    out[c] = static_cast<O>(sum);
  }
}

} // namespace goshawk
