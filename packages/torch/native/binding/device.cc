// Own kernels on a card: where their code lies and how it is compiled, and the emulated card of tests.
#include "device/device-code.h"

#include <cstring>

#include "device/device-operators.h"
#include "module.h"
#include "values.h"

namespace goshawk {

namespace {

// setDeviceCode(sources, compiler, cache)
napi_value setDeviceCode(Call& call) {
  set_device_code_settings(
      {stringFromJs(call.env, call[0]), stringFromJs(call.env, call[1]), stringFromJs(call.env, call[2])});
  return nullptr;
}

// compileDeviceCode(name, dtype, architecture) -> uint8 tensor
napi_value compileDeviceCode(Call& call) {
  const std::string code = compile_device_code(
      stringFromJs(call.env, call[0]), scalarTypeFromName(stringFromJs(call.env, call[1])),
      static_cast<int>(intFromJs(call.env, call[2])));
  const at::Tensor bytes = at::empty({static_cast<int64_t>(code.size())}, at::kByte);
  std::memcpy(bytes.data_ptr(), code.data(), code.size());
  return tensorToJs(call.env, call.environment, bytes);
}

// emulateCard(library)
napi_value emulateCard(Call& call) {
  emulate_card(stringFromJs(call.env, call[0]).c_str());
  return nullptr;
}

constexpr Export kDeviceExports[] = {
    {"setDeviceCode", setDeviceCode},
    {"compileDeviceCode", compileDeviceCode},
    {"emulateCard", emulateCard},
};

}  // namespace

void registerDevice(napi_env env, napi_value exports) { exportAll(env, exports, kDeviceExports); }

}  // namespace goshawk
