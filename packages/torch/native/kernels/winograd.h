// 3x3 convolutions of stride 1 and padding 1 in float32 by the minimal filtering algorithm F(4x4, 3x3) (Lavin and Gray, Fast
// Algorithms for Convolutional Neural Networks, 2015): 36 products for 16 outputs instead of 144. The engine's own take all
// of them. Results differ from a direct sum by some 1e-5 of the largest value.
//
// Y = A^T [(G g G^T) * (B^T d B)] A over tiles d of 6x6 inputs and Y of 4x4 outputs; the products in brackets become 36 matrix
// products of [tiles, in] x [in, out]. The gradient of the input is the same convolution with the kernel turned round; that of
// the weight is G^T [sum over tiles of (B^T d B)^T (A dY A^T)] G.
#pragma once

#include "lanes.h"

#include <ATen/ATen.h>

#include <vector>

namespace goshawk::winograd {

/** Whether the processor that this is compiled for takes less time for it than for the engine's. */
constexpr bool kIsFaster = kFuses;

/**
 * The transformed kernels, [point][panel][in][column of panel].
 * @param turned whether the kernel is turned round and in and out change places: the convolution of the gradient
 */
at::Tensor transform_kernels(const at::Tensor& weight, bool turned);

/** Floats of the transformed kernels. */
int64_t kernel_floats(int64_t in, int64_t out);

/** What is done to the sums before they are written. */
struct Behind {
  /** [out], or undefined. */
  at::Tensor bias;
  /** Of the result's shape, channels last, or undefined; of one map alone. */
  at::Tensor residual;
  bool relu = false;
};

/** relu(convolution + bias + residual) of each map, channels last. `kernels` as transform_kernels gives them. */
std::vector<at::Tensor> convolve(at::TensorList inputs, const at::Tensor& kernels, int64_t out, const Behind& behind);

/**
 * The same of input + added (or undefined) written to `into`; all three lie pixel by pixel, and may be slices of more channels. `into` may
 * share no memory with what is read.
 */
void convolve_into(
    const at::Tensor& into, const at::Tensor& input, const at::Tensor& added, const at::Tensor& kernels,
    const at::Tensor& bias, bool relu);

/** The gradient of the weight that all maps went through. */
at::Tensor weight_gradient(at::TensorList inputs, at::TensorList gradients, at::MemoryFormat format);

} // namespace goshawk::winograd
