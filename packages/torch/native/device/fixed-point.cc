#include "fixed-point.h"

#include "launch.h"

namespace goshawk {

unsigned long long* FixedPointSums::data() const {
  return reinterpret_cast<unsigned long long*>(sums.data_ptr<int64_t>());
}

FixedPointSums fixed_point_sums(const at::Tensor& gradient, int64_t count, int64_t terms) {
  FixedPointSums result;
  result.sums = at::zeros({count}, gradient.options().dtype(at::kLong));
  const at::Tensor wide = gradient.scalar_type() == at::kDouble ? gradient : gradient.to(at::kFloat);
  result.peak = wide.abs().max().to(at::kDouble);
  result.term_bits = 0;
  while ((int64_t{1} << result.term_bits) < terms) {
    ++result.term_bits;
  }
  return result;
}

at::Tensor values_of(const FixedPointSums& sums, at::ScalarType type) {
  at::Tensor values = at::empty({sums.sums.numel()}, sums.sums.options().dtype(type));
  launch_kernel(
      {"fixed-point", "fixed_point_values", type}, one_thread_each(values.numel()), values,
      static_cast<const unsigned long long*>(sums.data()), static_cast<const double*>(sums.peak.data_ptr<double>()),
      sums.term_bits, values.numel(), values.data_ptr());
  return values;
}

} // namespace goshawk
