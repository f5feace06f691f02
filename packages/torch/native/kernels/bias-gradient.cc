// The gradient of a convolution's bias, the sum of the output's gradient over each channel. oneDNN's adds floats pixel by
// pixel where channels lie side by side; these sums are exact.
#include "channel-sums.h"
#include "relu-gradient.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <numeric>
#include <vector>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

template <typename T>
at::Tensor exact_sum(const at::Tensor& gradient) {
  const int64_t images = gradient.size(0), channels = gradient.size(1), pixels = gradient.numel() / (images * channels);
  const MapLayout layout{images, channels, pixels, false};
  const auto rows = static_cast<size_t>(layout.rows());
  const std::vector<float> centre(rows, 0.0f);
  std::vector<double> sums(rows), squares(rows);
  sum_channels(gradient.data_ptr<T>(), layout, centre.data(), sums.data(), squares.data());
  at::Tensor result = at::empty({channels}, gradient.options().dtype(at::kFloat));
  for (int64_t c = 0; c < channels; ++c) {
    double total = 0;
    for (int64_t sample = 0; sample < layout.samples; ++sample) {
      total += sums[static_cast<size_t>(sample * channels + c)];
    }
    result.data_ptr<float>()[c] = static_cast<float>(total);
  }
  return result;
}

at::Tensor sum_of_channels(const at::Tensor& gradient) {
  const auto type = gradient.scalar_type();
  const bool is_exact = !at::GradMode::is_enabled() && gradient.device().is_cpu() && gradient.numel() > 0 &&
      (type == at::kFloat || type == at::kBFloat16);
  if (!is_exact) {
    std::vector<int64_t> others(static_cast<size_t>(gradient.dim() - 1));
    std::iota(others.begin(), others.end(), 1);
    others[0] = 0;
    return gradient.sum(others);
  }
  if (gradient.dim() == 4 && gradient.size(1) > 1 && gradient.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    std::vector<double> sums(static_cast<size_t>(gradient.size(1)));
    relu_gradient(gradient, {}, &sums);
    return bias_gradient(sums, at::kFloat);
  }
  const at::Tensor planes = gradient.contiguous();
  return type == at::kFloat ? exact_sum<float>(planes) : exact_sum<at::BFloat16>(planes);
}

class BiasGradientFunction : public torch::autograd::Function<BiasGradientFunction> {
 public:
  static Variable forward(AutogradContext* ctx, const Variable& output, const Variable& bias) {
    at::AutoDispatchBelowADInplaceOrView below;
    ctx->saved_data["dtype"] = static_cast<int64_t>(bias.scalar_type());
    // Not the tensor itself, which would become a view that no activation may overwrite.
    return at::alias(output);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    variable_list result(2);
    result[0] = grads[0];
    if (ctx->needs_input_grad(1)) {
      result[1] = sum_of_channels(grads[0]).to(static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt()));
    }
    return result;
  }
};

at::Tensor with_bias_gradient(const at::Tensor& output, const at::Tensor& bias) {
  TORCH_CHECK(
      output.dim() >= 2 && bias.dim() == 1 && bias.size(0) == output.size(1),
      "with_bias_gradient: output must be [N, C, ...] and bias [C], got ", output.sizes(), " and ", bias.sizes());
  return BiasGradientFunction::apply(output, bias);
}

at::Tensor without_gradient(const at::Tensor& output, const at::Tensor&) {
  return at::alias(output);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CompositeExplicitAutograd, m) {
  m.impl("with_bias_gradient", TORCH_FN(goshawk::without_gradient));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("with_bias_gradient", TORCH_FN(goshawk::with_bias_gradient));
}
