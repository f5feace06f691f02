// Which half types this processor multiplies, and what is done about the others (half-products.cc).
#pragma once

#include <ATen/ATen.h>

namespace goshawk {

/**
 * Whether the engine has sums of products of this type that are no slower than those of float32, by the instructions that this is compiled
 * for: the question that it asks the processor before it takes oneDNN's. True of all types but the half ones.
 */
constexpr bool multiplies(at::ScalarType type) {
#if defined(__AVXNECONVERT__)
  [[maybe_unused]] constexpr bool kConverts = true;
#else
  [[maybe_unused]] constexpr bool kConverts = false;
#endif
#if (defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
  constexpr bool kBFloat16 = true;
#else
  constexpr bool kBFloat16 = kConverts;
#endif
#if defined(__AVX512FP16__) || defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
  constexpr bool kFloat16 = true;
#else
  constexpr bool kFloat16 = kConverts;
#endif
  return type == at::kBFloat16 ? kBFloat16 : type == at::kHalf ? kFloat16 : true;
}

/** In float32 where the processor has no products of its type. */
inline at::Tensor widened(const at::Tensor& values) {
  return values.defined() && !multiplies(values.scalar_type()) ? values.to(at::kFloat) : values;
}

} // namespace goshawk
