// Checked arguments of RoIPool, for every device.
#pragma once

#include "roi-align.h"

namespace goshawk {

inline void check_pooled(
    const at::Tensor& input, const at::Tensor& rois, int64_t pooled_height, int64_t pooled_width) {
  TORCH_CHECK(
      input.dim() == 4, "roi_pool: input must be [N, C, H, W], got ", input.sizes(), " ", input.scalar_type());
  TORCH_CHECK(
      input.size(2) > 0 && input.size(3) > 0 && input.size(2) * input.size(3) < INT32_MAX,
      "roi_pool: the feature map is empty or too large, got ", input.sizes());
  TORCH_CHECK(
      pooled_height > 0 && pooled_width > 0, "roi_pool: the output size must be positive, got ", pooled_height, " x ",
      pooled_width);
  TORCH_CHECK(
      rois.dim() == 2 && rois.size(1) == 5, "roi_pool: rois must be [K, 5], got ", rois.sizes(), " ",
      rois.scalar_type(), ": give batch index, x1, y1, x2, y2");
}

inline void check_pooled_gradient(const at::Tensor& grad, const at::Tensor& argmax, at::IntArrayRef input_size) {
  TORCH_CHECK(
      input_size.size() == 4 && grad.dim() == 4 && grad.sizes() == argmax.sizes() && grad.size(1) == input_size[1] &&
          argmax.scalar_type() == at::kInt,
      "roi_pool_backward: grad and argmax must be [K, C, height, width], got ", grad.sizes(), " and ", argmax.sizes(),
      " ", argmax.scalar_type());
}

} // namespace goshawk
