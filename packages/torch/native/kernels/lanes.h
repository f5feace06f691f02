// As many floats side by side as one register of the processor holds that this is compiled for.
#pragma once

#include <cstdint>

#if defined(__AVX512F__) || (defined(__AVX__) && defined(__FMA__))
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
