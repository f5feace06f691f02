// Convolutions that learn, with what usually comes behind them: relu(convolution + bias + residual), over several maps at once.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <vector>

namespace goshawk {

struct ConvPlace {
  std::array<int64_t, 2> stride, padding, dilation;
  int64_t groups;

  static ConvPlace plain3x3() {
    return {{1, 1}, {1, 1}, {1, 1}, 1};
  }
};

/** By the engine's operators, by winograd.h or by half-conv.h, which the arguments must fit. */
enum class ConvWay { engine, winograd, half };

struct ConvRule {
  ConvPlace place;
  ConvWay way = ConvWay::engine;
  bool relu = false;
  /** [out], a factor of the weight that does not learn, or undefined; for maps in bfloat16 and a weight in float32 alone. */
  at::Tensor scale;
};

/**
 * Maps in bfloat16 with a weight in float32 are computed by half-conv.h, or in float32 after weight and bias were rounded, with each sum
 * rounded once.
 * @param inputs maps [N, C, H, W] of any sizes, which share the weight
 * @param bias [out] or undefined
 * @param residual of the result's shape, or undefined; of one map alone
 */
std::vector<at::Tensor> learning_conv(
    at::TensorList inputs, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& residual,
    const ConvRule& rule);

} // namespace goshawk
