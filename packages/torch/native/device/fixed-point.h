// Sums on a card that are the same in every run; see code/fixed-point.cuh.
#pragma once

#include <ATen/ATen.h>

namespace goshawk {

/** Sums of terms that are products of `gradient` with numbers of at most 1, and what is needed to read them. */
struct FixedPointSums {
  at::Tensor sums;
  /** The largest of the gradient's values, float64, on its device. */
  at::Tensor peak;
  /** log2 of how many terms one sum can have. */
  int term_bits;

  unsigned long long* data() const;
};

/** @param count of sums; @param terms that one sum can have */
FixedPointSums fixed_point_sums(const at::Tensor& gradient, int64_t count, int64_t terms);

/** The sums in the gradient's type, [count]. Where a value of the gradient is not finite, all are NaN. */
at::Tensor values_of(const FixedPointSums& sums, at::ScalarType type);

} // namespace goshawk
