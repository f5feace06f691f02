// Calls of any operator the dispatcher knows, by its schema.
#include "module.h"
#include "subnormals.h"
#include "values.h"

namespace goshawk {

namespace {

constexpr size_t kMaxArguments = 64;

// t a tensor, T a list of tensors, v another value
char letterOf(ValueKind kind) {
  switch (kind) {
    case ValueKind::Tensor:
      return 't';
    case ValueKind::TensorList:
    case ValueKind::OptionalTensorList:
      return 'T';
    default:
      return 'v';
  }
}

// findOperator(name, overload) -> { index, schema, arguments, results } or undefined
napi_value findOperator(Call& call) {
  const napi_env env = call.env;
  Environment& environment = call.environment;
  const std::string name = stringFromJs(env, call[0]);
  const std::string overload = stringFromJs(env, call[1]);
  const std::string key = overload.empty() ? name : name + "." + overload;
  napi_value result;
  auto found = environment.operatorByName.find(key);
  if (found == environment.operatorByName.end()) {
    const auto handle = c10::Dispatcher::singleton().findSchema({name, overload});
    if (!handle) {
      check(env, napi_get_undefined(env, &result));
      return result;
    }
    OperatorPlan plan{*handle, key, {}, {}};
    for (const auto& argument : handle->schema().arguments()) plan.arguments.push_back(planArgument(argument));
    for (const auto& returned : handle->schema().returns()) plan.results.push_back(planResult(returned));
    found = environment.operatorByName.emplace(key, environment.operators.size()).first;
    environment.operators.push_back(std::move(plan));
  }
  check(env, napi_create_object(env, &result));
  napi_value index;
  check(env, napi_create_uint32(env, static_cast<uint32_t>(found->second), &index));
  check(env, napi_set_named_property(env, result, "index", index));
  const OperatorPlan& plan = environment.operators[found->second];
  check(env, napi_set_named_property(env, result, "schema", stringToJs(env, c10::str(plan.handle.schema()))));
  std::string kinds;
  for (const ValueKind kind : plan.results) kinds += letterOf(kind);
  check(env, napi_set_named_property(env, result, "results", stringToJs(env, kinds)));
  kinds.clear();
  for (const ArgumentPlan& argument : plan.arguments) kinds += letterOf(argument.kind);
  check(env, napi_set_named_property(env, result, "arguments", stringToJs(env, kinds)));
  return result;
}

// operatorNames() -> ["aten::add.Tensor", ...]
napi_value operatorNames(Call& call) {
  const napi_env env = call.env;
  const auto names = c10::Dispatcher::singleton().getAllOpNames();
  napi_value array;
  check(env, napi_create_array_with_length(env, names.size(), &array));
  uint32_t index = 0;
  for (const auto& name : names) {
    const std::string text = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    check(env, napi_set_element(env, array, index++, stringToJs(env, text)));
  }
  return array;
}

napi_value resultsToJs(napi_env env, Environment& environment, const torch::jit::Stack& stack) {
  environment.tensors.beginBatch();
  try {
    napi_value results;
    if (stack.size() == 1) {
      results = fromIValue(env, environment, stack[0]);
    } else {
      check(env, napi_create_array_with_length(env, stack.size(), &results));
      for (size_t i = 0; i < stack.size(); ++i)
        check(env, napi_set_element(env, results, static_cast<uint32_t>(i), fromIValue(env, environment, stack[i])));
    }
    environment.tensors.endBatch(true);
    return results;
  } catch (...) {
    environment.tensors.endBatch(false);
    throw;
  }
}

// callOperator(index, ...arguments) -> tensor number | value | array of them
napi_value callOperator(napi_env env, napi_callback_info info) {
  Environment& environment = environmentOf(env);
  napi_value args[kMaxArguments + 1];
  size_t count = kMaxArguments + 1;
  if (napi_get_cb_info(env, info, &count, args, nullptr, nullptr) != napi_ok) return nullptr;
  uint32_t index = 0;
  if (count == 0 || napi_get_value_uint32(env, args[0], &index) != napi_ok || index >= environment.operators.size()) {
    napi_throw_error(env, "GOSHAWK_ENGINE", "callOperator: no such operator");
    return nullptr;
  }
  const OperatorPlan& plan = environment.operators[index];
  try {
    const SubnormalsAreZero scope;
    const auto& arguments = plan.handle.schema().arguments();
    if (count - 1 > arguments.size())
      throw CallError("takes at most " + std::to_string(arguments.size()) + " arguments, got " +
                      std::to_string(count - 1));
    torch::jit::Stack stack;
    stack.reserve(arguments.size());
    for (size_t i = 0; i < arguments.size(); ++i)
      stack.push_back(
          toIValue(env, environment, plan.arguments[i], arguments[i], i + 1 < count ? args[i + 1] : nullptr));
    plan.handle.callBoxed(&stack);
    reportMemory(env, environment);
    if (stack.size() == 1 && !stack[0].isList()) return fromIValue(env, environment, stack[0]);
    return resultsToJs(env, environment, stack);
  } catch (...) {
    const std::string shown = plan.name.rfind("aten::", 0) == 0 ? plan.name.substr(6) : plan.name;
    return throwAsJs(env, shown + "(" + describe(env, environment, args + 1, count - 1) + ")");
  }
}

constexpr Export kOperatorExports[] = {
    {"findOperator", findOperator},
    {"operatorNames", operatorNames},
};

}  // namespace

void registerOperators(napi_env env, napi_value exports) {
  exportAll(env, exports, kOperatorExports);
  // Not by way of Call: it takes more arguments, and its errors show them.
  napi_value function;
  napi_create_function(env, "callOperator", NAPI_AUTO_LENGTH, callOperator, nullptr, &function);
  napi_set_named_property(env, exports, "callOperator", function);
}

}  // namespace goshawk
