// Convolutions of bfloat16 maps that keep the resolution over their stride, with weights in float32, by the processor's matrix tiles
// (matrix-tiles.h), with what is before and behind them: the weight is rounded, scaled and laid out in one pass, sums are biased and
// cut before they are written, gradients of weights are float32 sums that nothing rounds, over all maps that share the weight.
#pragma once

#include "matrix-tiles.h"

#include <ATen/ATen.h>

#include <vector>

namespace goshawk::half_conv {

/** Square kernels of an odd side that keep the resolution at stride 1; 1x1 also at others. */
struct Shape {
  int64_t side, dilation, stride;

  int64_t taps() const {
    return side * side;
  }
  /** Pixels from the centre to the border of what a result is made of. */
  int64_t reach() const {
    return dilation * (side / 2);
  }
};

/** Whether such kernels can be computed here. */
bool is_possible(const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups);

/** What is done to the sums before they are rounded. */
struct Behind {
  /** [out] float32, or undefined. */
  at::Tensor bias;
  /** Of the result's shape and type, channels last, or undefined; of one map alone. */
  at::Tensor residual;
  bool relu = false;
};

/**
 * relu(convolution + bias + residual) of each map, bfloat16, channels last.
 * @param weight [out, in, side, side] float32
 * @param scale [out] float32, a factor of the weight; undefined: none
 */
std::vector<at::Tensor> convolve(
    at::TensorList inputs, const at::Tensor& weight, const at::Tensor& scale, const Shape& shape, const Behind& behind);

/** The gradients of the inputs, whose sizes are `inputs`'. */
std::vector<at::Tensor> input_gradients(
    at::TensorList inputs, at::TensorList gradients, const at::Tensor& weight, const at::Tensor& scale,
    const Shape& shape);

/** The gradient of the weight that all maps went through, float32. */
at::Tensor weight_gradient(
    at::TensorList inputs, at::TensorList gradients, const at::Tensor& weight, const at::Tensor& scale,
    const Shape& shape);

} // namespace goshawk::half_conv
