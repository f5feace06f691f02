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

/** Whether the channels of a pixel lie side by side, and pixels row by row at one distance. */
bool lies_by_pixel(const at::Tensor& map) {
  return map.stride(1) == 1 && map.stride(2) == map.size(3) * map.stride(3) &&
      map.stride(0) == map.size(2) * map.stride(2) && map.stride(3) >= map.size(1);
}

void winograd_conv_into(
    at::Tensor into, const at::Tensor& input, const c10::optional<at::Tensor>& added, const at::Tensor& kernels,
    const c10::optional<at::Tensor>& bias, bool relu) {
  const bool adds = added.has_value() && added->defined();
  for (const at::Tensor& map : {into, input, adds ? *added : input}) {
    TORCH_CHECK(
        map.dim() == 4 && map.scalar_type() == at::kFloat && lies_by_pixel(map) && map.size(0) == into.size(0) &&
            map.size(2) == into.size(2) && map.size(3) == into.size(3),
        "winograd_conv3x3_into: maps must be [N, C, H, W] float32 pixel by pixel in memory, of one size, got ", map.sizes(),
        " of strides ", map.strides());
  }
  TORCH_CHECK(
      (!adds || added->size(1) == input.size(1)) && kernels.scalar_type() == at::kFloat && kernels.dim() == 1 &&
          kernels.is_contiguous() && kernels.size(0) == winograd::kernel_floats(input.size(1), into.size(1)),
      "winograd_conv3x3_into: kernels must be what winograd_kernels makes of a weight [", into.size(1), ", ", input.size(1),
      ", 3, 3], got ", kernels.sizes());
  TORCH_CHECK(
      !bias.has_value() || !bias->defined() ||
          (bias->dim() == 1 && bias->size(0) == into.size(1) && bias->scalar_type() == at::kFloat),
      "winograd_conv3x3_into: bias must be [", into.size(1), "] float32");
  winograd::convolve_into(
      into, input, adds ? *added : at::Tensor(), kernels, bias.has_value() ? *bias : at::Tensor(), relu);
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
  m.impl("winograd_conv3x3_into", TORCH_FN(goshawk::winograd_conv_into));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("winograd_conv3x3", TORCH_FN(goshawk::winograd_conv_autograd));
}
