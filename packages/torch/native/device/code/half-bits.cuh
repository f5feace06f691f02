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

inline float half_bits_to_float(uint16_t bits) {
  return static_cast<float>(emulated::bits_as<_Float16>(bits));
}

inline uint16_t float_to_half_bits(float value) {
  return emulated::bits_as<uint16_t>(static_cast<_Float16>(value));
}

#endif

} // namespace goshawk
