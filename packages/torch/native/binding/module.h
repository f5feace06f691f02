// What each file of the binding adds to the addon.
#pragma once
#include <node_api.h>

namespace goshawk {

void exportFunction(napi_env env, napi_value exports, const char* name, napi_callback callback);

void registerOperators(napi_env env, napi_value exports);
void registerTensors(napi_env env, napi_value exports);
void registerAutograd(napi_env env, napi_value exports);
void registerRuntime(napi_env env, napi_value exports);

}  // namespace goshawk
