// Checked arguments of scale_shift, for every device.
#pragma once

#include <ATen/ATen.h>

namespace goshawk {

/** Throws c10::Error. */
inline void check_scale_shift(
    const at::Tensor& input, const at::Tensor& scale, const at::Tensor& shift, const c10::optional<at::Tensor>& residual) {
  TORCH_CHECK(
      input.dim() >= 2 && at::isFloatingType(input.scalar_type()),
      "scale_shift: input must be [N, C, ...] floating point, got ", input.sizes(), " ", input.scalar_type());
  const auto wide = input.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor& each : {scale, shift}) {
    TORCH_CHECK(
        each.dim() == 1 && each.size(0) == input.size(1) && each.scalar_type() == wide,
        "scale_shift: scale and shift must be [", input.size(1), "] ", wide, " for input ", input.sizes(), " ",
        input.scalar_type(), ", got ", each.sizes(), " ", each.scalar_type());
  }
  if (residual.has_value() && residual->defined()) {
    TORCH_CHECK(
        residual->sizes() == input.sizes() && residual->scalar_type() == input.scalar_type(),
        "scale_shift: residual must be as the input, ", input.sizes(), " ", input.scalar_type(), ", got ",
        residual->sizes(), " ", residual->scalar_type());
  }
}

} // namespace goshawk
