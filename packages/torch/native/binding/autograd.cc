// Gradients: backward, grad, the grad mode, leaves.
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

std::vector<at::Tensor> tensorsFromJs(napi_env env, Environment& environment, napi_value value) {
  std::vector<at::Tensor> tensors;
  if (isMissing(env, value)) return tensors;
  uint32_t length = 0;
  check(env, napi_get_array_length(env, value, &length));
  for (uint32_t i = 0; i < length; ++i) {
    napi_value item;
    check(env, napi_get_element(env, value, i, &item));
    tensors.push_back(isMissing(env, item) ? at::Tensor() : tensorFromJs(env, environment, item));
  }
  return tensors;
}

// backward(tensors, gradients | undefined, retainGraph, createGraph)
napi_value backward(napi_env env, napi_callback_info info) {
  return guarded(env, "backward", [&] {
    napi_value args[4];
    size_t count = 4;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    Environment& environment = environmentOf(env);
    torch::autograd::backward(tensorsFromJs(env, environment, args[0]), tensorsFromJs(env, environment, args[1]), boolFromJs(env, args[2]), boolFromJs(env, args[3]));
    return static_cast<napi_value>(nullptr);
  });
}

// grad(outputs, inputs, gradients | undefined, retainGraph, createGraph, allowUnused) -> numbers or null
napi_value grad(napi_env env, napi_callback_info info) {
  return guarded(env, "grad", [&] {
    napi_value args[6];
    size_t count = 6;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    Environment& environment = environmentOf(env);
    const auto gradients = torch::autograd::grad(tensorsFromJs(env, environment, args[0]), tensorsFromJs(env, environment, args[1]), tensorsFromJs(env, environment, args[2]), boolFromJs(env, args[3]), boolFromJs(env, args[4]), boolFromJs(env, args[5]));
    napi_value array;
    check(env, napi_create_array_with_length(env, gradients.size(), &array));
    for (size_t i = 0; i < gradients.size(); ++i) check(env, napi_set_element(env, array, static_cast<uint32_t>(i), tensorToJs(env, environment, gradients[i])));
    return array;
  });
}

napi_value gradientOf(napi_env env, napi_callback_info info) {
  return guarded(env, "grad", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    Environment& environment = environmentOf(env);
    return tensorToJs(env, environment, tensorFromJs(env, environment, args[0]).grad());
  });
}

napi_value setGradient(napi_env env, napi_callback_info info) {
  return guarded(env, "setGradient", [&] {
    napi_value args[2];
    size_t count = 2;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    Environment& environment = environmentOf(env);
    const at::Tensor tensor = tensorFromJs(env, environment, args[0]);
    tensor.mutable_grad() = count < 2 || isMissing(env, args[1]) ? at::Tensor() : tensorFromJs(env, environment, args[1]);
    return static_cast<napi_value>(nullptr);
  });
}

napi_value requiresGrad(napi_env env, napi_callback_info info) {
  return guarded(env, "requiresGrad", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    napi_value result;
    check(env, napi_get_boolean(env, tensorFromJs(env, environmentOf(env), args[0]).requires_grad(), &result));
    return result;
  });
}

napi_value setRequiresGrad(napi_env env, napi_callback_info info) {
  return guarded(env, "setRequiresGrad", [&] {
    napi_value args[2];
    size_t count = 2;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    tensorFromJs(env, environmentOf(env), args[0]).set_requires_grad(boolFromJs(env, args[1]));
    return static_cast<napi_value>(nullptr);
  });
}

napi_value isLeaf(napi_env env, napi_callback_info info) {
  return guarded(env, "isLeaf", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    napi_value result;
    check(env, napi_get_boolean(env, tensorFromJs(env, environmentOf(env), args[0]).is_leaf(), &result));
    return result;
  });
}

// setGradEnabled(flag) -> what it was
napi_value setGradEnabled(napi_env env, napi_callback_info info) {
  return guarded(env, "setGradEnabled", [&] {
    napi_value args[1];
    size_t count = 1;
    check(env, napi_get_cb_info(env, info, &count, args, nullptr, nullptr));
    napi_value result;
    check(env, napi_get_boolean(env, at::GradMode::is_enabled(), &result));
    at::GradMode::set_enabled(boolFromJs(env, args[0]));
    return result;
  });
}

napi_value isGradEnabled(napi_env env, napi_callback_info) {
  napi_value result;
  napi_get_boolean(env, at::GradMode::is_enabled(), &result);
  return result;
}

}  // namespace

void registerAutograd(napi_env env, napi_value exports) {
  exportFunction(env, exports, "backward", backward);
  exportFunction(env, exports, "grad", grad);
  exportFunction(env, exports, "gradientOf", gradientOf);
  exportFunction(env, exports, "setGradient", setGradient);
  exportFunction(env, exports, "requiresGrad", requiresGrad);
  exportFunction(env, exports, "setRequiresGrad", setRequiresGrad);
  exportFunction(env, exports, "isLeaf", isLeaf);
  exportFunction(env, exports, "setGradEnabled", setGradEnabled);
  exportFunction(env, exports, "isGradEnabled", isGradEnabled);
}

}  // namespace goshawk
