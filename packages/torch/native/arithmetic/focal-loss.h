// One value of the sigmoid focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017, equation 5) and its derivative.
#pragma once

#include "arithmetic/both.h"

#ifndef __CUDACC_RTC__
#include <cstring>
#endif

namespace goshawk {

/** Target of an anchor that is left out; -1 is none of the classes. */
constexpr int64_t kFocalIgnored = -2;

GOSHAWK_BOTH_ALWAYS_INLINE float float_of_bits(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
#endif
}

/** e^t for t <= 0 within 2 units in the last place (Cephes' polynomial); written so that compilers vectorise it. */
GOSHAWK_BOTH_ALWAYS_INLINE float exp_negative(float t) {
  t = t < -87.0f ? -87.0f : t;
  // Adding and subtracting 1.5 * 2^23 rounds to a whole number.
  const float n = (t * 1.44269504f + 12582912.0f) - 12582912.0f;
  const float r = (t - n * 0.693359375f) - n * -2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  return y * float_of_bits(static_cast<uint32_t>(static_cast<int32_t>(n) + 127) << 23);
}

GOSHAWK_BOTH_ALWAYS_INLINE double exp_negative(double t) {
  return exp(t);
}

/** log(1 + e) for e in [0, 1]: 2 atanh(e / (2 + e)), whose series ends below float's precision. */
GOSHAWK_BOTH_ALWAYS_INLINE float log1p_fraction(float e) {
  const float s = e / (2.0f + e);
  const float z = s * s;
  float y = 1.0f / 13.0f;
  y = y * z + 1.0f / 11.0f;
  y = y * z + 1.0f / 9.0f;
  y = y * z + 1.0f / 7.0f;
  y = y * z + 1.0f / 5.0f;
  y = y * z + 1.0f / 3.0f;
  return 2.0f * (s + s * z * y);
}

GOSHAWK_BOTH_ALWAYS_INLINE double log1p_fraction(double e) {
  return log1p(e);
}

template <typename T>
struct FocalTerm {
  T loss;
  T gradient;
};

/**
 * Of a class that is absent, without its weight: with p = sigmoid(x) and s = softplus(x) = -log(1 - p) the loss p^gamma s and its
 * derivative p^gamma (gamma (1 - p) s + p). A class that is present costs the same of -x. kSquare: gamma is 2.
 */
template <bool kSquare, typename T>
GOSHAWK_BOTH_ALWAYS_INLINE FocalTerm<T> focal_term(T x, T gamma) {
  const T e = exp_negative(x < T(0) ? x : -x);
  const T l = log1p_fraction(e);
  const T s = (x > T(0) ? x : T(0)) + l;
  const T inverse = T(1) / (T(1) + e);
  const T small = e * inverse;
  const T p = x >= T(0) ? inverse : small;
  const T q = x >= T(0) ? small : inverse;
  // log p = -softplus(-x).
  const T power = kSquare ? p * p : exp_negative(gamma * ((x < T(0) ? x : T(0)) - l));
  return {power * s, power * (gamma * q * s + p)};
}

} // namespace goshawk
