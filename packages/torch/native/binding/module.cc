// Entry of the addon: one Environment per JavaScript environment, so that worker threads can load it too.
#include "module.h"

#include <c10/util/Logging.h>

#include <mutex>
#include <string>

#include "memory/cpu-allocator.h"
#include "subnormals.h"
#include "values.h"

namespace goshawk {

namespace {

napi_value enter(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  size_t count = kMostArguments;
  Call call{env, environmentOf(env), {}};
  if (napi_get_cb_info(env, info, &count, call.arguments, nullptr, &data) != napi_ok) return nullptr;
  const Export& entry = *static_cast<const Export*>(data);
  try {
    const SubnormalsAreZero scope;
    return entry.function(call);
  } catch (...) {
    return throwAsJs(env, entry.shownAs ? entry.shownAs : entry.name);
  }
}

}  // namespace

void exportOne(napi_env env, napi_value exports, const Export& entry) {
  napi_value function;
  napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, enter, const_cast<Export*>(&entry), &function);
  napi_set_named_property(env, exports, entry.name, function);
}

}  // namespace goshawk

NAPI_MODULE_INIT() {
  using namespace goshawk;
  // The engine looks up a C++ stack trace, 15 ms each, for errors that people see without one.
  static std::once_flag once;
  std::call_once(once, [] {
    c10::SetStackTraceFetcher([]() -> std::string { return {}; });
    installCpuAllocator();
  });
  const auto destroy = [](napi_env, void* data, void*) { delete static_cast<Environment*>(data); };
  napi_set_instance_data(env, new Environment(), destroy, nullptr);
  registerOperators(env, exports);
  registerTensors(env, exports);
  registerAutograd(env, exports);
  registerRuntime(env, exports);
  registerHostMemory(env, exports);
  registerDevice(env, exports);
  registerRecording(env, exports);
  registerDeviceFacts(env, exports);
  registerDistributed(env, exports);
  return exports;
}
