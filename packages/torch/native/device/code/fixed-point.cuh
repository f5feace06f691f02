// Sums that do not depend on the order in which threads add to them: whole numbers of 64 bits, in units of a power of two that
// the largest term decides.
#pragma once

#include "device/code/scalar.cuh"

namespace goshawk {

/** -log2 of the unit, in which 2^term_bits terms of at most `peak` cannot overflow. */
__device__ inline int fixed_point_exponent(double peak, int term_bits) {
  // Zeros, infinities and NaN have no exponent; the farthest is that of the smallest double.
  if (!(peak > 0) || !(peak - peak == 0)) {
    return 0;
  }
  const int exponent = 61 - term_bits - ilogb(peak);
  return exponent < 1000 ? exponent : 1000;
}

__device__ inline void add_fixed_point(unsigned long long* sum, Wide term, double unit_share) {
  atomicAdd(sum, static_cast<unsigned long long>(__double2ll_rn(static_cast<double>(term) * unit_share)));
}

} // namespace goshawk
