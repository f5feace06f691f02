// What goes back through a ReLU, and the sum of it over each channel, which is the gradient of the bias before it, in one pass.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace goshawk {

/** Whether the functions below take a tensor of this type. */
bool sums_exactly(at::ScalarType type);

/**
 * Of maps [N, C, H, W] that lie pixel by pixel, float32 or bfloat16, and not empty: the gradient where `output` is above zero or no
 * number, else zero. Adds the sums over each channel to `sums`, where there is one. They are exact but for their last rounding, and
 * the same on any number of threads.
 * @param output undefined: no ReLU, and the gradient itself is the result
 */
at::Tensor relu_gradient(const at::Tensor& gradient, const at::Tensor& output, std::vector<double>* sums);

/** As a tensor [C]. */
at::Tensor bias_gradient(const std::vector<double>& sums, at::ScalarType type);

} // namespace goshawk
