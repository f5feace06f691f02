// Half precision as bits: NVRTC brings no cuda_fp16.h unless CUDA's headers are installed.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

#ifdef __CUDACC__

__device__ inline float half_bits_to_float(uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ inline uint16_t float_to_half_bits(float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

#else

// In whole numbers: not every compiler has a type for it on every processor, and while the engine computes, floats too small for a full
// mantissa count as zero.

inline float half_bits_to_float(uint16_t bits) {
  const uint32_t sign = bits & 0x8000u, exponent = bits >> 10 & 31u, fraction = bits & 1023u;
  if (exponent == 0) return (sign ? -0x1p-24f : 0x1p-24f) * static_cast<float>(fraction);
  const uint32_t wider = exponent == 31 ? 255 : exponent + 112;
  return emulated::bits_as<float>(sign << 16 | wider << 23 | fraction << 13);
}

/** To the nearest, of two as near to the even one. */
inline uint16_t float_to_half_bits(float value) {
  const uint32_t bits = emulated::bits_as<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  constexpr uint32_t kInfinite = 0x7f800000, kTooLarge = 0x477ff000, kSmallestFull = 0x38800000;
  uint32_t half;
  if (size > kInfinite) {
    half = 0x7e00u | (size >> 13 & 0x3ffu);
  } else if (size >= kTooLarge) {
    half = 0x7c00u;
  } else if (size < kSmallestFull) {
    // Behind a half the last place of a float is that of the smallest numbers, 2^-24.
    half = emulated::bits_as<uint32_t>(emulated::bits_as<float>(size) + 0.5f) - emulated::bits_as<uint32_t>(0.5f);
  } else {
    half = (size - (112u << 23) + 0xfffu + (size >> 13 & 1u)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

#endif

} // namespace goshawk
