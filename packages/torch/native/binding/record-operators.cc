// Which operators run, by name: those called from JavaScript, those that operators call, and those of backward passes, in
// whatever thread.
#include "record-operators.h"

#include <ATen/record_function.h>

#include <atomic>
#include <map>
#include <mutex>

#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

std::mutex mutex;
std::map<std::string, int64_t> counts;
std::atomic<bool> recording{false};
at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;

void count(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex);
  ++counts[name];
}

std::unique_ptr<at::ObserverContext> onOperator(const at::RecordFunction& call) {
  // Backward nodes are announced too, and are no operators.
  if (const auto name = call.operator_name()) count(c10::toString(*name));
  return nullptr;
}

// startRecording(): operators are counted from now on, in the whole process
napi_value startRecording(Call&) {
  if (recording.exchange(true)) throw CallError("operators are being recorded already");
  {
    const std::lock_guard<std::mutex> lock(mutex);
    counts.clear();
  }
  handle = at::addGlobalCallback(at::RecordFunctionCallback(onOperator).scopes({at::RecordScope::FUNCTION}));
  return nullptr;
}

// stopRecording() -> [name, count, name, count, ...]
napi_value stopRecording(Call& call) {
  if (!recording) throw CallError("no operators are being recorded");
  at::removeCallback(handle);
  recording = false;
  const std::lock_guard<std::mutex> lock(mutex);
  napi_value list;
  check(call.env, napi_create_array_with_length(call.env, counts.size() * 2, &list));
  uint32_t at = 0;
  for (const auto& [name, times] : counts) {
    check(call.env, napi_set_element(call.env, list, at++, stringToJs(call.env, name)));
    check(call.env, napi_set_element(call.env, list, at++, numberToJs(call.env, static_cast<double>(times))));
  }
  return list;
}

constexpr Export kRecordingExports[] = {
    {"startRecording", startRecording, "recordOperators"},
    {"stopRecording", stopRecording, "recordOperators"},
};

}  // namespace

void noteTransfer(const char* name) {
  if (recording) count(name);
}

void registerRecording(napi_env env, napi_value exports) { exportAll(env, exports, kRecordingExports); }

}  // namespace goshawk
