// From sums in fixed point to values.
#include "device/code/fixed-point.cuh"

namespace goshawk {

/** `peak`: the largest term, in the card's memory; where it is not finite, all values are NaN. */
GOSHAWK_KERNEL void fixed_point_values(
    const unsigned long long* sums, const double* peak, int term_bits, int64_t count, Scalar* out) {
  const bool is_finite = *peak - *peak == 0;
  const int exponent = fixed_point_exponent(*peak, term_bits);
  const Wide none = static_cast<Wide>(*peak - *peak);
  for (int64_t i = thread_number(); i < count; i += thread_count()) {
    const double value = ldexp(static_cast<double>(static_cast<int64_t>(sums[i])), -exponent);
    out[i] = narrow<Scalar>(is_finite ? static_cast<Wide>(value) : none);
  }
}

} // namespace goshawk
