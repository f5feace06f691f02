// Batch norm in training whose statistics are those of all processes' batches as one (Peng et al., MegDet, 2018, section 3.2). Between
// its halves, which batch-norm.cc computes, lies what the processes exchange: forward the means, squared distances and numbers of
// their values, backward two sums a channel.
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <vector>

#include "process-group.h"

namespace goshawk {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;

// Whether the halves are kernels; else they are the engine's operators in float64.
bool hasKernels(const at::Tensor& input, const at::Tensor& weight) {
  const auto type = input.scalar_type();
  const bool isHalf = type == at::kBFloat16 || (type == at::kHalf && input.device().is_cuda());
  return (type == at::kFloat || isHalf) && weight.scalar_type() == at::kFloat && weight.is_contiguous();
}

template <typename... Arguments>
at::Tensor callKernel(const char* name, const Arguments&... arguments) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<at::Tensor(const Arguments&...)>().call(
      arguments...);
}

at::Tensor callApply(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& ofBatch, double eps) {
  static const auto kernel =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("goshawk::batch_norm_apply", "")
          .typed<at::Tensor(
              const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, double, double)>();
  return kernel.call(input, weight, bias, ofBatch, 1, eps);
}

at::Tensor callGradient(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& ofBatch,
    const at::Tensor& sums, double eps) {
  static const auto kernel =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("goshawk::batch_norm_gradient", "")
          .typed<at::Tensor(
              const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&, double,
              double)>();
  return kernel.call(gradient, input, weight, ofBatch, sums, 1, eps);
}

// [2, C] float64: what a process without values has to say of its part.
at::Tensor noSums(const at::Tensor& input) {
  return at::zeros({2, input.size(1)}, input.options().dtype(at::kDouble));
}

std::vector<int64_t> allButChannels(const at::Tensor& input) {
  std::vector<int64_t> dims{0};
  for (int64_t dim = 2; dim < input.dim(); ++dim) dims.push_back(dim);
  return dims;
}

// [C] values beside maps.
at::Tensor besideMaps(const at::Tensor& ofChannels, const at::Tensor& input) {
  std::vector<int64_t> shape(static_cast<size_t>(input.dim()), 1);
  shape[1] = -1;
  return ofChannels.to(at::kDouble).view(shape);
}

// [2, C] float64 of this process's values: their mean, and the sum of the squared distances from it.
at::Tensor statisticsHere(const at::Tensor& input, bool byKernels) {
  if (input.numel() == 0) return noSums(input);
  if (byKernels) return callKernel("goshawk::batch_norm_statistics", input);
  const at::Tensor wide = input.to(at::kDouble);
  const at::Tensor mean = wide.mean(allButChannels(input));
  return at::stack({mean, (wide - besideMaps(mean, input)).square().sum(allButChannels(input))});
}

at::Tensor normalised(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& ofBatch, double eps,
    bool byKernels) {
  if (input.numel() == 0) return at::zeros_like(input);
  if (byKernels) return callApply(input, weight, bias, ofBatch, eps);
  const at::Tensor slope = weight.to(at::kDouble) * (ofBatch[1] + eps).rsqrt();
  const at::Tensor away = input.to(at::kDouble) - besideMaps(ofBatch[0], input);
  return (away * besideMaps(slope, input) + besideMaps(bias, input)).to(input.scalar_type());
}

// [2, C] float64 of this process's values: the sums of the gradient, and of its products with distances from the mean.
at::Tensor gradientSumsHere(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& ofBatch, bool byKernels) {
  if (input.numel() == 0) return noSums(input);
  if (byKernels) return callKernel("goshawk::batch_norm_gradient_sums", gradient, input, ofBatch);
  const at::Tensor wide = gradient.to(at::kDouble);
  const at::Tensor away = input.to(at::kDouble) - besideMaps(ofBatch[0], input);
  return at::stack({wide.sum(allButChannels(input)), (wide * away).sum(allButChannels(input))});
}

// `shares` are the sums over all processes, divided by the number of all values.
at::Tensor inputGradient(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight, const at::Tensor& ofBatch,
    const at::Tensor& shares, double eps, bool byKernels) {
  if (input.numel() == 0) return at::zeros_like(input);
  if (byKernels) return callGradient(gradient, input, weight, ofBatch, shares.contiguous(), eps);
  const at::Tensor inverse = (ofBatch[1] + eps).rsqrt();
  const at::Tensor away = input.to(at::kDouble) - besideMaps(ofBatch[0], input);
  const at::Tensor common = besideMaps(shares[0], input) + away * besideMaps(shares[1] * inverse.square(), input);
  const at::Tensor factor = besideMaps(weight.to(at::kDouble) * inverse, input);
  return ((gradient.to(at::kDouble) - common) * factor).to(input.scalar_type());
}

struct Statistics {
  // [2, C] float64: mean and biased variance of all processes' values.
  at::Tensor ofBatch;
  // [] float64: how many values a channel has in all processes, at least 1.
  at::Tensor count;
  // [] bool.
  at::Tensor hasValues;
};

// Of parts from their own statistics (Chan, Golub and LeVeque 1983); the same in every process, to the last bit.
Statistics together(const at::Tensor& input, bool byKernels, ProcessGroup& group) {
  const at::Tensor own = statisticsHere(input, byKernels);
  const int64_t channels = own.size(1);
  const auto values = static_cast<double>(input.numel()) / static_cast<double>(channels);
  const at::Tensor all = group.allGather(at::cat({own.reshape({-1}), at::full({1}, values, own.options())}));
  const at::Tensor counts = all.narrow(1, 2 * channels, 1);
  const at::Tensor means = all.narrow(1, 0, channels);
  TORCH_CHECK(
      input.is_cuda() || counts.sum().item<double>() != 1,
      "sync_batch_norm: one value a channel over all processes has no variance to train with, got input ", input.sizes(),
      ": give larger or more pictures a batch");
  // Where no process has a value, what is divided is 0.
  const at::Tensor count = counts.sum().clamp_min(1);
  const at::Tensor mean = (counts * means).sum(0) / count;
  const at::Tensor squares = (all.narrow(1, channels, channels) + counts * (means - mean).square()).sum(0);
  return {at::stack({mean, squares / count}), count, counts.sum() > 0};
}

void moveRunning(
    const Statistics& statistics, const at::Tensor& runningMean, const at::Tensor& runningVar, double momentum) {
  const auto moved = [&](const at::Tensor& running, const at::Tensor& towards) {
    const at::Tensor wide = running.to(at::kDouble);
    running.copy_(at::where(statistics.hasValues, wide * (1 - momentum) + towards * momentum, wide));
  };
  const at::Tensor unbiased = statistics.ofBatch[1] * (statistics.count / (statistics.count - 1).clamp_min(1));
  moved(runningMean, statistics.ofBatch[0]);
  moved(runningVar, unbiased);
}

class SyncBatchNormFunction : public torch::autograd::Function<SyncBatchNormFunction> {
 public:
  static Variable forward(
      AutogradContext* ctx, const Variable& input, const Variable& weight, const Variable& bias,
      const Variable& runningMean, const Variable& runningVar, double momentum, double eps, int64_t group) {
    const at::AutoDispatchBelowADInplaceOrView below;
    const bool byKernels = hasKernels(input, weight);
    const Statistics statistics = together(input, byKernels, groupOf(group));
    moveRunning(statistics, runningMean, runningVar, momentum);
    ctx->save_for_backward({input, weight, statistics.ofBatch, statistics.count});
    ctx->saved_data["eps"] = eps;
    ctx->saved_data["group"] = group;
    return normalised(input, weight, bias, statistics.ofBatch, eps, byKernels);
  }

  static torch::autograd::variable_list backward(
      AutogradContext* ctx, const torch::autograd::variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "sync_batch_norm: a gradient of its gradient is not there");
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &ofBatch = saved[2], &count = saved[3];
    const double eps = ctx->saved_data["eps"].toDouble();
    const bool byKernels = hasKernels(input, weight);
    const at::Tensor own = gradientSumsHere(gradients[0], input, ofBatch, byKernels);
    // Asked of all, whether they need it or not: what one needs all must send.
    const at::Tensor sums = own.clone();
    groupOf(ctx->saved_data["group"].toInt()).allReduce(sums, Reduction::Sum, "a norm's gradients")->wait();
    torch::autograd::variable_list result(8);
    if (ctx->needs_input_grad(0))
      result[0] = inputGradient(gradients[0], input, weight, ofBatch, sums / count, eps, byKernels);
    // Of this process's values: parameters' gradients are summed over all later.
    result[1] = (own[1] * (ofBatch[1] + eps).rsqrt()).to(weight.scalar_type());
    result[2] = own[0].to(weight.scalar_type());
    return result;
  }
};

at::Tensor syncBatchNorm(
    const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& runningMean,
    const at::Tensor& runningVar, double momentum, double eps, int64_t group) {
  TORCH_CHECK(input.dim() >= 2 && input.size(1) > 0, "sync_batch_norm: input must be [N, C, ...], got ", input.sizes());
  for (const at::Tensor& each : {weight, bias, runningMean, runningVar})
    TORCH_CHECK(
        each.dim() == 1 && each.size(0) == input.size(1),
        "sync_batch_norm: weight, bias and running values must be [", input.size(1), "] for input ", input.sizes(),
        ", got ", each.sizes());
  return SyncBatchNormFunction::apply(input, weight, bias, runningMean, runningVar, momentum, eps, group);
}

}  // namespace

}  // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) { m.impl("sync_batch_norm", TORCH_FN(goshawk::syncBatchNorm)); }

TORCH_LIBRARY_IMPL(goshawk, CPU, m) { m.impl("sync_batch_norm", TORCH_FN(goshawk::syncBatchNorm)); }

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) { m.impl("sync_batch_norm", TORCH_FN(goshawk::syncBatchNorm)); }
