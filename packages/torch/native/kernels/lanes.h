// As many floats side by side as one register of the processor holds that this is compiled for.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) || defined(__AVX2__) || (defined(__AVX__) && defined(__FMA__))
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace goshawk {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16, kRegisters = 32;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int64_t kLanes = 4, kRegisters = 32;
#else
constexpr int64_t kLanes = 4, kRegisters = 16;
#endif

/** Whether multiply_add is one instruction. */
#if defined(__AVX512F__) || (defined(__AVX__) && defined(__FMA__)) || defined(__aarch64__)
constexpr bool kFuses = true;
#else
constexpr bool kFuses = false;
#endif

constexpr int64_t kVectorBytes = kLanes * static_cast<int64_t>(sizeof(float));

typedef float Vector __attribute__((vector_size(kVectorBytes)));
typedef float UnalignedVector __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));

// Not memcpy: the compiler would go by way of the stack, in halves.
inline Vector load_vector(const float* from) {
  return *reinterpret_cast<const UnalignedVector*>(from);
}

inline void store_vector(float* into, Vector value) {
  *reinterpret_cast<UnalignedVector*>(into) = value;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
inline __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

/** The first `count` lanes, zeros behind them; nothing behind them is read. */
inline Vector load_lanes(const float* from, int64_t count) {
  if (count == kLanes) return load_vector(from);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), from);
#elif defined(__AVX2__)
  return _mm256_maskload_ps(from, first_lanes(count));
#else
  Vector value{};
  std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(float));
  return value;
#endif
}

inline void store_lanes(float* into, Vector value, int64_t count) {
  if (count == kLanes) return store_vector(into, value);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(into, static_cast<__mmask16>((1u << count) - 1), value);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(into, first_lanes(count), value);
#else
  std::memcpy(into, &value, static_cast<size_t>(count) * sizeof(float));
#endif
}

/**
 * left * right + sum, rounded once where the processor has that in one instruction: asked for by its name, since everything is
 * compiled without contraction and compilers differ in how a function asks for it.
 */
inline Vector multiply_add(float left, Vector right, Vector sum) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(_mm512_set1_ps(left), right, sum);
#elif defined(__AVX__) && defined(__FMA__)
  return _mm256_fmadd_ps(_mm256_set1_ps(left), right, sum);
#elif defined(__aarch64__)
  return vfmaq_n_f32(sum, right, left);
#else
  return left * right + sum;
#endif
}

} // namespace goshawk
