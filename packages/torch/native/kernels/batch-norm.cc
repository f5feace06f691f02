// Batch norm in training (Ioffe and Szegedy 2015) with exact sums. The engine's adds floats pixel by pixel where channels lie
// side by side, which over 50,000 pixels costs a digit and a half of seven. Each direction is two halves, so that processes
// can exchange what lies between: statistics and their use, sums of the gradient and theirs.
#include "norm-units.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <array>
#include <tuple>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

void check(const at::Tensor& input, std::initializer_list<at::Tensor> of_channels) {
  TORCH_CHECK(input.dim() >= 2, "batch_norm: input must be [N, C, ...], got ", input.sizes());
  for (const at::Tensor& each : of_channels) {
    TORCH_CHECK(
        each.dim() == 1 && each.size(0) == input.size(1),
        "batch_norm: weight, bias and running values must be [", input.size(1), "] for input ", input.sizes(), ", got ",
        each.sizes());
  }
  TORCH_CHECK(
      input.numel() != input.size(1), "batch_norm: one value a channel has no variance to train with, got input ",
      input.sizes(), ": give larger or more pictures a batch");
}

void check_halves(const at::Tensor& input, std::initializer_list<at::Tensor> of_channels) {
  TORCH_CHECK(
      input.dim() >= 2 && input.numel() > 0 && is_normalised_here(input, {}),
      "batch_norm: input must be [N, C, ...] float32 or bfloat16, got ", input.sizes(), " ", input.scalar_type());
  for (const at::Tensor& each : of_channels) {
    const bool pair = each.scalar_type() == at::kDouble && each.dim() == 2 && each.size(0) == 2;
    const bool single = each.scalar_type() == at::kFloat && each.dim() == 1;
    TORCH_CHECK(
        (pair || single) && each.size(-1) == input.size(1) && each.is_contiguous(),
        "batch_norm: statistics and sums must be [2, C] float64, weight and bias [C] float32, got ", each.sizes(), " ",
        each.scalar_type(), " for input ", input.sizes());
  }
}

at::Tensor statistics(const at::Tensor& input) {
  check_halves(input, {});
  return statistics_of(batch_maps(input));
}

at::Tensor apply_statistics(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& of_batch, double count,
    double eps) {
  check_halves(input, {weight, bias, of_batch});
  return normalise(batch_maps(input), weight, bias, of_batch, count, eps);
}

at::Tensor sums_of_gradient(const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& of_batch) {
  check_halves(input, {of_batch});
  const NormMaps maps = batch_maps(input);
  const at::Tensor sums = gradient_sums(maps, laid_out_as(gradient, input), of_batch);
  return maps.layout.samples == 1 ? sums : sums.view({2, maps.layout.samples, maps.layout.channels}).sum(1);
}

at::Tensor apply_gradient_sums(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& of_batch,
    const at::Tensor& sums, double count, double eps) {
  check_halves(input, {weight, of_batch, sums});
  return input_gradient(
      batch_maps(input), laid_out_as(gradient, input), weight, of_batch, sums * weight, count, eps);
}

/** Moves the running values towards the batch's mean and unbiased variance. */
void update_running(
    const at::Tensor& of_batch, double count, double momentum, const at::Tensor& running_mean,
    const at::Tensor& running_var) {
  const int64_t channels = of_batch.size(1);
  const double* mean = of_batch.data_ptr<double>();
  const double* squares = mean + channels;
  float* means = running_mean.data_ptr<float>();
  float* variances = running_var.data_ptr<float>();
  for (int64_t c = 0; c < channels; ++c) {
    means[c] = static_cast<float>((1 - momentum) * means[c] + momentum * mean[c]);
    variances[c] = static_cast<float>((1 - momentum) * variances[c] + momentum * (squares[c] / (count - 1)));
  }
  // What is made from them and kept is made anew when their version changes.
  running_mean.unsafeGetTensorImpl()->bump_version();
  running_var.unsafeGetTensorImpl()->bump_version();
}

/** On a card the engine's sums of short types are those of float32 where channels lie side by side, and lose three digits elsewhere. */
at::Tensor batch_norm_by_engine(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
    const at::Tensor& running_var, double momentum, double eps) {
  const bool is_short = input.scalar_type() == at::kBFloat16 || input.scalar_type() == at::kHalf;
  const at::Tensor values =
      is_short && input.dim() == 4 && input.is_cuda() ? input.contiguous(at::MemoryFormat::ChannelsLast) : input;
  const at::Tensor output = at::batch_norm(
      values, weight, bias, running_mean, running_var, true, momentum, eps, /*cudnn_enabled=*/true);
  return laid_out_as(output, input);
}

std::tuple<at::Tensor, at::Tensor> forward_pass(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
    const at::Tensor& running_var, double momentum, double eps) {
  const NormMaps maps = batch_maps(input);
  const double count = maps.values_per_unit();
  const at::Tensor of_batch = statistics_of(maps);
  update_running(of_batch, count, momentum, running_mean, running_var);
  return {normalise(maps, weight, bias, of_batch, count, eps), of_batch};
}

class BatchNormFunction : public torch::autograd::Function<BatchNormFunction> {
 public:
  static Variable forward(
      AutogradContext* ctx, const Variable& input, const Variable& weight, const Variable& bias,
      const Variable& running_mean, const Variable& running_var, double momentum, double eps) {
    at::AutoDispatchBelowADInplaceOrView below;
    auto [output, of_batch] = forward_pass(input, weight, bias, running_mean, running_var, momentum, eps);
    ctx->save_for_backward({input, weight, bias, of_batch});
    ctx->saved_data["eps"] = eps;
    return output;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &bias = saved[2], &of_batch = saved[3];
    const double eps = ctx->saved_data["eps"].toDouble();
    const std::array<bool, 3> wanted = {
        ctx->needs_input_grad(0), ctx->needs_input_grad(1), ctx->needs_input_grad(2)};
    if (at::GradMode::is_enabled()) {
      const at::Tensor output = at::batch_norm(input, weight, bias, {}, {}, true, 0, eps, false);
      return derivable_gradients(output, {input, weight, bias}, wanted, grads[0], 7);
    }
    variable_list result(7);
    const NormMaps maps = batch_maps(input);
    const double count = maps.values_per_unit();
    const at::Tensor gradient = laid_out_as(grads[0], input);
    const at::Tensor sums = sums_of_gradient(gradient, input, of_batch);
    if (wanted[0]) {
      result[0] = input_gradient(maps, gradient, weight, of_batch, sums * weight, count, eps);
    }
    if (wanted[1]) {
      result[1] = (sums[1] * (of_batch[1] / count + eps).rsqrt()).to(at::kFloat);
    }
    if (wanted[2]) {
      result[2] = sums[0].to(at::kFloat);
    }
    return result;
  }
};

at::Tensor batch_norm_autograd(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
    const at::Tensor& running_var, double momentum, double eps) {
  check(input, {weight, bias, running_mean, running_var});
  if (!is_normalised_here(input, {weight, bias, running_mean, running_var})) {
    return batch_norm_by_engine(input, weight, bias, running_mean, running_var, momentum, eps);
  }
  return BatchNormFunction::apply(input, weight, bias, running_mean, running_var, momentum, eps);
}

at::Tensor batch_norm(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
    const at::Tensor& running_var, double momentum, double eps) {
  check(input, {weight, bias, running_mean, running_var});
  if (!is_normalised_here(input, {weight, bias, running_mean, running_var})) {
    return batch_norm_by_engine(input, weight, bias, running_mean, running_var, momentum, eps);
  }
  return std::get<0>(forward_pass(input, weight, bias, running_mean, running_var, momentum, eps));
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("batch_norm", TORCH_FN(goshawk::batch_norm));
  m.impl("batch_norm_statistics", TORCH_FN(goshawk::statistics));
  m.impl("batch_norm_apply", TORCH_FN(goshawk::apply_statistics));
  m.impl("batch_norm_gradient_sums", TORCH_FN(goshawk::sums_of_gradient));
  m.impl("batch_norm_gradient", TORCH_FN(goshawk::apply_gradient_sums));
}

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  m.impl("batch_norm", TORCH_FN(goshawk::batch_norm_by_engine));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("batch_norm", TORCH_FN(goshawk::batch_norm_autograd));
}
