// JavaScript values to and from the dispatcher's IValues, by the kinds of an operator's schema.
#pragma once
#include "environment.h"

namespace goshawk {

// A mistake of the caller, or a JavaScript exception that is already pending.
struct CallError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(napi_env env, napi_status status);

ArgumentPlan planArgument(const c10::Argument& argument);
ValueKind planResult(const c10::Argument& result);

c10::IValue toIValue(napi_env env, Environment& environment, const ArgumentPlan& plan, const c10::Argument& argument, napi_value value);
napi_value fromIValue(napi_env env, Environment& environment, const c10::IValue& value);

napi_value tensorToJs(napi_env env, Environment& environment, const at::Tensor& tensor);
const at::Tensor& tensorFromJs(napi_env env, Environment& environment, napi_value value);

bool isMissing(napi_env env, napi_value value);  // undefined or null
double numberFromJs(napi_env env, napi_value value);
int64_t intFromJs(napi_env env, napi_value value);
bool boolFromJs(napi_env env, napi_value value);
std::string stringFromJs(napi_env env, napi_value value);
std::vector<int64_t> intsFromJs(napi_env env, napi_value value, int64_t fixedLength);
napi_value stringToJs(napi_env env, const std::string& text);
napi_value intsToJs(napi_env env, at::IntArrayRef values);

c10::ScalarType scalarTypeFromName(const std::string& name);
const char* scalarTypeName(c10::ScalarType type);

// "Tensor[2, 3] float32, 1, [2, 2]": what a person needs to see beside an engine error.
std::string describe(napi_env env, Environment& environment, const napi_value* values, size_t count);

// Every exported function runs inside: whatever is thrown becomes one JavaScript Error of one line.
napi_value throwAsJs(napi_env env, const std::string& where);

template <typename Body>
napi_value guarded(napi_env env, const char* where, Body body) {
  try {
    return body();
  } catch (...) {
    return throwAsJs(env, where);
  }
}

}  // namespace goshawk
