// Gradients: backward, grad, the grad mode, leaves.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

std::vector<at::Tensor> tensorsFromJs(const Call& call, napi_value value) {
  std::vector<at::Tensor> tensors;
  if (isMissing(call.env, value)) return tensors;
  const uint32_t length = arrayLength(call.env, value);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value item = element(call.env, value, i);
    tensors.push_back(isMissing(call.env, item) ? at::Tensor() : tensorFromJs(call.env, call.environment, item));
  }
  return tensors;
}

const at::Tensor& argument(const Call& call) { return tensorFromJs(call.env, call.environment, call[0]); }

// backward(tensors, gradients | undefined, retainGraph, createGraph)
napi_value backward(Call& call) {
  const bool retainGraph = boolFromJs(call.env, call[2]);
  const bool createGraph = boolFromJs(call.env, call[3]);
  torch::autograd::backward(tensorsFromJs(call, call[0]), tensorsFromJs(call, call[1]), retainGraph, createGraph);
  return nullptr;
}

// grad(outputs, inputs, gradients | undefined, retainGraph, createGraph, allowUnused) -> numbers or null
napi_value grad(Call& call) {
  const bool retainGraph = boolFromJs(call.env, call[3]);
  const bool createGraph = boolFromJs(call.env, call[4]);
  const bool allowUnused = boolFromJs(call.env, call[5]);
  const auto gradients = torch::autograd::grad(tensorsFromJs(call, call[0]), tensorsFromJs(call, call[1]),
                                               tensorsFromJs(call, call[2]), retainGraph, createGraph, allowUnused);
  napi_value array;
  check(call.env, napi_create_array_with_length(call.env, gradients.size(), &array));
  for (size_t i = 0; i < gradients.size(); ++i) {
    napi_value gradient = tensorToJs(call.env, call.environment, gradients[i]);
    check(call.env, napi_set_element(call.env, array, static_cast<uint32_t>(i), gradient));
  }
  return array;
}

napi_value gradientOf(Call& call) { return tensorToJs(call.env, call.environment, argument(call).grad()); }

// setGradient(tensor, gradient | undefined)
napi_value setGradient(Call& call) {
  const at::Tensor tensor = argument(call);
  const bool none = isMissing(call.env, call[1]);
  tensor.mutable_grad() = none ? at::Tensor() : tensorFromJs(call.env, call.environment, call[1]);
  return nullptr;
}

napi_value requiresGrad(Call& call) { return boolToJs(call.env, argument(call).requires_grad()); }

// setRequiresGrad(tensor, flag)
napi_value setRequiresGrad(Call& call) {
  argument(call).set_requires_grad(boolFromJs(call.env, call[1]));
  return nullptr;
}

napi_value isLeaf(Call& call) { return boolToJs(call.env, argument(call).is_leaf()); }

// setGradEnabled(flag) -> what it was
napi_value setGradEnabled(Call& call) {
  const bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(boolFromJs(call.env, call[0]));
  return boolToJs(call.env, before);
}

napi_value isGradEnabled(Call& call) { return boolToJs(call.env, at::GradMode::is_enabled()); }

constexpr Export kAutogradExports[] = {
    {"backward", backward},
    {"grad", grad},
    {"gradientOf", gradientOf, "grad"},
    {"setGradient", setGradient},
    {"requiresGrad", requiresGrad},
    {"setRequiresGrad", setRequiresGrad},
    {"isLeaf", isLeaf},
    {"setGradEnabled", setGradEnabled},
    {"isGradEnabled", isGradEnabled},
};

}  // namespace

void registerAutograd(napi_env env, napi_value exports) { exportAll(env, exports, kAutogradExports); }

}  // namespace goshawk
