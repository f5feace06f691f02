// What the optimizers' kernels share: one pass over the memory of many tensors, with the rounding of the engine's operators.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace goshawk {

/** Elements below which another thread costs more than it does. */
constexpr int64_t kStepGrain = 16384;

/** a + b * c, rounded once where the engine's adding kernels round once: where the processor can. */
[[gnu::always_inline]] inline float add_product(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return std::fma(b, c, a);
#else
  return a + b * c;
#endif
}

inline bool is_plain_float(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_non_overlapping_and_dense();
}

/** Whether tensors of one shape have the same steps from element to element; those of a side of 1 lead nowhere. */
inline bool have_same_steps(const at::Tensor& a, const at::Tensor& b) {
  for (int64_t side = 0; side < a.dim(); ++side)
    if (a.size(side) != 1 && a.stride(side) != b.stride(side)) return false;
  return true;
}

/** Whether going through both memories in order meets the same elements. */
inline bool lie_alike(const at::Tensor& a, const at::Tensor& b) {
  return is_plain_float(b) && a.sizes() == b.sizes() && have_same_steps(a, b);
}

/**
 * Calls `range(index, first, count)` for pieces of the tensors numbered by `index`, from several threads: they share all the
 * elements evenly, however the tensors differ in size. `ends` has the elements of the tensors up to and with each.
 */
template <typename Range>
void for_all_elements(const std::vector<int64_t>& ends, const Range& range) {
  if (ends.empty()) return;
  at::parallel_for(0, ends.back(), kStepGrain, [&](int64_t begin, int64_t end) {
    size_t index = std::upper_bound(ends.begin(), ends.end(), begin) - ends.begin();
    for (; begin < end; ++index) {
      const int64_t first = index == 0 ? 0 : ends[index - 1];
      const int64_t stop = std::min(end, ends[index]);
      range(index, begin - first, stop - begin);
      begin = stop;
    }
  });
}

/** What is made from a parameter and kept is made anew when its version changes. */
inline void mark_changed(const at::Tensor& tensor) { tensor.unsafeGetTensorImpl()->bump_version(); }

} // namespace goshawk
