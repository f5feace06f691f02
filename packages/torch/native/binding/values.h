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

c10::IValue toIValue(napi_env env, Environment& environment, const ArgumentPlan& plan, const c10::Argument& argument,
                     napi_value value);
napi_value fromIValue(napi_env env, Environment& environment, const c10::IValue& value);

napi_value tensorToJs(napi_env env, Environment& environment, const at::Tensor& tensor);
const at::Tensor& tensorFromJs(napi_env env, Environment& environment, napi_value value);

bool isMissing(napi_env env, napi_value value);  // undefined or null
double numberFromJs(napi_env env, napi_value value);
int64_t intFromJs(napi_env env, napi_value value);
bool boolFromJs(napi_env env, napi_value value);
std::string stringFromJs(napi_env env, napi_value value);
std::vector<int64_t> intsFromJs(napi_env env, napi_value value, int64_t fixedLength);
uint32_t arrayLength(napi_env env, napi_value value);  // throws for what is no array
napi_value element(napi_env env, napi_value array, uint32_t index);

napi_value boolToJs(napi_env env, bool flag);
napi_value numberToJs(napi_env env, double number);
napi_value stringToJs(napi_env env, const std::string& text);
napi_value intsToJs(napi_env env, at::IntArrayRef values);

c10::ScalarType scalarTypeFromName(const std::string& name);
const char* scalarTypeName(c10::ScalarType type);

// "Tensor[2, 3] float32, 1, [2, 2]": what a person needs to see beside an engine error.
std::string describe(napi_env env, Environment& environment, const napi_value* values, size_t count);

// To be called in a catch block: what was thrown becomes one JavaScript Error of one line.
napi_value throwAsJs(napi_env env, const std::string& where);

}  // namespace goshawk
