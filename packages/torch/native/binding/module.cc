// Entry of the addon: one Environment per JavaScript environment, so that worker threads can load it too.
#include "module.h"

#include <c10/util/Logging.h>

#include <mutex>
#include <string>

#include "environment.h"

namespace goshawk {

void exportFunction(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace goshawk

NAPI_MODULE_INIT() {
  using namespace goshawk;
  // The engine looks up a C++ stack trace, 15 ms each, for errors that people see without one.
  static std::once_flag once;
  std::call_once(once, [] { c10::SetStackTraceFetcher([]() -> std::string { return {}; }); });
  napi_set_instance_data(env, new Environment(), [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); }, nullptr);
  registerOperators(env, exports);
  registerTensors(env, exports);
  registerAutograd(env, exports);
  registerRuntime(env, exports);
  return exports;
}
