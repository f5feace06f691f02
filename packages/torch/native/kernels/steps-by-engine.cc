// The optimizers' steps by the engine's own operators over all parameters at once: what runs on devices other than the CPU.
// One fused operator where this version has a kernel for the device (aten::_fused_sgd_ from 2.3, _fused_adam_ from 1.13,
// _fused_adamw_ from 2.1) and the tensors suit it, a few aten::_foreach_ ones otherwise. Runs on the CPU too, for tests.
//
// found_inf is a scalar on the device: where it is not 0 nothing changes. The fused operators look at it there; the others
// make the host wait for it.
#include "optimizer-steps.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <initializer_list>
#include <utility>

namespace goshawk {
namespace {

using NamedArgument = std::pair<const char*, c10::IValue>;

/**
 * Calls the engine's operator with arguments by the names of its schema, which differs between versions. False, and nothing
 * done, where this version has none for the device, or its schema does not fit.
 */
bool call_fused(const char* name, const at::Tensor& first, std::initializer_list<NamedArgument> named) {
  if (!first.is_cuda() && !first.device().is_cpu()) return false;
  const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  const auto key = first.is_cuda() ? c10::DispatchKey::CUDA : c10::DispatchKey::CPU;
  if (!found || !found->hasKernelForDispatchKey(key)) return false;
  torch::jit::Stack stack;
  size_t used = 0;
  for (const c10::Argument& argument : found->schema().arguments()) {
    const auto given = std::find_if(
        named.begin(), named.end(), [&](const NamedArgument& each) { return argument.name() == each.first; });
    if (given != named.end()) {
      stack.push_back(given->second);
      ++used;
    } else if (argument.default_value().has_value()) {
      stack.push_back(*argument.default_value());
    } else {
      return false;
    }
  }
  if (used != named.size()) return false;
  found->callBoxed(&stack);
  return true;
}

/**
 * The tensor with the parameter's strides where it lies in memory as the parameter does: sides of 1 may have any stride, and
 * older fused operators compare them. Undefined where it lies otherwise.
 */
at::Tensor laid_like(const at::Tensor& parameter, const at::Tensor& tensor) {
  if (tensor.device() != parameter.device() || tensor.scalar_type() != parameter.scalar_type() ||
      tensor.sizes() != parameter.sizes() || !have_same_steps(parameter, tensor))
    return {};
  if (tensor.strides() == parameter.strides()) return tensor;
  return tensor.as_strided(parameter.sizes(), parameter.strides(), tensor.storage_offset());
}

/** What a fused operator takes beside the parameters, or nothing where one of the tensors does not suit it. */
struct FusedLists {
  explicit FusedLists(at::TensorList parameters) : parameters_(parameters) {
    const at::Tensor& first = parameters[0];
    for (const at::Tensor& parameter : parameters)
      fit_ = fit_ && parameter.is_non_overlapping_and_dense() && parameter.device() == first.device() &&
          parameter.scalar_type() == first.scalar_type();
  }

  std::vector<at::Tensor> gradients(at::TensorList tensors) {
    return laid(tensors, [](const at::Tensor& parameter, const at::Tensor& gradient) {
      return at::empty_like(parameter).copy_(gradient);
    });
  }

  std::vector<at::Tensor> states(at::TensorList tensors) {
    return laid(tensors, [&](const at::Tensor&, const at::Tensor& state) {
      fit_ = false;
      return state;
    });
  }

  bool fit() const { return fit_; }

 private:
  template <typename Otherwise>
  std::vector<at::Tensor> laid(at::TensorList tensors, const Otherwise& otherwise) {
    std::vector<at::Tensor> result;
    result.reserve(tensors.size());
    for (size_t i = 0; fit_ && i < tensors.size(); ++i) {
      at::Tensor like = laid_like(parameters_[i], tensors[i]);
      result.push_back(like.defined() ? like : otherwise(parameters_[i], tensors[i]));
    }
    return result;
  }

  at::TensorList parameters_;
  bool fit_ = true;
};

bool is_skipped(const c10::optional<at::Tensor>& found_inf) {
  return found_inf.has_value() && found_inf->item<float>() != 0;
}

void mark_all_changed(std::initializer_list<at::TensorList> lists) {
  for (const at::TensorList list : lists)
    for (const at::Tensor& tensor : list) mark_changed(tensor);
}

void sgd_by_foreach(
    at::TensorList parameters, at::TensorList gradients, at::TensorList velocities, double lr, double momentum,
    double share, double weight_decay, bool nesterov) {
  std::vector<at::Tensor> along = gradients.vec();
  if (weight_decay != 0) along = at::_foreach_add(gradients, parameters, weight_decay);
  if (momentum != 0) {
    at::_foreach_mul_(velocities, momentum);
    at::_foreach_add_(velocities, along, share);
    along = nesterov ? at::_foreach_add(along, velocities, momentum) : velocities.vec();
  }
  at::_foreach_add_(parameters, along, -lr);
}

/** `first`: the velocities are new. As torch/optim/sgd.py: their first value is the gradient, whatever the dampening. */
void sgd_steps_by_engine(
    at::TensorList parameters, at::TensorList gradients, at::TensorList velocities, double lr, double momentum,
    double dampening, double weight_decay, bool nesterov, bool first, const c10::optional<at::Tensor>& found_inf) {
  if (parameters.empty()) return;
  FusedLists lists(parameters);
  const std::vector<at::Tensor> laid_gradients = lists.gradients(gradients);
  const std::vector<at::Tensor> laid_velocities = lists.states(velocities);
  const bool fused = lists.fit() &&
      call_fused("aten::_fused_sgd_", parameters[0],
                 {{"self", parameters.vec()},
                  {"grads", laid_gradients},
                  {"momentum_buffer_list", laid_velocities},
                  {"weight_decay", weight_decay},
                  {"momentum", momentum},
                  {"lr", lr},
                  {"dampening", dampening},
                  {"nesterov", nesterov},
                  {"maximize", false},
                  // New velocities are zeros, which give the gradient by themselves where nothing dampens it: a first step
                  // that found_inf skips needs no memory of that.
                  {"is_first_step", first && dampening != 0},
                  {"found_inf", found_inf}});
  if (!fused) {
    if (is_skipped(found_inf)) return;
    sgd_by_foreach(
        parameters, gradients, velocities, lr, momentum, first ? 1 : 1 - dampening, weight_decay, nesterov);
  }
  mark_all_changed({parameters, velocities});
}

void adam_by_foreach(
    at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
    at::TensorList largest, at::TensorList steps, double lr, double beta1, double beta2, double eps, double weight_decay,
    bool decoupled) {
  std::vector<at::Tensor> along = gradients.vec();
  if (weight_decay != 0 && decoupled) at::_foreach_mul_(parameters, 1 - lr * weight_decay);
  if (weight_decay != 0 && !decoupled) along = at::_foreach_add(gradients, parameters, weight_decay);
  at::_foreach_mul_(means, beta1);
  at::_foreach_add_(means, along, 1 - beta1);
  at::_foreach_mul_(squares, beta2);
  at::_foreach_addcmul_(squares, along, along, 1 - beta2);
  if (!largest.empty()) at::_foreach_maximum_(largest, squares);
  const at::Tensor counts = at::stack(steps).to(at::kDouble);
  const auto type = parameters[0].scalar_type();
  const at::Tensor corrections = (1 - at::pow(beta2, counts)).sqrt_().to(type);
  const at::Tensor step_sizes = (1 - at::pow(beta1, counts)).reciprocal_().mul_(-lr).to(type);
  std::vector<at::Tensor> roots = at::_foreach_sqrt(largest.empty() ? squares : largest);
  at::_foreach_div_(roots, corrections.unbind());
  at::_foreach_add_(roots, eps);
  at::_foreach_div_(roots, step_sizes.unbind());
  at::_foreach_addcdiv_(parameters, means, roots);
}

/** `steps`: a float32 scalar a parameter, the steps taken with this one. As torch/optim/adam.py. */
void adam_steps_by_engine(
    at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
    at::TensorList largest, at::TensorList steps, double lr, double beta1, double beta2, double eps, double weight_decay,
    bool decoupled, const c10::optional<at::Tensor>& found_inf) {
  if (parameters.empty()) return;
  FusedLists lists(parameters);
  const std::vector<at::Tensor> laid_gradients = lists.gradients(gradients);
  const std::vector<at::Tensor> laid_means = lists.states(means);
  const std::vector<at::Tensor> laid_squares = lists.states(squares);
  const std::vector<at::Tensor> laid_largest = lists.states(largest);
  const bool fused = lists.fit() &&
      call_fused(decoupled ? "aten::_fused_adamw_" : "aten::_fused_adam_", parameters[0],
                 {{"self", parameters.vec()},
                  {"grads", laid_gradients},
                  {"exp_avgs", laid_means},
                  {"exp_avg_sqs", laid_squares},
                  {"max_exp_avg_sqs", laid_largest},
                  {"state_steps", steps.vec()},
                  {"lr", lr},
                  {"beta1", beta1},
                  {"beta2", beta2},
                  {"weight_decay", weight_decay},
                  {"eps", eps},
                  {"amsgrad", !largest.empty()},
                  {"maximize", false},
                  {"found_inf", found_inf}});
  if (!fused) {
    if (is_skipped(found_inf)) return;
    adam_by_foreach(
        parameters, gradients, means, squares, largest, steps, lr, beta1, beta2, eps, weight_decay, decoupled);
  }
  mark_all_changed({parameters, means, squares, largest});
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CompositeExplicitAutograd, m) {
  m.impl("sgd_steps_by_engine_", TORCH_FN(goshawk::sgd_steps_by_engine));
  m.impl("adam_steps_by_engine_", TORCH_FN(goshawk::adam_steps_by_engine));
}
