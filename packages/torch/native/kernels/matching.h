// Which arguments fit the assignment of boxes to objects, on the processor and on a card.
#pragma once

#include "kernels/boxes.h"

#include <ATen/ATen.h>

namespace goshawk {

inline void check_match_anchors(const at::Tensor& gt_boxes, const at::Tensor& boxes, double low, double high) {
  check_boxes("match_anchors", "gt_boxes", gt_boxes);
  check_boxes("match_anchors", "boxes", boxes);
  TORCH_CHECK(low <= high, "match_anchors: low must be at most high, got ", low, " and ", high);
}

/** taking_part: undefined where all boxes do. */
inline void check_match_batch(
    const at::Tensor& objects, const at::Tensor& present, const at::Tensor& boxes, const at::Tensor& taking_part,
    double low, double high) {
  TORCH_CHECK(
      objects.dim() == 3 && objects.size(2) == 4 && at::isFloatingType(objects.scalar_type()),
      "match_batch: objects must be [N, G, 4] floating point xyxy, got ", objects.sizes(), " ", objects.scalar_type());
  TORCH_CHECK(
      present.sizes() == objects.sizes().slice(0, 2) && present.scalar_type() == at::kBool,
      "match_batch: present must be bool [N, G] for objects ", objects.sizes(), ", got ", present.sizes(), " ",
      present.scalar_type());
  const int64_t images = objects.size(0);
  TORCH_CHECK(
      (boxes.dim() == 2 || (boxes.dim() == 3 && boxes.size(0) == images)) && boxes.size(-1) == 4 &&
          at::isFloatingType(boxes.scalar_type()),
      "match_batch: boxes must be [A, 4] or [N, A, 4] floating point xyxy with N = ", images, ", got ", boxes.sizes(), " ",
      boxes.scalar_type());
  TORCH_CHECK(
      !taking_part.defined() ||
          (taking_part.dim() == 2 && taking_part.size(0) == images && taking_part.size(1) == boxes.size(-2) &&
           taking_part.scalar_type() == at::kBool),
      "match_batch: taking_part must be bool [N, A] with N = ", images, " and A = ", boxes.size(-2));
  TORCH_CHECK(low <= high, "match_batch: low must be at most high, got ", low, " and ", high);
}

} // namespace goshawk
