// What the kernels for suppression on the processor and on a card share: the threshold, and which arguments fit.
#pragma once

#include "kernels/boxes.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace goshawk {

template <typename T>
struct SuppressionRule {
  /** A box is suppressed at IoU >= this. */
  T threshold;
  T extra;
};

/**
 * Modern code suppresses at IoU > threshold, comparing in double: the same as >= the next T above. Legacy code
 * (py_cpu_nms, Detectron's cython_nms, maskrcnn-benchmark's nms_cpu.cpp) suppresses at IoU >= threshold, a float32.
 */
template <typename T>
SuppressionRule<T> suppression_rule(double threshold, bool plus_one, bool suppress_equal) {
  T at = static_cast<T>(threshold);
  if (!suppress_equal && static_cast<double>(at) <= threshold) {
    at = std::nextafter(at, std::numeric_limits<T>::infinity());
    // Above 0 the smallest number that does not count as zero (subnormals.h).
    if (at >= T(0)) {
      at = std::max(at, std::numeric_limits<T>::min());
    }
  }
  return {at, plus_one ? T(1) : T(0)};
}

/** Of nms and batched_nms. */
inline void check_candidates(const char* op, const at::Tensor& boxes, const at::Tensor& scores) {
  check_boxes(op, "boxes", boxes);
  TORCH_CHECK(
      scores.dim() == 1 && scores.size(0) == boxes.size(0) && at::isFloatingType(scores.scalar_type()), op,
      ": scores must be [N] floating point with N = ", boxes.size(0), ", got ", scores.sizes(), " ",
      scores.scalar_type());
}

inline void check_candidate_groups(const at::Tensor& boxes, const at::Tensor& groups) {
  TORCH_CHECK(
      groups.dim() == 1 && groups.size(0) == boxes.size(0) && at::isIntegralType(groups.scalar_type(), false),
      "batched_nms: groups must be integer [N] with N = ", boxes.size(0), ", got ", groups.sizes(), " ",
      groups.scalar_type());
}

inline void check_nms_first(
    const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& groups, int64_t count) {
  TORCH_CHECK(
      boxes.dim() == 3 && boxes.size(2) == 4 && at::isFloatingType(boxes.scalar_type()),
      "nms_first: boxes must be [N, K, 4] floating point xyxy, got ", boxes.sizes(), " ", boxes.scalar_type());
  TORCH_CHECK(
      scores.dim() == 2 && scores.sizes() == boxes.sizes().slice(0, 2) && at::isFloatingType(scores.scalar_type()),
      "nms_first: scores must be [N, K] floating point for boxes ", boxes.sizes(), ", got ", scores.sizes(), " ",
      scores.scalar_type());
  TORCH_CHECK(
      at::isIntegralType(groups.scalar_type(), false) &&
          (groups.sizes() == scores.sizes() || groups.sizes() == scores.sizes().slice(1)),
      "nms_first: groups must be integer [N, K] or [K] for scores ", scores.sizes(), ", got ", groups.sizes(), " ",
      groups.scalar_type());
  TORCH_CHECK(count >= 0, "nms_first: count must be at least 0, got ", count);
}

/** What boxes and scores are compared in: double where either is, else float. */
inline at::ScalarType suppression_type(const at::Tensor& boxes, const at::Tensor& scores) {
  return boxes.scalar_type() == at::kDouble || scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

} // namespace goshawk
