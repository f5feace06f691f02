// The operators of winograd.cc: their arguments, and what happens where gradients are wanted.
#include "learning-conv.h"
#include "winograd.h"

#include <torch/library.h>

#include <array>

namespace goshawk {
namespace {

void check_winograd(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  TORCH_CHECK(
      input.dim() == 4 && weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 &&
          weight.size(1) == input.size(1) && input.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat,
      "winograd_conv3x3: input must be [N, C, H, W] and weight [out, C, 3, 3], both float32, got ", input.sizes(), " ",
      input.scalar_type(), " and ", weight.sizes(), " ", weight.scalar_type());
  TORCH_CHECK(
      !bias.has_value() || !bias->defined() || (bias->dim() == 1 && bias->size(0) == weight.size(0)),
      "winograd_conv3x3: bias must be [", weight.size(0), "]");
}

at::Tensor engine_conv(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  return at::conv2d(input, weight, bias, at::IntArrayRef({1, 1}), at::IntArrayRef({1, 1}), at::IntArrayRef({1, 1}), 1);
}

at::Tensor winograd_conv(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  check_winograd(input, weight, bias);
  if (!winograd::kIsFaster || input.numel() == 0) {
    return engine_conv(input, weight, bias);
  }
  const at::Tensor offset = bias.has_value() ? *bias : at::Tensor();
  return winograd::convolve({input}, winograd::transform_kernels(weight, false), weight.size(0), {offset, {}, false})
      .front();
}

at::Tensor winograd_kernels(const at::Tensor& weight) {
  TORCH_CHECK(
      weight.dim() == 4 && weight.size(2) == 3 && weight.size(3) == 3 && weight.scalar_type() == at::kFloat,
      "winograd_kernels: weight must be [out, C, 3, 3] float32, got ", weight.sizes(), " ", weight.scalar_type());
  return winograd::transform_kernels(weight, false);
}

at::Tensor winograd_conv_by_kernels(
    const at::Tensor& input, const at::Tensor& kernels, int64_t out, const c10::optional<at::Tensor>& bias,
    const c10::optional<at::Tensor>& residual, bool relu) {
  TORCH_CHECK(
      input.dim() == 4 && out > 0 && input.scalar_type() == at::kFloat && kernels.scalar_type() == at::kFloat &&
          kernels.dim() == 1 && kernels.is_contiguous() &&
          kernels.size(0) == winograd::kernel_floats(input.size(1), out),
      "winograd_conv3x3_by_kernels: input must be [N, C, H, W] float32 and kernels what winograd_kernels makes of a "
      "weight [", out, ", C, 3, 3], got ", input.sizes(), " and ", kernels.sizes());
  winograd::Behind behind{{}, {}, relu};
  if (bias.has_value() && bias->defined()) {
    TORCH_CHECK(
        bias->dim() == 1 && bias->size(0) == out && bias->scalar_type() == at::kFloat,
        "winograd_conv3x3_by_kernels: bias must be [", out, "] float32, got ", bias->sizes());
    behind.bias = *bias;
  }
  if (residual.has_value() && residual->defined()) {
    const std::array<int64_t, 4> shape = {input.size(0), out, input.size(2), input.size(3)};
    TORCH_CHECK(
        residual->sizes() == at::IntArrayRef(shape) && residual->scalar_type() == at::kFloat,
        "winograd_conv3x3_by_kernels: residual must be ", at::IntArrayRef(shape), " float32, got ", residual->sizes());
    behind.residual = residual->contiguous(at::MemoryFormat::ChannelsLast);
  }
  return winograd::convolve({input}, kernels, out, behind).front();
}

at::Tensor winograd_conv_autograd(
    const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias) {
  check_winograd(input, weight, bias);
  if (!winograd::kIsFaster || input.numel() == 0) {
    return engine_conv(input, weight, bias);
  }
  const at::Tensor offset = bias.has_value() ? *bias : at::Tensor();
  return learning_conv({input}, weight, offset, {}, {ConvPlace::plain3x3(), ConvWay::winograd, false, {}}).front();
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("winograd_conv3x3", TORCH_FN(goshawk::winograd_conv));
  m.impl("winograd_kernels", TORCH_FN(goshawk::winograd_kernels));
  m.impl("winograd_conv3x3_by_kernels", TORCH_FN(goshawk::winograd_conv_by_kernels));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("winograd_conv3x3", TORCH_FN(goshawk::winograd_conv_autograd));
}
