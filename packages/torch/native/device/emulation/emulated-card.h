// A card on the processor, for tests: the words of CUDA that kernels use, each thread of a block a coroutine of its own. Slow,
// and exact about barriers: a thread that waits for one that never comes is an error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
// Blocks run one after another.
#define __shared__ static
#define GOSHAWK_KERNEL static

namespace goshawk {
namespace emulated {

struct Dim3 {
  unsigned x, y, z;
};

struct Here {
  Dim3 grid, block, block_index, thread_index;
};

/** Where the coroutine that runs now is. */
extern Here here;

void wait_for_block();
/** All threads of the warp that have not ended bring `value`; `slots` are those of the warp, by lane. */
const uint64_t* exchange_in_warp(uint64_t value, unsigned& present);

template <typename To, typename From>
To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From), "same size");
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}

template <typename T>
uint64_t to_slot(T value) {
  uint64_t slot = 0;
  std::memcpy(&slot, &value, sizeof value);
  return slot;
}

template <typename T>
T from_slot(uint64_t slot) {
  T value;
  std::memcpy(&value, &slot, sizeof value);
  return value;
}

} // namespace emulated
} // namespace goshawk

#define gridDim (::goshawk::emulated::here.grid)
#define blockDim (::goshawk::emulated::here.block)
#define blockIdx (::goshawk::emulated::here.block_index)
#define threadIdx (::goshawk::emulated::here.thread_index)

inline void __syncthreads() {
  goshawk::emulated::wait_for_block();
}

inline void __syncwarp(unsigned = 0xffffffffu) {
  unsigned present;
  goshawk::emulated::exchange_in_warp(0, present);
}

inline void __threadfence() {}

template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
  unsigned present;
  return goshawk::emulated::from_slot<T>(
      goshawk::emulated::exchange_in_warp(goshawk::emulated::to_slot(value), present)[lane & 31]);
}

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance) {
  const unsigned lane = threadIdx.x & 31;
  return __shfl_sync(mask, value, static_cast<int>(lane + distance < 32 ? lane + distance : lane));
}

template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance) {
  const unsigned lane = threadIdx.x & 31;
  return __shfl_sync(mask, value, static_cast<int>(lane >= distance ? lane - distance : lane));
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int other) {
  return __shfl_sync(mask, value, static_cast<int>(threadIdx.x & 31) ^ other);
}

inline unsigned __ballot_sync(unsigned, bool flag) {
  unsigned present;
  const uint64_t* slots = goshawk::emulated::exchange_in_warp(flag ? 1 : 0, present);
  unsigned result = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    result |= ((present >> lane) & 1u) != 0 && slots[lane] != 0 ? 1u << lane : 0u;
  }
  return result;
}

inline bool __any_sync(unsigned mask, bool flag) {
  return __ballot_sync(mask, flag) != 0;
}

inline int __popc(unsigned value) {
  return __builtin_popcount(value);
}

inline int __popcll(unsigned long long value) {
  return __builtin_popcountll(value);
}

inline int __ffs(int value) {
  return __builtin_ffs(value);
}

inline int __ffsll(long long value) {
  return __builtin_ffsll(value);
}

inline int __clz(int value) {
  return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value));
}

inline float __uint_as_float(unsigned value) {
  return goshawk::emulated::bits_as<float>(value);
}

inline unsigned __float_as_uint(float value) {
  return goshawk::emulated::bits_as<unsigned>(value);
}

inline int __float_as_int(float value) {
  return goshawk::emulated::bits_as<int>(value);
}

inline float __int_as_float(int value) {
  return goshawk::emulated::bits_as<float>(value);
}

inline long long __double2ll_rn(double value) {
  return llrint(value);
}

template <typename T>
T __ldg(const T* at) {
  return *at;
}

template <typename T, typename V>
T atomicAdd(T* at, V value) {
  const T before = *at;
  *at = before + static_cast<T>(value);
  return before;
}

template <typename T, typename V>
T atomicMax(T* at, V value) {
  const T before = *at;
  *at = before < static_cast<T>(value) ? static_cast<T>(value) : before;
  return before;
}

template <typename T, typename V>
T atomicOr(T* at, V value) {
  const T before = *at;
  *at = before | static_cast<T>(value);
  return before;
}

template <typename T, typename V>
T atomicExch(T* at, V value) {
  const T before = *at;
  *at = static_cast<T>(value);
  return before;
}

template <typename T>
T atomicCAS(T* at, T expected, T value) {
  const T before = *at;
  *at = before == expected ? value : before;
  return before;
}
