// Group norm (Wu and He 2018) with exact sums: the engine's, like its batch norm, adds floats pixel by pixel where channels
// lie side by side.
#include "norm-units.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

void check(const at::Tensor& input, int64_t groups, const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(
      input.dim() >= 2 && groups > 0 && input.size(1) % groups == 0 && weight.dim() == 1 && bias.dim() == 1 &&
          weight.size(0) == input.size(1) && bias.size(0) == input.size(1),
      "group_norm: input must be [N, C, ...] with C a multiple of ", groups, " groups, weight and bias [C], got ",
      input.sizes(), ", ", weight.sizes(), " and ", bias.sizes());
}

/** libtorch 1.13 wants the parameters in the input's dtype; on a card channels do not stay side by side by themselves. */
at::Tensor group_norm_by_engine(
    const at::Tensor& input, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  const at::Tensor output = at::group_norm(
      input, groups, weight.to(input.scalar_type()), bias.to(input.scalar_type()), eps, /*cudnn_enabled=*/true);
  return laid_out_as(output, input);
}

at::Tensor group_norm(
    const at::Tensor& input, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  check(input, groups, weight, bias);
  if (!is_normalised_here(input, {weight, bias})) {
    return group_norm_by_engine(input, groups, weight, bias, eps);
  }
  const NormMaps maps = group_maps(input, groups);
  return normalise(maps, weight, bias, statistics_of(maps), maps.values_per_unit(), eps);
}

/** Sums of each channel of each image as sums of each group, with the channels' weights. */
at::Tensor weighted_sums_of_units(const NormMaps& maps, const at::Tensor& sums, const at::Tensor& weight) {
  return (sums.view({2, maps.layout.samples, maps.layout.channels}) * weight)
      .view({2, maps.units(), maps.channels_per_unit})
      .sum(-1);
}

class GroupNormFunction : public torch::autograd::Function<GroupNormFunction> {
 public:
  static Variable forward(
      AutogradContext* ctx, const Variable& input, const Variable& weight, const Variable& bias, int64_t groups,
      double eps) {
    at::AutoDispatchBelowADInplaceOrView below;
    const NormMaps maps = group_maps(input, groups);
    const at::Tensor statistics = statistics_of(maps);
    ctx->save_for_backward({input, weight, bias, statistics});
    ctx->saved_data["groups"] = groups;
    ctx->saved_data["eps"] = eps;
    return normalise(maps, weight, bias, statistics, maps.values_per_unit(), eps);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &statistics = saved[3];
    const int64_t groups = ctx->saved_data["groups"].toInt();
    const double eps = ctx->saved_data["eps"].toDouble();
    const std::array<bool, 3> wanted = {
        ctx->needs_input_grad(0), ctx->needs_input_grad(1), ctx->needs_input_grad(2)};
    if (at::GradMode::is_enabled()) {
      const at::Tensor output = group_norm_by_engine(input, groups, weight, saved[2], eps);
      return derivable_gradients(output, {input, weight, saved[2]}, wanted, grads[0], 5);
    }
    variable_list result(5);
    const NormMaps maps = group_maps(input, groups);
    const MapLayout& layout = maps.layout;
    const at::Tensor gradient = laid_out_as(grads[0], input);
    const at::Tensor sums = gradient_sums(maps, gradient, statistics);
    const double count = maps.values_per_unit();
    if (wanted[0]) {
      result[0] = input_gradient(
          maps, gradient, weight, statistics, weighted_sums_of_units(maps, sums, weight), count, eps);
    }
    if (wanted[1]) {
      const at::Tensor inverse = (statistics[1] / count + eps).rsqrt().view({layout.samples, groups, 1});
      const at::Tensor products = sums[1].view({layout.samples, groups, maps.channels_per_unit});
      result[1] = (products * inverse).sum(0).flatten().to(at::kFloat);
    }
    if (wanted[2]) {
      result[2] = sums[0].view({layout.samples, layout.channels}).sum(0).to(at::kFloat);
    }
    return result;
  }
};

at::Tensor group_norm_autograd(
    const at::Tensor& input, int64_t groups, const at::Tensor& weight, const at::Tensor& bias, double eps) {
  check(input, groups, weight, bias);
  if (!is_normalised_here(input, {weight, bias})) {
    return group_norm_by_engine(input, groups, weight, bias, eps);
  }
  return GroupNormFunction::apply(input, weight, bias, groups, eps);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("group_norm", TORCH_FN(goshawk::group_norm));
}

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  m.impl("group_norm", TORCH_FN(goshawk::group_norm_by_engine));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("group_norm", TORCH_FN(goshawk::group_norm_autograd));
}
