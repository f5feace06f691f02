// Sixteen floats side by side.
#pragma once

#include <cstdint>

namespace goshawk {

constexpr int64_t kLanes = 16;

typedef float Vector __attribute__((vector_size(64)));
typedef float UnalignedVector __attribute__((vector_size(64), aligned(4), may_alias));

// Not memcpy: the compiler would go by way of the stack, in halves.
inline Vector load_vector(const float* from) {
  return *reinterpret_cast<const UnalignedVector*>(from);
}

inline void store_vector(float* into, Vector value) {
  *reinterpret_cast<UnalignedVector*>(into) = value;
}

} // namespace goshawk
