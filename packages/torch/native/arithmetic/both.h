// Arithmetic that the processor and the card share: functions marked GOSHAWK_BOTH compile for both, from one source.
#pragma once

#ifdef __CUDACC__
#define GOSHAWK_BOTH __host__ __device__ inline
#define GOSHAWK_BOTH_ALWAYS_INLINE __host__ __device__ __forceinline__
#else
#define GOSHAWK_BOTH inline
// For the processor's compiler, which vectorises loops over what it has inlined.
#define GOSHAWK_BOTH_ALWAYS_INLINE [[gnu::always_inline]] inline
#endif

#ifdef __CUDACC_RTC__
// NVRTC brings no headers of the standard library.
typedef int int32_t;
typedef long long int64_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
#else
#include <cmath>
#include <cstdint>
#endif
