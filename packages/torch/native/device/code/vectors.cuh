// Reading and writing several values that lie side by side at once.
#pragma once

#include "device/code/scalar.cuh"

namespace goshawk {

/** `kCount` values in memory that begin at a multiple of their size, of 16 bytes at most. */
template <typename T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Values {
  T at[kCount];
};

template <int kCount, typename T>
__device__ inline void load_values(const T* from, Wide* to) {
  const Values<T, kCount> values = *reinterpret_cast<const Values<T, kCount>*>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    to[i] = widen(values.at[i]);
  }
}

template <int kCount, typename T>
__device__ inline void store_values(const Wide* from, T* to) {
  Values<T, kCount> values;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    values.at[i] = narrow<T>(from[i]);
  }
  *reinterpret_cast<Values<T, kCount>*>(to) = values;
}

/** Values in 16 bytes. */
constexpr int kInSixteenBytes = 16 / static_cast<int>(sizeof(Scalar));

} // namespace goshawk
