// What is left of a frozen batch norm, with what usually comes behind it: relu(input * scale + shift + residual), a scale and a
// shift a channel. On a card one pass over memory each way (device/scale-shift.cc), where a norm, an addition and a ReLU take
// three; on the CPU the engine's operators. Computed in float32 for half types and rounded once.
// The output alone is kept for the gradient: that of the input is that of the output, zero where the output is, times scale.
// Scale and shift do not learn.
#include "scale-shift.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::Tensor of_channels(const at::Tensor& values, const at::Tensor& input) {
  std::vector<int64_t> sizes(static_cast<size_t>(input.dim()), 1);
  sizes[1] = input.size(1);
  return values.view(sizes);
}

at::Tensor scale_shift_cpu(
    const at::Tensor& input, const at::Tensor& scale, const at::Tensor& shift,
    const c10::optional<at::Tensor>& residual, bool relu) {
  check_scale_shift(input, scale, shift, residual);
  at::Tensor result = input.to(scale.scalar_type()) * of_channels(scale, input);
  result.add_(of_channels(shift, input));
  if (residual.has_value() && residual->defined()) {
    result.add_(residual->to(scale.scalar_type()));
  }
  if (relu) {
    result.relu_();
  }
  return result.to(input.scalar_type());
}

/** By operators that can be derived again. */
std::tuple<at::Tensor, at::Tensor> gradient_by_engine(
    const at::Tensor& gradient, const c10::optional<at::Tensor>& output, const at::Tensor& scale) {
  const bool has_relu = output.has_value() && output->defined();
  // NaN passes, as behind the engine's ReLU.
  const at::Tensor passed = has_relu ? gradient.masked_fill(output->detach() <= 0, 0) : gradient;
  const at::Tensor of_input = passed.to(scale.scalar_type()) * of_channels(scale, gradient);
  return {of_input.to(gradient.scalar_type()), passed};
}

/** That of the input, and of the residual where it is wanted (else nothing). */
std::tuple<at::Tensor, at::Tensor> scale_shift_gradient_cpu(
    const at::Tensor& gradient, const c10::optional<at::Tensor>& output, const at::Tensor& scale, bool of_residual) {
  const auto [of_input, passed] = gradient_by_engine(gradient, output, scale);
  return {of_input, of_residual ? passed.clone() : at::empty({0}, gradient.options())};
}

class ScaleShiftFunction : public torch::autograd::Function<ScaleShiftFunction> {
 public:
  /** `residual` is any tensor without a gradient where there is none: undefined ones are not taken. */
  static Variable forward(
      AutogradContext* ctx, const Variable& input, const Variable& scale, const Variable& shift,
      const Variable& residual, bool has_residual, bool relu) {
    at::AutoDispatchBelowADInplaceOrView below;
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("goshawk::scale_shift", "")
            .typed<at::Tensor(
                const at::Tensor&, const at::Tensor&, const at::Tensor&, const c10::optional<at::Tensor>&, bool)>();
    const at::Tensor output = op.call(
        input, scale, shift, has_residual ? c10::optional<at::Tensor>(residual) : c10::optional<at::Tensor>(), relu);
    ctx->save_for_backward(relu ? variable_list{scale, output} : variable_list{scale});
    ctx->saved_data["relu"] = relu;
    return output;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const bool wants_residual = ctx->needs_input_grad(3);
    const c10::optional<at::Tensor> output =
        ctx->saved_data["relu"].toBool() ? c10::optional<at::Tensor>(saved[1]) : c10::optional<at::Tensor>();
    variable_list result(6);
    if (at::GradMode::is_enabled()) {
      const auto [of_input, of_residual] = gradient_by_engine(grads[0], output, saved[0]);
      result[0] = of_input;
      result[3] = wants_residual ? of_residual : at::Tensor();
      return result;
    }
    if (!output.has_value() && wants_residual) {
      result[3] = grads[0];
    }
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("goshawk::scale_shift_gradient", "")
            .typed<std::tuple<at::Tensor, at::Tensor>(
                const at::Tensor&, const c10::optional<at::Tensor>&, const at::Tensor&, bool)>();
    const bool makes_residual = wants_residual && output.has_value();
    const auto made = op.call(grads[0], output, saved[0], makes_residual);
    result[0] = std::get<0>(made);
    if (makes_residual) {
      result[3] = std::get<1>(made);
    }
    return result;
  }
};

at::Tensor scale_shift_autograd(
    const at::Tensor& input, const at::Tensor& scale, const at::Tensor& shift,
    const c10::optional<at::Tensor>& residual, bool relu) {
  TORCH_CHECK(
      !at::GradMode::is_enabled() || !(scale.requires_grad() || shift.requires_grad()),
      "scale_shift: scale and shift get no gradient: give ones that do not require it");
  const bool has_residual = residual.has_value() && residual->defined();
  return ScaleShiftFunction::apply(
      input, scale, shift, has_residual ? *residual : scale, has_residual, relu);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("scale_shift", TORCH_FN(goshawk::scale_shift_cpu));
  m.impl("scale_shift_gradient", TORCH_FN(goshawk::scale_shift_gradient_cpu));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("scale_shift", TORCH_FN(goshawk::scale_shift_autograd));
}
