// The halves of batch norm that processes exchange numbers between, on a card: by the engine's operators, with the meaning of
// kernels/batch-norm.cc. Sums are the engine's own in float32.
#include "device-operators.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace goshawk {
namespace {

void check_halves_on_card(const at::Tensor& input, std::initializer_list<at::Tensor> of_channels) {
  const at::ScalarType type = input.scalar_type();
  TORCH_CHECK(
      input.dim() >= 2 && input.numel() > 0 && (type == at::kFloat || type == at::kBFloat16 || type == at::kHalf),
      "batch_norm: input must be [N, C, ...] float32, float16 or bfloat16, got ", input.sizes(), " ", type);
  for (const at::Tensor& each : of_channels) {
    const bool pair = each.scalar_type() == at::kDouble && each.dim() == 2 && each.size(0) == 2;
    const bool single = each.scalar_type() == at::kFloat && each.dim() == 1;
    TORCH_CHECK(
        (pair || single) && each.size(-1) == input.size(1),
        "batch_norm: statistics and sums must be [2, C] float64, weight and bias [C] float32, got ", each.sizes(), " ",
        each.scalar_type(), " for input ", input.sizes());
  }
}

/** All dimensions but that of the channels. */
std::vector<int64_t> others_than_channels(const at::Tensor& input) {
  std::vector<int64_t> dims = {0};
  for (int64_t dim = 2; dim < input.dim(); ++dim) {
    dims.push_back(dim);
  }
  return dims;
}

/** [C] float32 values beside maps. */
at::Tensor beside(const at::Tensor& of_channels, const at::Tensor& input) {
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[1] = -1;
  return of_channels.to(at::kFloat).view(shape);
}

/** Distances from the means as float32 rounds them; what that loses, the callers put back where it counts. */
at::Tensor distances(const at::Tensor& input, const at::Tensor& of_batch) {
  return input.to(at::kFloat) - beside(of_batch[0], input);
}

/** What float32 lacks of the means. */
at::Tensor lost_of_means(const at::Tensor& of_batch) {
  return of_batch[0] - of_batch[0].to(at::kFloat).to(at::kDouble);
}

at::Tensor inverse_deviation(const at::Tensor& of_batch, double count, double eps) {
  return (of_batch[1] / count + eps).rsqrt();
}

at::Tensor statistics_on_card(const at::Tensor& input) {
  check_halves_on_card(input, {});
  const auto count = static_cast<double>(input.numel() / input.size(1));
  const auto [variance, mean] =
      at::var_mean(input.to(at::kFloat), others_than_channels(input), /*unbiased=*/false, /*keepdim=*/false);
  return at::stack({mean.to(at::kDouble), variance.to(at::kDouble) * count});
}

at::Tensor apply_on_card(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& of_batch, double count,
    double eps) {
  check_halves_on_card(input, {weight, bias, of_batch});
  const at::Tensor slope = weight * inverse_deviation(of_batch, count, eps);
  const at::Tensor offset = bias - lost_of_means(of_batch) * slope;
  return distances(input, of_batch).mul_(beside(slope, input)).add_(beside(offset, input)).to(input.scalar_type());
}

at::Tensor gradient_sums_on_card(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& of_batch) {
  check_halves_on_card(input, {of_batch});
  const std::vector<int64_t> dims = others_than_channels(input);
  const at::Tensor wide = gradient.to(at::kFloat);
  const at::Tensor first = wide.sum(dims).to(at::kDouble);
  const at::Tensor second = distances(input, of_batch).mul_(wide).sum(dims).to(at::kDouble);
  return at::stack({first, second - lost_of_means(of_batch) * first});
}

/** As input_gradient() of kernels/norm-units.h. */
at::Tensor gradient_on_card(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& of_batch,
    const at::Tensor& sums, double count, double eps) {
  check_halves_on_card(input, {weight, of_batch, sums});
  const at::Tensor inverse = inverse_deviation(of_batch, count, eps);
  const at::Tensor weighted = sums * weight;
  const at::Tensor tilt = weighted[1] / count * inverse.pow(3);
  const at::Tensor offset = weighted[0] / count * inverse - lost_of_means(of_batch) * tilt;
  const at::Tensor away = distances(input, of_batch).mul_(beside(tilt, input)).add_(beside(offset, input));
  return (gradient.to(at::kFloat) * beside(weight * inverse, input)).sub_(away).to(input.scalar_type());
}

} // namespace

void implement_batch_norm_halves(torch::Library& m) {
  m.impl("batch_norm_statistics", TORCH_FN(statistics_on_card));
  m.impl("batch_norm_apply", TORCH_FN(apply_on_card));
  m.impl("batch_norm_gradient_sums", TORCH_FN(gradient_sums_on_card));
  m.impl("batch_norm_gradient", TORCH_FN(gradient_on_card));
}

} // namespace goshawk
