// How the binding's functions are called, and what each of its files adds to the addon.
#pragma once
#include "environment.h"

namespace goshawk {

constexpr size_t kMostArguments = 8;

// One call from JavaScript; arguments it did not give are undefined.
struct Call {
  napi_env env;
  Environment& environment;
  napi_value arguments[kMostArguments];

  napi_value operator[](size_t index) const { return arguments[index]; }
};

// What it throws becomes one JavaScript Error of one line that begins with its name; nullptr is undefined.
struct Export {
  const char* name;
  napi_value (*function)(Call& call);
  // The name that users of the package know it by, where that is another.
  const char* shownAs = nullptr;
};

// `entry` must live as long as the process.
void exportOne(napi_env env, napi_value exports, const Export& entry);

template <size_t N>
void exportAll(napi_env env, napi_value exports, const Export (&list)[N]) {
  for (const Export& entry : list) exportOne(env, exports, entry);
}

void registerOperators(napi_env env, napi_value exports);
void registerTensors(napi_env env, napi_value exports);
void registerAutograd(napi_env env, napi_value exports);
void registerRuntime(napi_env env, napi_value exports);
void registerHostMemory(napi_env env, napi_value exports);
void registerDevice(napi_env env, napi_value exports);
void registerRecording(napi_env env, napi_value exports);
void registerDeviceFacts(napi_env env, napi_value exports);
void registerDistributed(napi_env env, napi_value exports);

}  // namespace goshawk
