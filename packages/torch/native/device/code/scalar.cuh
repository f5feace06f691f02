// What every kernel starts from: the values it was compiled for, and the names that a card and an emulated one share.
#pragma once

#include "arithmetic/both.h"

#ifdef __CUDACC__
#define GOSHAWK_KERNEL extern "C" __global__
#else
#include "device/emulation/emulated-card.h"
#endif

#include "device/code/half-bits.cuh"

namespace goshawk {

/** IEEE half precision in memory. */
struct Half {
  uint16_t bits;
};

/** The upper half of a float in memory. */
struct BFloat16 {
  uint16_t bits;
};

#if GOSHAWK_SCALAR == 0
typedef float Scalar;
#elif GOSHAWK_SCALAR == 1
typedef double Scalar;
#elif GOSHAWK_SCALAR == 2
typedef Half Scalar;
#else
typedef BFloat16 Scalar;
#endif

/** What is computed in: double for double, float for all others. */
#if GOSHAWK_SCALAR == 1
typedef double Wide;
#else
typedef float Wide;
#endif

__device__ inline float widen(float value) {
  return value;
}

__device__ inline double widen(double value) {
  return value;
}

__device__ inline float widen(BFloat16 value) {
  return __uint_as_float(static_cast<uint32_t>(value.bits) << 16);
}

__device__ inline float widen(Half value) {
  return half_bits_to_float(value.bits);
}

/** Rounds to the nearest value, ties to even. */
template <typename T>
__device__ inline T narrow(Wide value);

template <>
__device__ inline Wide narrow<Wide>(Wide value) {
  return value;
}

#if GOSHAWK_SCALAR != 1
template <>
__device__ inline BFloat16 narrow<BFloat16>(float value) {
  const uint32_t raw = __float_as_uint(value);
  const uint32_t rounded = (raw + 0x7fffu + ((raw >> 16) & 1u)) >> 16;
  BFloat16 result;
  result.bits = static_cast<uint16_t>(value == value ? rounded : 0x7fc0u);
  return result;
}

template <>
__device__ inline Half narrow<Half>(float value) {
  Half result;
  result.bits = float_to_half_bits(value);
  return result;
}
#endif

/** This thread's number in the grid, along x. */
__device__ inline int64_t thread_number() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ inline int64_t thread_count() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

} // namespace goshawk
