// Which arguments fit the focal loss, on the processor and on a card.
#pragma once

#include "arithmetic/focal-loss.h"

#include <ATen/ATen.h>

namespace goshawk {

/** Anchors of one partial sum; fixed, so that the result does not depend on the number of threads. */
constexpr int64_t kFocalRows = 256;

inline void check_focal_loss(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma) {
  TORCH_CHECK(
      targets.dim() == 2 && targets.scalar_type() == at::kLong && weights.dim() == 1 &&
          weights.size(0) == targets.size(0),
      "sigmoid_focal_loss: targets must be [N, anchors] int64 and weights [N], got ", targets.sizes(), " ",
      targets.scalar_type(), " and ", weights.sizes());
  TORCH_CHECK(
      (logits.dim() == 3 || logits.dim() == 4) && logits.size(0) == targets.size(0) &&
          (targets.numel() == 0 ? logits.numel() == 0 : logits.numel() % targets.numel() == 0),
      "sigmoid_focal_loss: logits must be [N, anchors, classes] or [N, A * classes, H, W] for targets ", targets.sizes(),
      ", got ", logits.sizes());
  TORCH_CHECK(alpha >= 0 && alpha <= 1 && gamma >= 0, "sigmoid_focal_loss: alpha must be in 0..1 and gamma at least 0");
}

} // namespace goshawk
